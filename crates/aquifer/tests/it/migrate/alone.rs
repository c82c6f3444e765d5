//! Files that begin with `-- no-transaction`.

use aquifer::migrate::MigrationState;
use aquifer::{AssertSafe, ErrorKind, MigrationProblem, Session};

use super::{noted, of, states, value};
use crate::support;

const TABLE: (&str, &str) = ("1_table.sql", "create table t (a int, b int)");

#[tokio::test]
async fn several_statements_take_effect_one_by_one() {
    let db = support::db().await;
    let files = [
        TABLE,
        (
            "2_indexes.up.sql",
            "-- no-transaction\nset lock_timeout = '5s';\n\
             create index concurrently t_a on t (a);\ncreate index concurrently t_b on t (b);\n\
             begin; insert into t values (1, 1); commit;\nvacuum t;",
        ),
        (
            "2_indexes.down.sql",
            "-- no-transaction\ndrop index concurrently t_a;\ndrop index concurrently t_b;",
        ),
        ("3_after.sql", "insert into t values (2, 2)"),
    ];
    let migrator = of(&files);
    assert_eq!(migrator.up(&db).await.unwrap().len(), 3);
    assert_eq!(noted(&db).await, [(1, true), (2, true), (3, true)]);
    assert_eq!(value::<i64>(&db, "select count(*) from t").await, 2);
    let known = "select count(*) from _sqlx_migrations where execution_time > 0";
    assert_eq!(value::<i64>(&db, known).await, 3);
    db.execute("delete from _sqlx_migrations where version = 3", ())
        .await
        .unwrap();
    assert_eq!(migrator.down(&db).await.unwrap().unwrap().version, 2);
    let indexes = "select count(*) from pg_indexes where tablename = 't'";
    assert_eq!(value::<i64>(&db, indexes).await, 0);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_failure_is_left_for_the_next_runner_to_see() {
    let db = support::db().await;
    let bad = "-- no-transaction\ninsert into t values (1, 1);\n\
               insert into t values (1, 1 / 0);\ninsert into t values (3, 3)";
    let migrator = of(&[TABLE, ("2_bad.sql", bad)]);
    let error = migrator.up(&db).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Database);
    assert_eq!(error.migration().unwrap().line(), Some(3), "{error}");
    assert!(error.to_string().contains("stays"), "{error}");
    assert_eq!(noted(&db).await, [(1, true), (2, false)]);
    let dirty = [(1, MigrationState::Applied), (2, MigrationState::Dirty)];
    assert_eq!(states(&migrator, &db).await, dirty);
    let error = migrator.up(&db).await.unwrap_err();
    assert_eq!(
        error.migration().unwrap().problem(),
        MigrationProblem::Dirty
    );

    // The remedy that the error names, word by word.
    let text = error.to_string();
    let (_, remedy) = text.split_once("run again, `").unwrap();
    let (remedy, _) = remedy.split_once('`').unwrap();
    db.execute(AssertSafe(remedy.to_owned()), ()).await.unwrap();
    let good = "-- no-transaction\ninsert into t values (2, 2);";
    let applied = of(&[TABLE, ("2_good.sql", good)]).up(&db).await.unwrap();
    assert_eq!(applied.len(), 1);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_transaction_that_is_left_open_is_a_failure() {
    let db = support::db().await;
    let open = "-- no-transaction\nbegin;\ninsert into t values (1, 1);";
    let error = of(&[TABLE, ("2_open.sql", open)])
        .up(&db)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Migration, "{error}");
    assert_eq!(noted(&db).await, [(1, true), (2, false)]);
    assert_eq!(value::<i64>(&db, "select count(*) from t").await, 0);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn what_could_never_run_is_refused_before_anything_is_noted() {
    let db = support::db().await;
    let copy = "-- no-transaction\ncopy t from stdin;";
    let error = of(&[TABLE, ("2_copy.sql", copy)])
        .up(&db)
        .await
        .unwrap_err();
    assert_eq!(error.migration().unwrap().line(), Some(2), "{error}");
    assert_eq!(noted(&db).await, [(1, true)]);
}
