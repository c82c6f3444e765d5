//! A network that swallows everything, and a server without room.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aquifer::{BreakerState, Db, ErrorKind, Session, Transaction};
use aquifer_testkit::{Mode, Postgres, Proxy};
use tokio::task::JoinSet;

use crate::support::{self, proxied};

/// How many connections fall silent at once.
const SILENT: usize = 100;

/// By when a call must have been answered.
const DETECTION: Duration = Duration::from_secs(1);

/// A connection for each caller at once: none has leaked.
async fn hold_all(db: &Db) {
    let mut callers = JoinSet::new();
    for _ in 0..SILENT {
        let db = db.clone();
        callers.spawn(async move { db.begin().await.expect("there is one for each") });
    }
    let held = callers.join_all().await;
    let pids = held
        .iter()
        .map(|tx| tx.query_value::<i32>("select pg_backend_pid()", ()));
    let mut seen = std::collections::HashSet::new();
    for pid in pids {
        assert!(
            seen.insert(pid.await.unwrap()),
            "a connection of two callers"
        );
    }
}

/// Calls on all connections at once, of which none gets an answer.
async fn all_fall_silent(proxy: &Proxy, db: &Db) {
    let mut calls = JoinSet::new();
    let silent = Arc::new(AtomicBool::new(false));
    for _ in 0..SILENT {
        let db = db.with_query_timeout(DETECTION);
        let silent = Arc::clone(&silent);
        calls.spawn(async move {
            loop {
                // A busy machine may be late before, too.
                let was_silent = silent.load(Ordering::Acquire);
                match db.query("select pg_sleep(0.02)", ()).await {
                    Err(error) if was_silent => return error,
                    _ => {}
                }
            }
        });
    }
    support::until("all are in use", || db.pool_status().in_use > SILENT / 2).await;
    proxy.set(Mode::BlackHole);
    silent.store(true, Ordering::Release);
    let hole = Instant::now();
    for error in calls.join_all().await {
        assert!(
            matches!(
                error.kind(),
                ErrorKind::Timeout | ErrorKind::Acquire | ErrorKind::Connection
            ),
            "{error:?}"
        );
    }
    let late = hole.elapsed().saturating_sub(DETECTION);
    eprintln!("black hole: all calls ended {late:?} after their deadline");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_connections_that_fall_silent_cost_no_permit() {
    let connections = u32::try_from(SILENT).unwrap();
    let (proxy, db) = proxied(|config| {
        config
            .connections_max(connections)
            .acquire_timeout(Duration::from_secs(30))
            .connect_timeout(Duration::from_secs(5))
            .advanced(|advanced| {
                // Nobody gives anything back: all wait for their opening.
                advanced.lanes(0).queue_target(Duration::from_secs(30))
            })
    })
    .await;
    let opening = Instant::now();
    hold_all(&db).await;
    let opening = opening.elapsed();
    all_fall_silent(&proxy, &db).await;
    // They count once their clean-up was in vain.
    support::until("the breaker opens", || {
        db.breakers()
            .iter()
            .any(|breaker| breaker.state == BreakerState::Open)
    })
    .await;
    proxy.set(Mode::Pass);
    let healed = Instant::now();
    support::until("nothing is held", || db.pool_status().in_use == 0).await;
    hold_all(&db).await;
    let healed = healed.elapsed();
    eprintln!(
        "black hole: {SILENT} connections back {healed:?} after healing; at first they took {opening:?}"
    );
    support::assert_whole(&db).await;
}

/// Takes connections until the server says that it has no more.
async fn until_full(db: &Db, taken: &mut Vec<Transaction>) {
    let full = tokio::time::timeout(support::PATIENCE, async {
        loop {
            match db.begin().await {
                Ok(tx) => {
                    tx.execute("select 1", ()).await.unwrap();
                    taken.push(tx);
                }
                Err(error) if error.to_string().contains("too many") => return,
                // The server has not answered yet.
                Err(error) => assert_eq!(error.kind(), ErrorKind::Acquire, "{error}"),
            }
        }
    });
    full.await.expect("the server says so");
}

#[tokio::test]
async fn a_server_without_room_serves_those_who_are_in_and_is_not_taken_for_down() {
    let builder = Postgres::builder()
        .setting("max_connections", "12")
        .setting("superuser_reserved_connections", "0");
    let server = Postgres::start_with(builder);
    let url = server.login_url(aquifer_testkit::Login::Trust);
    let config = support::config(&url)
        .connections_max(6)
        .acquire_timeout(Duration::from_millis(500));
    let db = Db::connect_with(&config).await.unwrap();
    support::until("the lanes are open", || db.pool_status().lanes == 2).await;
    let _known: i64 = db.query_value("select $1::bigint", (0_i64,)).await.unwrap();
    let others = support::config(&url)
        .connections_max(12)
        .acquire_timeout(Duration::from_millis(500))
        .advanced(|advanced| advanced.lanes(0));
    let others = Db::connect_with(&others).await.unwrap();
    let mut taken = Vec::new();
    until_full(&others, &mut taken).await;
    let first = db.begin().await.expect("it is open");
    for tag in 0..50_i64 {
        let reads = db.shared();
        let own: i64 = reads
            .query_value("select $1::bigint", (tag,))
            .await
            .unwrap();
        assert_eq!(own, tag, "a foreign reply");
        let own: i64 = first
            .query_value("select $1::bigint", (tag,))
            .await
            .unwrap();
        assert_eq!(own, tag, "a foreign reply");
    }
    // Another one is asked for in vain.
    let mut none = Vec::new();
    until_full(&db, &mut none).await;
    assert!(none.is_empty());
    for breaker in db.breakers() {
        assert_eq!(breaker.state, BreakerState::Closed, "{breaker:?}");
    }
    drop(taken);
    others.close().await.unwrap();
    let second = tokio::time::timeout(support::PATIENCE, async {
        loop {
            if let Ok(tx) = db.begin().await {
                return tx;
            }
        }
    });
    let second = second.await.expect("there is room again");
    second.rollback().await.unwrap();
    first.rollback().await.unwrap();
    support::assert_whole(&db).await;
}
