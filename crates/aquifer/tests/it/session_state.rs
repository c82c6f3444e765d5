//! What one caller does to a session does not reach the next one.

use aquifer::{Db, Session};

use crate::support;

/// One connection, so that the next caller gets the same.
async fn one() -> Db {
    support::db_of(1).await
}

#[tokio::test]
async fn a_setting_of_a_committed_transaction() {
    let db = one().await;
    let tx = db.begin().await.unwrap();
    tx.execute("set work_mem = '7MB'", ()).await.unwrap();
    tx.query("select set_config('application_name', 'leak', false)", ())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let left: (String, String) = db
        .query_one(
            "select current_setting('work_mem'), current_setting('application_name')",
            (),
        )
        .await
        .unwrap();
    assert_ne!(left.0, "7MB");
    assert_ne!(left.1, "leak");
}

#[tokio::test]
async fn a_temporary_table_a_lock_and_a_channel_of_a_committed_transaction() {
    let db = one().await;
    for way in 0..3 {
        let tx = db.begin().await.unwrap();
        match way {
            0 => {
                tx.execute("create temp table mine (a int)", ())
                    .await
                    .unwrap();
                tx.query("select pg_advisory_lock(7)", ()).await.unwrap();
                tx.execute("listen news", ()).await.unwrap();
            }
            1 => {
                let batch = aquifer::Batch::new()
                    .add("create temp table mine (a int)", ())
                    .add("select pg_advisory_lock(7)", ())
                    .add("listen news", ());
                tx.batch(batch).await.unwrap();
            }
            _ => tx
                .execute_script(
                    "create temp table mine (a int); select pg_advisory_lock(7); listen news",
                )
                .await
                .unwrap(),
        }
        tx.commit().await.unwrap();
        let left: (bool, i64, i64) = db
            .query_one(
                "select to_regclass('pg_temp.mine') is not null, \
                 (select count(*) from pg_locks where locktype = 'advisory'), \
                 (select count(*) from pg_listening_channels())",
                (),
            )
            .await
            .unwrap();
        assert_eq!(left, (false, 0, 0), "way {way}");
    }
}

#[tokio::test]
async fn a_statement_prepared_by_sql() {
    let db = one().await;
    for _ in 0..2 {
        let session = db.dedicated().await.unwrap();
        session.execute("prepare p as select 1", ()).await.unwrap();
        drop(session);
        support::assert_whole(&db).await;
        db.execute("prepare p as select 2", ())
            .await
            .expect("the name is free again");
    }
    let left: i64 = db
        .query_value(
            "select count(*) from pg_prepared_statements where from_sql",
            (),
        )
        .await
        .unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_role_of_the_connection_outlives_a_reset() {
    let server = aquifer_testkit::Postgres::shared();
    let database = server.create_database();
    let role = format!("role_of_{}", database.name);
    server.psql(&format!("create role {role}; grant {role} to current_user"));
    let options = format!("options=-c%20role%3D{role}");
    let separator = if database.url.contains('?') { '&' } else { '?' };
    let config =
        support::config(format!("{}{separator}{options}", database.url)).connections_max(1);
    let db = Db::connect_with(&config).await.unwrap();
    const USER: &str = "select current_user::text";
    let before: String = db.query_value(USER, ()).await.unwrap();
    assert_eq!(before, role);
    drop(db.dedicated().await.unwrap());
    support::assert_whole(&db).await;
    let after: String = db.query_value(USER, ()).await.unwrap();
    assert_eq!(after, role);
}

#[tokio::test]
async fn a_temporary_table_with_the_name_of_a_real_one() {
    const READ: &str = "select a from t where a = $1";
    let db = support::db_of(2).await;
    db.execute_script("create table t (a bigint); insert into t values (1)")
        .await
        .unwrap();
    let session = db.dedicated().await.unwrap();
    session
        .execute_script("create temp table t (a text); insert into t values ('x')")
        .await
        .unwrap();
    let own: String = session.query_value(READ, ("x",)).await.unwrap();
    assert_eq!(own, "x");
    drop(session);
    support::assert_whole(&db).await;
    let real: i64 = db
        .query_value(READ, (1_i64,))
        .await
        .expect("what a session made of the name concerns nobody else");
    assert_eq!(real, 1);
    // The other way round, and within a transaction.
    let tx = db.begin().await.unwrap();
    let real: i64 = tx.query_value(READ, (1_i64,)).await.unwrap();
    assert_eq!(real, 1);
    tx.execute("create temp table t (a text) on commit drop", ())
        .await
        .unwrap();
    tx.execute("insert into t values ($1)", ("y",))
        .await
        .unwrap();
    let own: String = tx.query_value(READ, ("y",)).await.unwrap();
    assert_eq!(own, "y");
    tx.commit().await.unwrap();
    let real: i64 = db.query_value(READ, (1_i64,)).await.unwrap();
    assert_eq!(real, 1);
}

#[tokio::test]
async fn a_search_path_of_one_transaction() {
    const READ: &str = "select v from t where v = $1";
    let db = support::db_of(1).await;
    db.execute_script(
        "create schema one; create schema two; \
         create table one.t (v bigint); create table two.t (v text); \
         insert into one.t values (1); insert into two.t values ('x')",
    )
    .await
    .unwrap();
    for _ in 0..2 {
        let tx = db.begin().await.unwrap();
        tx.execute("set local search_path = one", ()).await.unwrap();
        let one: i64 = tx.query_value(READ, (1_i64,)).await.unwrap();
        assert_eq!(one, 1);
        tx.commit().await.unwrap();
        let tx = db.begin().await.unwrap();
        tx.query("select set_config('search_path', 'two', true)", ())
            .await
            .unwrap();
        let two: String = tx.query_value(READ, ("x",)).await.unwrap();
        assert_eq!(two, "x");
        tx.commit().await.unwrap();
    }
    let error = db.query(READ, (1_i64,)).await.unwrap_err();
    assert_eq!(error.sqlstate().unwrap().code(), "42P01");
}
