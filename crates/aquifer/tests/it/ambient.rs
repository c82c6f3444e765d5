//! Calls on the same `Db` inside a closure join its transaction; these are the limits.

use aquifer::{Error, ErrorKind, Session};

use crate::support;

const COUNT: &str = "select count(*) from t";

#[tokio::test]
async fn calls_on_the_same_db_join_and_go_with_it() {
    let db = support::db().await;
    db.execute("create table t (a int)", ()).await.unwrap();
    let outcome = db
        .with_transaction(async |tx| {
            db.execute("insert into t values (1)", ()).await?;
            let seen: i64 = tx.query_value(COUNT, ()).await?;
            assert_eq!(seen, 1, "the call on the Db was part of the transaction");
            let seen: i64 = db.query_value(COUNT, ()).await?;
            assert_eq!(seen, 1, "and so are reads, which take no shared lane");
            let outside: i64 = db.detached().query_value(COUNT, ()).await?;
            assert_eq!(outside, 0, "a detached handle is outside");
            Err::<(), _>(
                tx.query_one::<(i32,)>("select 1 where false", ())
                    .await
                    .unwrap_err(),
            )
        })
        .await;
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::NotFound);
    let left: i64 = db.query_value(COUNT, ()).await.unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_spawned_task_does_not_inherit_it() {
    let db = support::db().await;
    db.execute("create table t (a int)", ()).await.unwrap();
    db.with_transaction(async |_tx| {
        db.execute("insert into t values (1)", ()).await?;
        let other = db.clone();
        let outside: i64 = tokio::spawn(async move { other.query_value(COUNT, ()).await })
            .await
            .unwrap()?;
        assert_eq!(outside, 0);
        Ok::<_, Error>(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn another_db_is_not_joined() {
    let (db, other) = (support::db().await, support::db().await);
    other.execute("create table t (a int)", ()).await.unwrap();
    let outcome = db
        .with_transaction(async |tx| {
            other.execute("insert into t values (1)", ()).await?;
            Err::<(), _>(
                tx.query_one::<(i32,)>("select 1 where false", ())
                    .await
                    .unwrap_err(),
            )
        })
        .await;
    outcome.unwrap_err();
    let left: i64 = other.query_value(COUNT, ()).await.unwrap();
    assert_eq!(left, 1);
}

#[tokio::test]
async fn calls_at_once_share_the_one_connection() {
    let db = support::db_of(3).await;
    db.execute("create table t (a int)", ()).await.unwrap();
    let pids: (i32, i32, i32) = db
        .with_transaction(async |tx| {
            tokio::try_join!(
                tx.query_value("select pg_backend_pid()", ()),
                db.query_value("select pg_backend_pid()", ()),
                db.query_value("select pg_backend_pid() + 0", ()),
            )
        })
        .await
        .unwrap();
    assert!(pids.0 == pids.1 && pids.1 == pids.2, "{pids:?}");
}

#[tokio::test]
async fn a_transaction_inside_is_a_savepoint() {
    let db = support::db().await;
    db.execute("create table t (a int)", ()).await.unwrap();
    db.with_transaction(async |_tx| {
        db.execute("insert into t values (1)", ()).await?;
        let inner = db
            .with_transaction(async |inner| {
                db.execute("insert into t values (2)", ()).await?;
                let seen: i64 = inner.query_value(COUNT, ()).await?;
                assert_eq!(seen, 2);
                inner.execute("select 1/0", ()).await?;
                Ok::<_, Error>(())
            })
            .await;
        assert_eq!(inner.unwrap_err().sqlstate().unwrap().code(), "22012");
        let guard = db.begin().await?;
        guard.execute("insert into t values (3)", ()).await?;
        guard.commit().await?;
        Ok::<_, Error>(())
    })
    .await
    .unwrap();
    let left: Vec<i32> = db
        .query_column("select a from t order by a", ())
        .await
        .unwrap();
    assert_eq!(left, [1, 3]);
}

#[tokio::test]
async fn a_second_savepoint_at_once_is_refused_and_does_not_wait() {
    let db = support::db().await;
    db.execute("create table t (a int)", ()).await.unwrap();
    let outcome = db
        .with_transaction(async |tx| {
            let first = tx.begin().await?;
            let second = tx.begin().await;
            assert_eq!(second.unwrap_err().kind(), ErrorKind::Transaction);
            first.commit().await
        })
        .await;
    outcome.unwrap();
}
