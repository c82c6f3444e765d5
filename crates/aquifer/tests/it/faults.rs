//! Connections that die, servers that go and come, answers that are cut.

use std::time::Duration;

use aquifer::{Config, Db, Error, ErrorKind, Retry, Session};
use aquifer_testkit::Postgres;

use crate::support;

async fn terminate_all(db: &Db, database: &str) {
    let admin = Db::connect(Postgres::shared().url()).await.unwrap();
    admin
        .query(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1",
            (database,),
        )
        .await
        .unwrap();
    admin.close().await.unwrap();
    let _ = db;
}

#[tokio::test]
async fn idle_connections_that_were_killed_are_noticed_without_an_error() {
    let db = support::db().await;
    let database: String = db
        .query_value("select current_database()::text", ())
        .await
        .unwrap();
    for round in 0..5_i32 {
        terminate_all(&db, &database).await;
        let read: i32 = db.query_value("select $1::int", (round,)).await.unwrap();
        assert_eq!(read, round);
    }
    support::assert_whole(&db).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_survive_kills_under_load() {
    let db = support::db().await;
    let database: String = db
        .query_value("select current_database()::text", ())
        .await
        .unwrap();
    let mut readers = tokio::task::JoinSet::new();
    for reader in 0..16_i64 {
        let db = db.clone();
        readers.spawn(async move {
            for round in 0..200_i64 {
                let tag = reader * 1000 + round;
                let own: i64 = db.query_value("select $1::bigint", (tag,)).await?;
                assert_eq!(own, tag);
            }
            Ok::<_, Error>(())
        });
    }
    for _ in 0..2 {
        terminate_all(&db, &database).await;
    }
    for outcome in readers.join_all().await {
        outcome.expect("a read is tried again");
    }
    support::assert_whole(&db).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_begin_although_sessions_are_killed() {
    let db = support::db().await;
    let database: String = db
        .query_value("select current_database()::text", ())
        .await
        .unwrap();
    let mut beginners = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let db = db.clone();
        beginners.spawn(async move {
            for _ in 0..50 {
                // That a session ends later is no error of its rollback.
                db.begin().await?.rollback().await?;
            }
            Ok::<_, Error>(())
        });
    }
    for _ in 0..3 {
        terminate_all(&db, &database).await;
    }
    for outcome in beginners.join_all().await {
        outcome.expect("BEGIN is sent again on another connection");
    }
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_transaction_whose_connection_dies_is_run_again() {
    let db = support::db().await;
    db.execute("create table t (a int)", ()).await.unwrap();
    let mut runs = 0;
    let counter = std::sync::Mutex::new(&mut runs);
    db.with_transaction(async |tx| {
        let first = {
            let mut runs = counter.lock().unwrap();
            **runs += 1;
            **runs == 1
        };
        tx.execute("insert into t values (1)", ()).await?;
        if first {
            let pid: i32 = tx.query_value("select pg_backend_pid()", ()).await?;
            db.detached()
                .query("select pg_terminate_backend($1)", (pid,))
                .await?;
        }
        tx.execute("insert into t values (2)", ()).await?;
        Ok::<_, Error>(())
    })
    .await
    .unwrap();
    assert_eq!(runs, 2);
    let rows: i64 = db.query_value("select count(*) from t", ()).await.unwrap();
    assert_eq!(rows, 2, "the first run left nothing");
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_write_whose_answer_was_cut_is_unknown_and_not_sent_again() {
    let db = support::db().await;
    db.execute_script("create table t (a int)").await.unwrap();
    let error = db
        .query(
            "insert into t select 1 from pg_terminate_backend(pg_backend_pid())",
            (),
        )
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.retry()),
        (ErrorKind::Unknown, Retry::IfIdempotent),
        "{error}"
    );
    assert_eq!(error.sqlstate().map(|state| state.code()), Some("57P01"));
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_restart_of_the_server_is_survived() {
    let server = Postgres::start();
    let db = Db::connect(server.url()).await.unwrap();
    db.execute("create table t (a int)", ()).await.unwrap();
    server.shut_down(aquifer_testkit::Shutdown::Immediate);
    let config_error = db
        .query("select * from t", ())
        .await
        .expect_err("nobody is there");
    assert!(
        matches!(
            config_error.kind(),
            ErrorKind::Acquire | ErrorKind::Connection
        ),
        "{config_error}"
    );
    server.start_again();
    let back = tokio::time::timeout(support::PATIENCE, async {
        while db.query("select * from t", ()).await.is_err() {}
    });
    assert!(back.await.is_ok());
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn an_exhausted_pool_says_how_it_stands() {
    let config = support::config(support::url())
        .connections_max(1)
        .acquire_timeout(Duration::from_millis(100));
    let db = Db::connect_with(&config).await.unwrap();
    let tx = db.begin().await.unwrap();
    let error = db.query("select 1", ()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.retry()),
        (ErrorKind::Acquire, Retry::Safe)
    );
    for part in ["connections_max 1", "1 in use", "acquire_timeout"] {
        assert!(
            error.to_string().contains(part),
            "{part} is not in: {error}"
        );
    }
    let holders = db.holders();
    assert_eq!(holders.len(), 1);
    assert!(
        holders[0].location.file().ends_with("faults.rs"),
        "{holders:?}"
    );
    drop(tx);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_call_ends_at_its_deadline_and_its_statement_with_it() {
    let config = Config::from_url(support::url())
        .unwrap()
        .query_timeout(Duration::from_millis(200));
    let db = Db::connect_with(&config).await.unwrap();
    let error = db.query("select pg_sleep(60)", ()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("query_timeout"), "{error}");
    support::assert_whole(&db).await;
    let running: i64 = db
        .query_value(
            "select count(*) from pg_stat_activity \
             where datname = current_database() and state = 'active' and query like '%pg_sleep(60)'",
            (),
        )
        .await
        .unwrap();
    assert_eq!(running, 0, "the abandoned statement was cancelled");
    // In a transaction the statement is cancelled, and the transaction can only be rolled back.
    let tx = db.begin().await.unwrap();
    let error = tx.query("select pg_sleep(60)", ()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let error = tx.query("select 1", ()).await.unwrap_err();
    assert_eq!(error.sqlstate().map(|state| state.code()), Some("25P02"));
    tx.rollback().await.unwrap();
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_read_outlives_more_ends_of_sessions_than_it_has_attempts() {
    let db = support::db().await;
    // It looks like a read, and waits until the lock is free.
    db.execute_script(
        "create function waits() returns int stable language plpgsql as \
         'begin perform pg_advisory_xact_lock_shared(1); return 7; end'",
    )
    .await
    .unwrap();
    let holder = db.dedicated().await.unwrap();
    holder
        .query("select pg_advisory_lock(1)", ())
        .await
        .unwrap();
    let reader = tokio::spawn({
        let db = db.clone();
        async move { db.query_value::<i32>("select waits()", ()).await }
    });
    let mut ended = Vec::new();
    for _ in 0..5 {
        let waiting = loop {
            let pids: Vec<i32> = holder
                .query_column(
                    "select pid from pg_locks where locktype = 'advisory' and not granted",
                    (),
                )
                .await
                .unwrap();
            if let Some(pid) = pids.into_iter().find(|pid| !ended.contains(pid)) {
                break pid;
            }
            assert!(!reader.is_finished(), "{:?}", reader.await);
        };
        holder
            .query("select pg_terminate_backend($1)", (waiting,))
            .await
            .unwrap();
        ended.push(waiting);
    }
    holder
        .query("select pg_advisory_unlock(1)", ())
        .await
        .unwrap();
    assert_eq!(reader.await.unwrap().unwrap(), 7);
    drop(holder);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_connection_lost_before_commit_says_that_a_retry_is_safe() {
    let db = support::db().await;
    let tx = db.begin().await.unwrap();
    // The server rolls back what it has no COMMIT for, so nothing is in doubt.
    let error = tx
        .query("select pg_terminate_backend(pg_backend_pid())", ())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
    assert_eq!(error.retry(), Retry::Safe, "{error}");
    drop(tx);
    support::assert_whole(&db).await;
}
