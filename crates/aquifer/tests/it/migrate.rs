//! Migrations: applied once, whole or not at all, in the files and the table of sqlx.

mod alone;
mod exchange;
mod interrupted;
mod refusals;
mod several;

use aquifer::migrate::{MigrationState, Migrator};
use aquifer::{AssertSafe, Db, Session};

use crate::support;

/// Two tables and a row, of which the second file needs the first.
const FILES: [(&str, &str); 2] = [
    (
        "0001_users.sql",
        "create table users (id bigint primary key);",
    ),
    (
        "0002_names_and_notes.sql",
        "alter table users add name text;\ncreate table notes (text text);\n\
         insert into notes values ('once');",
    ),
];

fn migrator() -> Migrator {
    Migrator::from_files(FILES).unwrap()
}

fn of(files: &[(&str, &str)]) -> Migrator {
    Migrator::from_files(files.iter().copied()).unwrap()
}

async fn value<T: for<'r> aquifer::types::Decode<'r> + Send>(db: &Db, sql: &str) -> T {
    db.query_value(AssertSafe(sql), ()).await.unwrap()
}

/// What stands in the table: each version, and whether it came to its end.
async fn noted(db: &Db) -> Vec<(i64, bool)> {
    let sql = "select version, success from _sqlx_migrations order by version";
    db.query_as(sql, ()).await.unwrap()
}

async fn states(migrator: &Migrator, db: &Db) -> Vec<(i64, MigrationState)> {
    let status = migrator.status(db).await.unwrap();
    status.iter().map(|one| (one.version, one.state)).collect()
}

#[tokio::test]
async fn each_file_is_applied_once_in_the_order_of_versions() {
    let db = support::db().await;
    let migrator = migrator();
    let pending = [(1, MigrationState::Pending), (2, MigrationState::Pending)];
    assert_eq!(states(&migrator, &db).await, pending);

    let planned = migrator.dry_run(&db).await.unwrap();
    let told: Vec<_> = planned
        .iter()
        .map(|one| (one.version, one.in_transaction, one.statements.len()))
        .collect();
    assert_eq!(told, [(1, true, 1), (2, true, 3)]);
    assert_eq!(states(&migrator, &db).await, pending, "nothing was changed");

    let applied = migrator.up(&db).await.unwrap();
    let versions: Vec<_> = applied.iter().map(|one| one.version).collect();
    assert_eq!(versions, [1, 2]);
    assert_eq!(noted(&db).await, [(1, true), (2, true)]);
    assert_eq!(value::<i64>(&db, "select count(*) from notes").await, 1);

    assert_eq!(migrator.up(&db).await.unwrap(), []);
    assert_eq!(migrator.dry_run(&db).await.unwrap(), []);
    let status = migrator.status(&db).await.unwrap();
    let [first, second] = status.as_slice() else {
        panic!("{status:?}")
    };
    assert_eq!(first.state, MigrationState::Applied);
    assert_eq!(second.description, "names and notes");
    assert_eq!(second.file.as_deref(), Some("0002_names_and_notes.sql"));
    assert!(second.installed_on.is_some() && second.execution_time.is_some());
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_version_is_reached_from_below_and_from_above() {
    let db = support::db().await;
    let migrator = of(&[
        ("1_a.up.sql", "create table a ()"),
        ("1_a.down.sql", "drop table a"),
        ("2_b.up.sql", "create table b ()"),
        ("2_b.down.sql", "drop table b"),
        ("3_c.up.sql", "create table c ()"),
        ("3_c.down.sql", "drop table c"),
    ]);
    let tables = async || {
        let sql = "select tablename::text from pg_tables \
                   where schemaname = 'public' and tablename <> '_sqlx_migrations' order by 1";
        db.query_column::<String>(sql, ()).await.unwrap().join(" ")
    };
    assert!(migrator.down(&db).await.unwrap().is_none());
    assert_eq!(migrator.up_to(&db, 2).await.unwrap().len(), 2);
    assert_eq!(tables().await, "a b");
    let reverted = migrator.down(&db).await.unwrap().unwrap();
    assert_eq!((reverted.version, reverted.reverted), (2, true));
    assert_eq!(tables().await, "a");
    assert_eq!(migrator.up(&db).await.unwrap().len(), 2);
    assert_eq!(tables().await, "a b c");
    assert_eq!(migrator.down_to(&db, 1).await.unwrap().len(), 2);
    assert_eq!(tables().await, "a");
    assert_eq!(migrator.down_to(&db, 0).await.unwrap().len(), 1);
    assert_eq!(noted(&db).await, []);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_directory_is_read_as_files_are() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/sqlx");
    let migrator = Migrator::from_dir(directory).unwrap();
    let told: Vec<_> = migrator
        .migrations()
        .iter()
        .map(|one| (one.description(), one.in_transaction(), one.is_reversible()))
        .collect();
    let expected = [
        ("users", true, true),
        ("users by name", false, true),
        ("plain and simple", true, false),
    ];
    assert_eq!(told, expected);
    migrator.check_files().unwrap();
}

/// As a dump of pg_dump begins: what follows in the session finds no table by its bare name.
#[tokio::test]
async fn a_file_that_changes_the_search_path_is_noted_all_the_same() {
    let db = support::db().await;
    let dump = "select pg_catalog.set_config('search_path', '', false);\n\
                create table public.users (id bigint);";
    let files = [
        ("1_dump.sql", dump),
        ("2_more.sql", "create table notes ()"),
    ];
    of(&files).up(&db).await.unwrap();
    assert_eq!(noted(&db).await, [(1, true), (2, true)]);
    let path: String = value(&db.exclusive(), "select current_setting('search_path')").await;
    assert_ne!(path, "", "the next caller gets a session as new");
}

#[tokio::test]
async fn another_table_in_another_schema() {
    let db = support::db().await;
    db.execute("create schema \"My App\"", ()).await.unwrap();
    let migrator = migrator().table(("My App", "done \"so far\"")).unwrap();
    assert_eq!(migrator.up(&db).await.unwrap().len(), 2);
    assert_eq!(migrator.up(&db).await.unwrap().len(), 0);
    let sql = "select count(*) from \"My App\".\"done \"\"so far\"\"\"";
    assert_eq!(value::<i64>(&db, sql).await, 2);
}

#[tokio::test]
async fn a_transaction_around_the_call_is_not_joined() {
    let db = support::db().await;
    let outcome: Result<(), aquifer::Error> = db
        .with_transaction(async |tx| {
            tx.execute("create table rolled_back ()", ()).await?;
            migrator().up(&db).await?;
            Err(tx.query("no sql", ()).await.unwrap_err())
        })
        .await;
    assert!(outcome.is_err());
    assert_eq!(noted(&db).await, [(1, true), (2, true)]);
}
