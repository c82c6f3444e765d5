//! What can't be done is said, with the file, the line and the remedy, and nothing is half done.

use std::time::Duration;

use aquifer::migrate::Migrator;
use aquifer::{Db, Error, ErrorKind, MigrationProblem, Session, SqlState};

use super::{FILES, migrator, noted, of, value};
use crate::support;

async fn refused(db: &Db, migrator: Migrator) -> (Error, MigrationProblem) {
    let before = noted(db).await;
    let error = migrator.up(db).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Migration, "{error}");
    assert_eq!(noted(db).await, before);
    let problem = error.migration().unwrap().problem();
    (error, problem)
}

#[tokio::test]
async fn files_and_rows_that_do_not_fit_are_told_as_sqlx_tells_them() {
    let db = support::db().await;
    migrator().up(&db).await.unwrap();

    let (error, problem) = refused(&db, of(&FILES[..1])).await;
    assert_eq!(problem, MigrationProblem::Missing);
    assert!(error.to_string().contains("names and notes"), "{error}");
    let applied = of(&FILES[..1]).ignore_missing(true).up(&db).await.unwrap();
    assert_eq!(applied, []);

    let changed = [("0001_users.sql", "create table users (id int)"), FILES[1]];
    let (error, problem) = refused(&db, of(&changed)).await;
    assert_eq!(problem, MigrationProblem::Changed);
    assert_eq!(error.migration().unwrap().file(), Some("0001_users.sql"));

    let windows = FILES[1].1.replace('\n', "\r\n");
    let (error, problem) = refused(&db, of(&[FILES[0], (FILES[1].0, &windows)])).await;
    assert_eq!(problem, MigrationProblem::Changed);
    assert!(error.to_string().contains(".gitattributes"), "{error}");

    db.execute(
        "update _sqlx_migrations set success = false where version = 2",
        (),
    )
    .await
    .unwrap();
    let (error, problem) = refused(&db, migrator()).await;
    assert_eq!(problem, MigrationProblem::Dirty);
    let remedy = "delete from \"_sqlx_migrations\" where version = 2";
    assert!(error.to_string().contains(remedy), "{error}");
}

#[tokio::test]
async fn versions_that_can_not_be_reached_are_refused() {
    let db = support::db().await;
    let migrator = migrator();
    let of = |error: Error| error.migration().unwrap().problem();
    let error = migrator.up_to(&db, 3).await.unwrap_err();
    assert_eq!(of(error), MigrationProblem::NotPresent);
    let error = migrator.down_to(&db, 2).await.unwrap_err();
    assert_eq!(of(error), MigrationProblem::TooNew);
    migrator.up(&db).await.unwrap();
    let error = migrator.up_to(&db, 1).await.unwrap_err();
    assert_eq!(of(error), MigrationProblem::TooOld);
    let error = migrator.down(&db).await.unwrap_err();
    assert_eq!(of(error), MigrationProblem::Irreversible);
    assert_eq!(noted(&db).await, [(1, true), (2, true)]);
}

#[tokio::test]
async fn a_statement_that_fails_is_named_by_its_line_and_leaves_nothing() {
    let db = support::db().await;
    for (text, line, state) in [
        (
            "create table t ();\n\nselect\n  nothing\n  from nowhere",
            5,
            "42P01",
        ),
        (
            "create table t ();\n-- Ünïcode ü\ncreate tabel x ();",
            3,
            "42601",
        ),
        // Here the server names no place.
        (
            "create table t ();\n\n\ndo $$ begin\nperform 1 / 0;\nend $$;",
            4,
            "22012",
        ),
    ] {
        let files = [
            ("1_first.sql", "create table if not exists first ()"),
            ("2_bad.sql", text),
        ];
        let error = of(&files).up(&db).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Database);
        assert_eq!(error.sqlstate().unwrap().code(), state);
        let fault = error.migration().unwrap();
        assert_eq!(fault.problem(), MigrationProblem::Failed);
        assert_eq!(
            (fault.file(), fault.line()),
            (Some("2_bad.sql"), Some(line)),
            "{error}"
        );
        let place = format!("migration 2, 2_bad.sql:{line}: ");
        assert!(error.to_string().starts_with(&place), "{error}");
        assert_eq!(
            noted(&db).await,
            [(1, true)],
            "the one before it is applied"
        );
        assert!(value::<bool>(&db, "select to_regclass('t') is null").await);
    }
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn what_needs_no_transaction_is_told_how_to_say_so() {
    let db = support::db().await;
    let files = [(
        "1_a.sql",
        "create table a (i int);\ncreate index concurrently x on a (i)",
    )];
    let error = of(&files).up(&db).await.unwrap_err();
    assert_eq!(error.migration().unwrap().line(), Some(2));
    assert!(error.to_string().contains("-- no-transaction"), "{error}");
    let error = of(&[("1_a.sql", "create table a ();\ncommit;\nselect 1")])
        .up(&db)
        .await;
    let error = error.unwrap_err();
    assert_eq!(error.migration().unwrap().line(), Some(2), "{error}");
    assert_eq!(noted_if_any(&db).await, 0);
}

async fn noted_if_any(db: &Db) -> usize {
    if value::<bool>(db, "select to_regclass('_sqlx_migrations') is null").await {
        return 0;
    }
    noted(db).await.len()
}

#[tokio::test]
async fn a_lock_in_the_way_ends_the_migration_instead_of_everybody_else() {
    let db = support::db().await;
    migrator().up(&db).await.unwrap();
    let reader = db.begin().await.unwrap();
    reader.query("select from users", ()).await.unwrap();
    let files = [
        FILES[0],
        FILES[1],
        ("3_more.sql", "\nalter table users add more int"),
    ];
    let patient = of(&files).lock_timeout(Duration::from_millis(20));
    let error = patient.up(&db).await.unwrap_err();
    assert_eq!(
        error.sqlstate(),
        Some(&SqlState::LOCK_NOT_AVAILABLE),
        "{error}"
    );
    assert_eq!(error.migration().unwrap().line(), Some(2));

    let hurried = of(&files).deadline(Duration::from_millis(100));
    let error = hurried.up(&db).await.unwrap_err();
    assert!(
        error.kind() == ErrorKind::Timeout || error.sqlstate() == Some(&SqlState::QUERY_CANCELED),
        "{error}"
    );
    reader.rollback().await.unwrap();
    support::assert_whole(&db).await;
    assert_eq!(of(&files).up(&db).await.unwrap().len(), 1);
}
