//! Nothing takes effect twice: what may have been carried out is not sent again.

use std::sync::atomic::{AtomicU32, Ordering};

use aquifer::{Error, ErrorKind, Isolation, Retry, Session, TransactionOptions};
use aquifer_testkit::{Cut, Direction};

use crate::support::{self, proxied};

#[tokio::test]
async fn a_closure_whose_commit_lost_its_answer_is_not_run_again_whatever_failed_before() {
    let (proxy, db) = proxied(|config| config).await;
    db.execute_script("create table t (a int); create table log (n int); insert into t values (1)")
        .await
        .unwrap();
    let runs = AtomicU32::new(0);
    let repeatable = TransactionOptions::new().isolation(Isolation::RepeatableRead);
    let outcome = db
        .with_transaction_options(repeatable, async |tx| {
            runs.fetch_add(1, Ordering::Relaxed);
            tx.query("select a from t", ()).await?;
            db.detached().execute("update t set a = a + 1", ()).await?;
            // 40001, taken back with its savepoint: the transaction goes on.
            let conflict = tx
                .with_savepoint(async |savepoint| savepoint.execute("update t set a = 0", ()).await)
                .await;
            let conflict: Error = conflict.unwrap_err();
            assert_eq!(conflict.sqlstate().unwrap().code(), "40001");
            tx.execute("insert into log values (1)", ()).await?;
            proxy.cut(Cut::before(Direction::ToClient, b'C').containing("COMMIT"));
            Ok::<_, Error>(())
        })
        .await;
    proxy.clear_cuts();
    outcome.expect("the layer has found out that it took effect");
    let committed: i64 = db
        .query_value("select count(*) from log", ())
        .await
        .unwrap();
    assert_eq!((runs.into_inner(), committed), (1, 1));
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_closure_that_committed_by_itself_is_not_run_again() {
    let db = support::db().await;
    db.execute_script("create table t (a int); create table log (n int); insert into t values (1)")
        .await
        .unwrap();
    let runs = AtomicU32::new(0);
    let repeatable = TransactionOptions::new().isolation(Isolation::RepeatableRead);
    let outcome = db
        .with_transaction_options(repeatable, async |tx| {
            runs.fetch_add(1, Ordering::Relaxed);
            tx.query("select a from t", ()).await?;
            db.detached().execute("update t set a = a + 1", ()).await?;
            let conflict = tx
                .with_savepoint(async |savepoint| savepoint.execute("update t set a = 0", ()).await)
                .await;
            let conflict: Error = conflict.unwrap_err();
            tx.execute("insert into log values (1)", ()).await?;
            tx.commit().await?;
            Err::<(), _>(conflict)
        })
        .await;
    outcome.unwrap_err();
    let committed: i64 = db
        .query_value("select count(*) from log", ())
        .await
        .unwrap();
    assert_eq!((runs.into_inner(), committed), (1, 1));
}

#[tokio::test]
async fn a_procedure_that_commits_on_its_way_is_not_called_again() {
    let db = support::db().await;
    db.execute_script(
        "create table log (n int); \
         create procedure p() language plpgsql as $$ begin \
           insert into log values (1); commit; \
           raise exception 'conflict' using errcode = '40001'; end $$",
    )
    .await
    .unwrap();
    for (sql, done) in [
        ("call p()", 1),
        (
            "do $$ begin insert into log values (2); commit; \
             raise exception 'conflict' using errcode = '40001'; end $$",
            2,
        ),
    ] {
        let error = db.execute(sql, ()).await.unwrap_err();
        assert_eq!(error.sqlstate().unwrap().code(), "40001");
        assert_eq!(error.retry(), Retry::IfIdempotent, "{sql}");
        let rows: i64 = db
            .query_value("select count(*) from log", ())
            .await
            .unwrap();
        assert_eq!(rows, done, "{sql}");
    }
    let script = "begin; insert into log values (3); commit; \
                  do $$ begin raise exception 'conflict' using errcode = '40001'; end $$";
    let error = db.execute_script(script).await.unwrap_err();
    assert_eq!(error.retry(), Retry::IfIdempotent);
}

#[tokio::test]
async fn a_code_that_looks_like_a_stale_plan_but_comes_from_within_is_no_reason_to_repeat() {
    let db = support::db().await;
    db.execute_script(
        "create table log (n int); \
         create procedure p() language plpgsql as $$ begin \
           insert into log values (1); commit; execute 'execute no_such_statement'; end $$",
    )
    .await
    .unwrap();
    let error = db.execute("call p()", ()).await.unwrap_err();
    assert_eq!(error.sqlstate().unwrap().code(), "26000");
    let rows: i64 = db
        .query_value("select count(*) from log", ())
        .await
        .unwrap();
    assert_eq!(rows, 1);
}

#[tokio::test]
async fn a_write_that_a_view_hides_is_not_sent_twice_where_there_are_no_lanes() {
    let (proxy, db) = proxied(|config| {
        config
            .connections_max(2)
            .advanced(|advanced| advanced.lanes(0))
    })
    .await;
    db.execute_script(
        "create table log (n int); \
         create function note() returns int language sql volatile \
           as 'insert into log values (1) returning n'; \
         create view v as select note() as hidden_write",
    )
    .await
    .unwrap();
    support::assert_whole(&db).await;
    // Once when the statement is new, once when it is known.
    for round in 1..=2 {
        // The answer is lost after the server has carried the statement out.
        proxy.cut(Cut::before(Direction::ToClient, b'C').containing("SELECT 1"));
        let outcome = db.query("select hidden_write from v", ()).await;
        proxy.clear_cuts();
        let rows: i64 = db
            .query_value("select count(*) from log", ())
            .await
            .unwrap();
        assert_eq!(rows, 1, "{round}: {outcome:?}");
        if let Err(error) = outcome {
            assert_eq!(error.kind(), ErrorKind::Unknown, "{round}: {error}");
        }
        db.execute("delete from log", ()).await.unwrap();
    }
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn what_could_commit_its_key_without_the_work_is_refused() {
    let db = support::db().await;
    db.execute_script(
        "create procedure p() language plpgsql as \
         $$ begin commit; raise exception 'behind the commit'; end $$",
    )
    .await
    .unwrap();
    let once = db.idempotent("call");
    for _ in 0..2 {
        let error = once.execute("call p()", ()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
    }
    assert_eq!(once.execute("select 1", ()).await.unwrap(), 1);
}
