//! A team comes from sqlx and goes back.

use aquifer::migrate::{MigrationState, Migrator};
use aquifer::{MigrationProblem, Session};

use super::{noted, states, value};
use crate::support;

/// What sqlx itself has written for the files in `tests/fixtures/sqlx`.
const TABLE: &str = include_str!("../../fixtures/sqlx/table.psql");

fn migrator() -> Migrator {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/sqlx");
    Migrator::from_dir(directory).unwrap()
}

#[tokio::test]
async fn what_sqlx_has_applied_is_applied() {
    let db = support::db().await;
    db.execute_script(TABLE).await.unwrap();
    let migrator = migrator();
    for (version, state) in states(&migrator, &db).await {
        assert_eq!(state, MigrationState::Applied, "{version}");
    }
    assert_eq!(migrator.up(&db).await.unwrap(), []);
    let status = migrator.status(&db).await.unwrap();
    assert_eq!(status[0].execution_time.unwrap().as_nanos(), 3_816_275);
}

#[tokio::test]
async fn the_table_is_the_one_that_sqlx_makes() {
    let (ours, theirs) = (support::db().await, support::db().await);
    migrator().up(&ours).await.unwrap();
    theirs.execute_script(TABLE).await.unwrap();
    let columns = "select attname::text, format_type(atttypid, atttypmod), attnotnull, \
                   pg_get_expr(adbin, adrelid) from pg_attribute \
                   left join pg_attrdef on adrelid = attrelid and adnum = attnum \
                   where attrelid = '_sqlx_migrations'::regclass and attnum > 0 order by attnum";
    type Column = (String, String, bool, Option<String>);
    let keys = "select pg_get_constraintdef(oid) from pg_constraint \
                where conrelid = '_sqlx_migrations'::regclass order by 1";
    let rows = "select version, description, success, checksum from _sqlx_migrations order by 1";
    type Row = (i64, String, bool, Vec<u8>);
    assert_eq!(
        ours.query_as::<Column>(columns, ()).await.unwrap(),
        theirs.query_as::<Column>(columns, ()).await.unwrap()
    );
    assert_eq!(
        ours.query_column::<String>(keys, ()).await.unwrap(),
        theirs.query_column::<String>(keys, ()).await.unwrap()
    );
    assert_eq!(
        ours.query_as::<Row>(rows, ()).await.unwrap(),
        theirs.query_as::<Row>(rows, ()).await.unwrap()
    );
    let unknown = "select count(*) from _sqlx_migrations where execution_time <= 0";
    assert_eq!(value::<i64>(&ours, unknown).await, 0);
}

#[tokio::test]
async fn what_sqlx_has_applied_can_be_reverted() {
    let db = support::db().await;
    db.execute_script(TABLE).await.unwrap();
    let create =
        "create table users (id bigint, name text); create index users_name on users (name)";
    db.execute_script(create).await.unwrap();
    let error = migrator().down(&db).await.unwrap_err();
    let fault = error.migration().unwrap();
    assert_eq!(fault.problem(), MigrationProblem::Irreversible);
    db.execute(
        "delete from _sqlx_migrations where version = 20240301120000",
        (),
    )
    .await
    .unwrap();
    assert_eq!(migrator().down_to(&db, 0).await.unwrap().len(), 2);
    assert_eq!(noted(&db).await, []);
    assert!(value::<bool>(&db, "select to_regclass('users') is null").await);
}
