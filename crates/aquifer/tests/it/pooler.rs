//! Behind PgBouncer in transaction mode: what works, what is refused, and what stays true.

use std::sync::Arc;
use std::time::Duration;

use aquifer::{Batch, Config, Db, Error, ErrorKind, Pooler, Session, TransactionOptions};
use aquifer_testkit::{PgBouncer, Postgres};
use tokio::task::JoinSet;

use crate::support;

/// A pool behind a pooler, which lives as long as the pool.
async fn behind(settings: &[&str], change: impl FnOnce(Config) -> Config) -> (PgBouncer, Db) {
    let server = Postgres::shared();
    let pooler = PgBouncer::start_with(server, settings);
    let url = pooler.url(server, &server.create_database());
    let config = change(support::config(url));
    let db = Db::connect_with(&config).await.unwrap();
    support::until("the lanes are open", || {
        let status = db.pool_status();
        status.lanes == status.lanes_max
    })
    .await;
    (pooler, db)
}

const READ_ONLY: &str = "select current_setting('transaction_read_only')";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_and_transactions_work_and_nobody_gets_a_foreign_reply() {
    // Fewer sessions than clients: each is lent to several in turn.
    let (_pooler, db) = behind(&["default_pool_size = 3"], |config| config).await;
    db.execute("create table t (a bigint primary key, n int not null)", ())
        .await
        .unwrap();
    let mut tasks = JoinSet::new();
    for worker in 0..32_i64 {
        let db = db.clone();
        tasks.spawn(async move {
            for round in 0..20 {
                let tag = worker * 100 + round;
                let own: i64 = db.query_value("select $1::bigint", (tag,)).await?;
                assert_eq!(own, tag);
                let sql = "insert into t values ($1, 0)";
                assert_eq!(db.execute(sql, (tag,)).await?, 1);
                let raise = "update t set n = n + 1 where a = $1";
                let batch = Batch::new().add(raise, (tag,)).add(raise, (tag,));
                assert_eq!(db.batch(batch).await?, [1, 1]);
                db.with_transaction(async |tx| {
                    tx.execute(raise, (tag,)).await?;
                    tx.with_savepoint(async |inner| inner.execute(raise, (tag,)).await)
                        .await
                })
                .await?;
                let n: i32 = db
                    .query_value("select n from t where a = $1", (tag,))
                    .await?;
                assert_eq!(n, 4);
            }
            Ok::<_, Error>(())
        });
    }
    for outcome in tasks.join_all().await {
        outcome.unwrap();
    }
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn reads_on_lanes_are_kept_from_writing_and_others_are_not() {
    let (_pooler, db) = behind(&[], |config| config).await;
    // Only a lane's guard sets the limit, which tells that these run on one.
    let sql =
        "select current_setting('transaction_read_only'), current_setting('statement_timeout')";
    let exclusive: (String, String) = db.exclusive().query_one(sql, ()).await.unwrap();
    assert_eq!(exclusive, ("on".to_owned(), "0".to_owned()));
    for _ in 0..10 {
        let shared: (String, String) = db.shared().query_one(sql, ()).await.unwrap();
        assert_eq!(shared, ("on".to_owned(), "250ms".to_owned()));
    }
    let tx = db.begin().await.unwrap();
    let read_only: String = tx.query_value(READ_ONLY, ()).await.unwrap();
    assert_eq!(read_only, "off", "the guard ended with its read");
    tx.rollback().await.unwrap();
    let options = TransactionOptions::new().read_only();
    let tx = db.begin_with(options).await.unwrap();
    let read_only: String = tx.query_value(READ_ONLY, ()).await.unwrap();
    assert_eq!(read_only, "on");
    drop(tx);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_hidden_write_is_neither_lost_nor_doubled() {
    let (_pooler, db) = behind(&[], |config| config).await;
    db.execute_script(
        "create table log (a bigint); \
         create function hidden(a bigint) returns bigint language sql stable as $$ select a $$; \
         create function writes(a bigint) returns bigint language plpgsql as \
         $$ begin insert into log values (a); return a; end $$; \
         create view sneaky as select writes(1) as a",
    )
    .await
    .unwrap();
    for call in 1..=20_i64 {
        let a: i64 = db.query_value("select a from sneaky", ()).await.unwrap();
        assert_eq!(a, 1);
        let rows: i64 = db
            .query_value("select count(*) from log", ())
            .await
            .unwrap();
        assert_eq!(rows, call);
    }
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn what_needs_a_session_is_refused_and_leaves_nothing_behind() {
    let (_pooler, db) = behind(&["default_pool_size = 1"], |config| config).await;
    let refused = |error: Error| {
        assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
        assert!(error.to_string().contains("pooler"), "{error}");
    };
    refused(db.dedicated().await.unwrap_err());
    refused(db.listen(["channel"]).await.unwrap_err());
    let statements = [
        "set work_mem = '1MB'",
        "create temp table t (a int)",
        "listen channel",
        "select pg_advisory_lock(1)",
        "select set_config('app.x', 'y', false)",
        "prepare p as select 1",
    ];
    for sql in statements {
        refused(db.execute(sql, ()).await.unwrap_err());
        refused(db.execute_script(sql).await.unwrap_err());
        refused(db.batch(Batch::new().add(sql, ())).await.unwrap_err());
        let tx = db.begin().await.unwrap();
        refused(tx.execute(sql, ()).await.unwrap_err());
        refused(tx.execute_script(sql).await.unwrap_err());
        tx.rollback().await.unwrap();
    }
    // What ends with its transaction is fine.
    let tx = db.begin().await.unwrap();
    tx.execute("set local work_mem = '1MB'", ()).await.unwrap();
    tx.query("select pg_advisory_xact_lock(1)", ())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let left: String = db
        .query_value("select current_setting('work_mem')", ())
        .await
        .unwrap();
    assert_eq!(left, "4MB");
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn settings_of_a_handle_end_with_its_statement() {
    let (_pooler, db) = behind(&["default_pool_size = 1"], |config| config).await;
    let sql = "select coalesce(current_setting('app.tenant', true), '')";
    let one = db.with_settings([("app.tenant", "one")]).unwrap();
    for _ in 0..10 {
        let own: String = one.query_value(sql, ()).await.unwrap();
        assert_eq!(own, "one");
        let other: String = db.query_value(sql, ()).await.unwrap();
        assert_eq!(other, "");
    }
    let own: String = one
        .with_transaction(async |tx| tx.query_value(sql, ()).await)
        .await
        .unwrap();
    assert_eq!(own, "one");
}

#[tokio::test]
async fn a_lanes_limit_holds_and_a_call_ends_at_its_deadline() {
    let (_pooler, db) = behind(&[], |config| {
        config.advanced(|advanced| advanced.lane_timeout(Duration::from_millis(50)))
    })
    .await;
    let sql = "select count(*) from generate_series(1, $1::int)";
    let _quick: i64 = db.query_value(sql, (1,)).await.unwrap();
    let count: i64 = db.shared().query_value(sql, (4_000_000,)).await.unwrap();
    assert_eq!(count, 4_000_000);
    let hasty = db.with_query_timeout(Duration::from_millis(100));
    let error = hasty.query("select pg_sleep(600)", ()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_call_that_is_dropped_at_any_poll_leaves_the_pool_whole() {
    let (_pooler, db) = behind(&[], |config| config).await;
    db.execute("create table t (a int)", ()).await.unwrap();
    let write = "insert into t values (1), (-1) returning (select 7)";
    support::abort_at_every_poll(&db, || db.query(write, ())).await;
    support::abort_at_every_poll(&db, || db.query("select 1", ())).await;
    support::abort_at_every_poll(&db, || {
        db.with_transaction(async |tx| tx.execute("insert into t values (2), (-2)", ()).await)
    })
    .await;
    let sum: i64 = db
        .query_value("select coalesce(sum(a), 0) from t", ())
        .await
        .unwrap();
    assert_eq!(sum, 0, "whole or not at all");
}

#[tokio::test]
async fn changed_tables_are_noticed_although_nothing_is_prepared() {
    let (_pooler, db) = behind(&[], |config| config).await;
    db.execute("create table t (a int)", ()).await.unwrap();
    db.execute("insert into t values (1)", ()).await.unwrap();
    for _ in 0..3 {
        let rows = db.query("select * from t", ()).await.unwrap();
        assert!(rows[0].get::<String>("b").is_err());
    }
    db.execute("alter table t add b text default 'new'", ())
        .await
        .unwrap();
    for _ in 0..3 {
        let rows = db.query("select * from t", ()).await.unwrap();
        assert_eq!(rows[0].get::<String>("b").unwrap(), "new");
    }
}

#[tokio::test]
async fn a_pooler_that_ignores_settings_is_recognized_or_can_be_named() {
    let ignoring = "ignore_startup_parameters = client_connection_check_interval, \
                    default_transaction_read_only, statement_timeout";
    let named = |config: Config| config.advanced(|advanced| advanced.pooler(Pooler::Transaction));
    let (_pooler, db) = behind(&[ignoring], named).await;
    assert!(db.dedicated().await.is_err());
    let (_pooler, db) = behind(&[ignoring], |config| config).await;
    assert!(
        db.dedicated().await.is_err(),
        "a lane would not be read-only"
    );
    db.query("select 1", ()).await.unwrap();
    // Against better knowledge there is no lane, and so nothing is run without its guard.
    let server = Postgres::shared();
    let pooler = PgBouncer::start_with(server, &[ignoring]);
    let losses = support::Losses::default();
    let config = support::config(pooler.url(server, &server.create_database()))
        .observer(Arc::new(losses.clone()))
        .advanced(|advanced| advanced.pooler(Pooler::None));
    let db = Db::connect_with(&config).await.unwrap();
    support::until("a lane is refused", || losses.text().contains("read-only")).await;
    assert_eq!(db.pool_status().lanes, 0);
}

#[tokio::test]
async fn whoever_says_that_there_is_none_is_told_otherwise() {
    let server = Postgres::shared();
    let pooler = PgBouncer::start(server);
    let url = pooler.url(server, &server.create_database());
    let config = support::config(url).advanced(|advanced| advanced.pooler(Pooler::None));
    let error = Db::connect_with(&config).await.unwrap_err();
    assert!(error.to_string().contains("startup parameter"), "{error}");
}
