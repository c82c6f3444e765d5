//! Faults of whole servers and networks under load: what was promised holds, nothing is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use aquifer::{Config, Db, Error, ErrorKind, Retry, Session};
use aquifer_testkit::{Mode, Postgres, Proxy};
use tokio::task::JoinSet;

use crate::support;

/// What writers were told, to be compared with what is in the table.
#[derive(Default)]
struct Ledger {
    done: AtomicI64,
    unknown: AtomicI64,
}

/// Reads and writes until `stop`; every read must succeed, every write that fails must say how.
fn load(db: &Db, ledger: &Arc<Ledger>, stop: &Arc<AtomicBool>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for worker in 0..16_i64 {
        let (db, ledger, stop) = (db.clone(), Arc::clone(ledger), Arc::clone(stop));
        tasks.spawn(async move {
            let mut round = 0;
            while !stop.load(Ordering::Relaxed) {
                round += 1;
                let tag = worker * 1_000_000 + round;
                let own: i64 = db.query_value("select $1::bigint", (tag,)).await.unwrap();
                assert_eq!(own, tag, "a foreign reply");
                match db.execute("insert into t values ($1)", (tag,)).await {
                    Ok(_) => ledger.done.fetch_add(1, Ordering::Relaxed),
                    Err(error) if error.kind() == ErrorKind::Unknown => {
                        assert_eq!(error.retry(), Retry::IfIdempotent);
                        ledger.unknown.fetch_add(1, Ordering::Relaxed)
                    }
                    Err(error) => {
                        assert_eq!(error.retry(), Retry::Safe, "{error:?}");
                        0
                    }
                };
            }
        });
    }
    tasks
}

async fn assert_ledger(db: &Db, ledger: &Ledger) {
    let rows: i64 = db.query_value("select count(*) from t", ()).await.unwrap();
    let distinct: i64 = db
        .query_value("select count(distinct a) from t", ())
        .await
        .unwrap();
    assert_eq!(rows, distinct, "a write took effect twice");
    let (done, unknown) = (
        ledger.done.load(Ordering::Relaxed),
        ledger.unknown.load(Ordering::Relaxed),
    );
    assert!(done > 0);
    assert!(
        (done..=done + unknown).contains(&rows),
        "{rows} rows, {done} done, {unknown} unknown"
    );
}

async fn with_table(url: &str, change: impl FnOnce(Config) -> Config) -> Db {
    // Attempts enough for the time in which the server recovers.
    let config = support::config(url)
        .acquire_timeout(Duration::from_secs(25))
        .advanced(|advanced| advanced.attempts_max(100));
    let db = Db::connect_with(&change(config)).await.unwrap();
    db.execute("create table t (a bigint)", ()).await.unwrap();
    db
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_backend_is_killed_and_the_server_starts_all_anew() {
    let server = Postgres::start();
    let db = with_table(server.url(), |config| config).await;
    let (ledger, stop) = (Arc::default(), Arc::default());
    let tasks = load(&db, &ledger, &stop);
    for _ in 0..2 {
        let before = ledger.done.load(Ordering::Relaxed);
        support::until("writes succeed", || {
            ledger.done.load(Ordering::Relaxed) > before + 100
        })
        .await;
        let pid: i32 = db
            .exclusive()
            .query_value("select pg_backend_pid()", ())
            .await
            .unwrap();
        server.kill_backend(u32::try_from(pid).unwrap());
    }
    let before = ledger.done.load(Ordering::Relaxed);
    support::until("writes succeed again", || {
        ledger.done.load(Ordering::Relaxed) > before + 100
    })
    .await;
    stop.store(true, Ordering::Relaxed);
    tasks.join_all().await;
    assert_ledger(&db, &ledger).await;
    support::assert_whole(&db).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_is_killed_and_comes_back_and_is_not_stormed() {
    let server = Postgres::start();
    let db = with_table(server.url(), |config| config.connections_max(6)).await;
    let (ledger, stop) = (Arc::default(), Arc::default());
    let tasks = load(&db, &ledger, &stop);
    let most = Arc::new(AtomicUsize::new(0));
    support::until("writes succeed", || {
        ledger.done.load(Ordering::Relaxed) > 100
    })
    .await;
    server.kill();
    support::until("all connections are gone", || {
        let status = db.pool_status();
        most.fetch_max(status.connecting, Ordering::Relaxed);
        status.idle + status.in_use + status.lanes == 0 && status.waiting > 0
    })
    .await;
    assert!(most.load(Ordering::Relaxed) <= 1, "one while it is away");
    server.start_again();
    let before = ledger.done.load(Ordering::Relaxed);
    support::until("writes succeed again", || {
        ledger.done.load(Ordering::Relaxed) > before + 100
    })
    .await;
    stop.store(true, Ordering::Relaxed);
    tasks.join_all().await;
    assert_ledger(&db, &ledger).await;
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_backend_that_stands_still_costs_its_caller_the_deadline_and_the_pool_nothing() {
    let server = Postgres::start();
    let db = with_table(server.url(), |config| config).await;
    let hasty = db.with_query_timeout(Duration::from_secs(2));
    let tx = hasty.begin().await.unwrap();
    let pid: i32 = tx.query_value("select pg_backend_pid()", ()).await.unwrap();
    let pid = u32::try_from(pid).unwrap();
    server.pause_backend(pid);
    let error = tx
        .execute("insert into t values (1)", ())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    drop(tx);
    for tag in 0..20_i64 {
        let own: i64 = db.query_value("select $1::bigint", (tag,)).await.unwrap();
        assert_eq!(own, tag);
    }
    // Within the bound of the clean-up, although nobody answers its cancel.
    support::assert_whole(&db).await;
    server.resume_backend(pid);
    let rows: i64 = db.query_value("select count(*) from t", ()).await.unwrap();
    assert_eq!(rows, 0, "it was part of a transaction");
}

#[tokio::test]
async fn a_postmaster_that_stands_still_harms_only_new_connections() {
    let server = Postgres::start();
    let db = with_table(server.url(), |config| {
        config
            .connections_max(3)
            .connect_timeout(Duration::from_secs(1))
            .acquire_timeout(Duration::from_millis(2500))
            .advanced(|advanced| advanced.lanes(1).attempts_max(1))
    })
    .await;
    support::until("the lane is open", || db.pool_status().lanes == 1).await;
    let held = db.begin().await.unwrap();
    server.pause();
    held.execute("insert into t values (1)", ()).await.unwrap();
    let one: i64 = held
        .query_value("select count(*) from t", ())
        .await
        .unwrap();
    assert_eq!(one, 1);
    // There is no second connection to be had, and its opening is bounded.
    let error = db.begin().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Acquire, "{error}");
    held.commit().await.unwrap();
    db.execute("insert into t values (2)", ()).await.unwrap();
    server.resume();
    let both = (db.begin().await.unwrap(), db.begin().await.unwrap());
    drop(both);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn reads_whose_network_falls_silent_end_in_time_and_cost_no_capacity() {
    let proxy = Proxy::to_postgres(Postgres::shared());
    let url = proxy.through(Postgres::shared().tcp_url());
    let losses = support::Losses::default();
    let config = Config::from_url(url)
        .unwrap()
        .connections_max(4)
        .query_timeout(Duration::from_secs(3))
        .acquire_timeout(Duration::from_secs(3))
        .connect_timeout(Duration::from_secs(2))
        .observer(Arc::new(losses.clone()))
        .advanced(|advanced| advanced.lanes(1).lane_timeout(Duration::from_millis(100)));
    let db = Db::connect_with(&config).await.unwrap();
    support::until("the lane is open", || db.pool_status().lanes == 1).await;
    let sql = "select $1::bigint";
    let _known: i64 = db.query_value(sql, (0_i64,)).await.unwrap();
    proxy.set(Mode::BlackHole);
    let mut calls = JoinSet::new();
    for tag in 0..100_i64 {
        let db = db.shared();
        calls.spawn(async move { (tag, db.query_value::<i64>(sql, (tag,)).await) });
    }
    // Far before the deadline of the calls.
    support::until("the lane is given up", || losses.text().contains("retired")).await;
    assert_eq!(calls.len(), 100);
    proxy.set(Mode::Pass);
    while let Some(call) = calls.join_next().await {
        match call.unwrap() {
            (tag, Ok(own)) => assert_eq!(own, tag, "a foreign reply"),
            (_, Err(error)) => assert!(
                matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Acquire),
                "{error:?}"
            ),
        }
    }
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn limits_of_the_server_are_told_by_their_codes_and_dead_sessions_are_replaced() {
    let options = "-c idle_session_timeout=1000 -c lock_timeout=50 -c statement_timeout=1000";
    let config = support::config(support::url()).advanced(|advanced| advanced.lanes(1));
    let url = {
        let mut url = support::url();
        let join = if url.contains('?') { '&' } else { '?' };
        url.push(join);
        url.push_str("options=");
        url.push_str(&options.replace(' ', "%20").replace('=', "%3D"));
        url
    };
    let db = Db::connect_with(&config.url(url)).await.unwrap();
    let code = |error: Error| error.sqlstate().map(|state| state.code().to_owned());
    let error = db.query("select pg_sleep(60)", ()).await.unwrap_err();
    assert_eq!(code(error).as_deref(), Some("57014"));
    db.execute("create table t (a int)", ()).await.unwrap();
    let locks = db.begin().await.unwrap();
    locks.execute("lock table t", ()).await.unwrap();
    let error = db
        .execute("insert into t values (1)", ())
        .await
        .unwrap_err();
    assert_eq!(code(error).as_deref(), Some("55P03"));
    // The server ends the transaction that idles, and says why.
    let patient = db.with_query_timeout(support::PATIENCE);
    let limit = "set local idle_in_transaction_session_timeout = 100";
    locks.execute(limit, ()).await.unwrap();
    let ended = async {
        loop {
            tokio::time::sleep(Duration::from_millis(200)).await;
            if let Err(error) = locks.execute("insert into t values (1)", ()).await {
                return error;
            }
        }
    };
    let error = tokio::time::timeout(support::PATIENCE, ended).await;
    assert_eq!(code(error.unwrap()).as_deref(), Some("25P03"));
    drop(locks);
    // All sessions idle to death, lanes included, and nobody sees it.
    for tag in 0..3_i64 {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let own: i64 = patient
            .query_value("select $1::bigint", (tag,))
            .await
            .unwrap();
        assert_eq!(own, tag);
        let rows = patient
            .execute("insert into t values (2)", ())
            .await
            .unwrap();
        assert_eq!(rows, 1);
    }
    let rows: i64 = db.query_value("select count(*) from t", ()).await.unwrap();
    assert_eq!(rows, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_that_change_under_load_cause_no_stale_plan() {
    let db = support::db().await;
    db.execute_script("create table t (a bigint, b text default 'b'); insert into t values (1)")
        .await
        .unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let rounds: Arc<[AtomicUsize]> = (0..8).map(|_| AtomicUsize::new(0)).collect();
    let mut tasks = JoinSet::new();
    for task in 0..8 {
        let (db, stop, rounds) = (db.clone(), Arc::clone(&stop), Arc::clone(&rounds));
        tasks.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let rows = db.query("select * from t where a = 1", ()).await?;
                let a: i64 = rows[0].get("a")?;
                assert_eq!(a, 1);
                db.query("update t set a = a where a = 1 returning *", ())
                    .await?;
                db.execute("insert into t (a) values (2)", ()).await?;
                let twice = db.with_transaction(async |tx| {
                    tx.query("select * from t where a = 1 for update", ())
                        .await?;
                    tx.query("select * from t where a = 1", ()).await
                });
                twice.await?;
                rounds[task].fetch_add(1, Ordering::Relaxed);
            }
            Ok::<_, Error>(())
        });
    }
    let admin = db.exclusive();
    for round in 0..15 {
        let change = match round % 3 {
            0 => "alter table t add c int default 1",
            1 => "alter table t alter c type text using c::text",
            _ => "alter table t drop c",
        };
        admin.execute(change, ()).await.unwrap();
        // No call meets more changes than it has attempts.
        let before: Vec<_> = rounds.iter().map(|at| at.load(Ordering::Relaxed)).collect();
        let is_over = |(at, before): (&AtomicUsize, &usize)| at.load(Ordering::Relaxed) > *before;
        support::until("all have met it", || {
            if let Some(ended) = tasks.try_join_next() {
                panic!("no error comes from a table that changed: {ended:?}");
            }
            rounds.iter().zip(&before).all(is_over)
        })
        .await;
    }
    stop.store(true, Ordering::Relaxed);
    for outcome in tasks.join_all().await {
        if let Err(error) = outcome {
            let cause = std::error::Error::source(&error);
            panic!("no error comes from a table that changed: {error:?}, {cause:?}");
        }
    }
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_query_within_the_rows_of_another_does_not_wait_for_itself() {
    let config = support::config(support::url())
        .connections_max(2)
        .acquire_timeout(Duration::from_secs(5))
        .advanced(|advanced| advanced.lanes(1).lane_requests_max(1));
    let db = Db::connect_with(&config).await.unwrap();
    support::until("the lane is open", || db.pool_status().lanes == 1).await;
    for handle in [db.clone(), db.shared(), db.exclusive()] {
        for row in handle
            .query("select generate_series(1, 5)::bigint as n", ())
            .await
            .unwrap()
        {
            let n: i64 = row.get("n").unwrap();
            let sql = "select n from generate_series(1, $1::bigint) as n";
            for inner in handle.query(sql, (n,)).await.unwrap() {
                let inner: i64 = inner.get("n").unwrap();
                let own: i64 = handle
                    .query_value("select $1::bigint", (inner,))
                    .await
                    .unwrap();
                assert_eq!(own, inner);
            }
        }
    }
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_write_of_which_the_server_knows_nothing_is_unknown_and_its_session_is_closed() {
    let db = support::db_of(1).await;
    db.execute_script(
        "create table t (a int); \
         create function fails(code text) returns int language plpgsql as \
         $$ begin insert into t values (1); raise exception 'on purpose' using errcode = code; end $$",
    )
    .await
    .unwrap();
    let pid = "select pg_backend_pid()";
    for (code, kind, retry) in [
        ("40003", ErrorKind::Unknown, Retry::IfIdempotent),
        ("08007", ErrorKind::Unknown, Retry::IfIdempotent),
        ("58030", ErrorKind::Database, Retry::Never),
        ("XX000", ErrorKind::Database, Retry::Never),
    ] {
        let before: i32 = db.query_value(pid, ()).await.unwrap();
        let error = db.query("select fails($1)", (code,)).await.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (kind, retry), "{error:?}");
        assert!(error.to_string().contains("on purpose"), "{error}");
        let after: i32 = db.query_value(pid, ()).await.unwrap();
        assert_ne!(before, after, "{code}");
    }
    for code in ["53100", "23505", "P0001"] {
        let before: i32 = db.query_value(pid, ()).await.unwrap();
        db.query("select fails($1)", (code,)).await.unwrap_err();
        let after: i32 = db.query_value(pid, ()).await.unwrap();
        assert_eq!(before, after, "{code} leaves the session in order");
    }
    support::assert_whole(&db).await;
}
