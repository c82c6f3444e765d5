//! What the pool does to its connections when nobody asks it to: ages, signs of life, leaks.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use aquifer::{Config, Db, Event, Observer, Session};
use aquifer_testkit::{Mode, Postgres, Proxy};

use crate::admission::Connections;
use crate::support;

fn observed(config: Config) -> (Config, Arc<Connections>) {
    let observer = Arc::new(Connections::default());
    let config = config.observer(Arc::clone(&observer) as Arc<dyn Observer>);
    (config, observer)
}

fn config() -> Config {
    support::config(support::url())
}

/// So many exclusive connections are open and idle.
async fn spread(db: &Db, connections: usize) {
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(db.begin().await.unwrap());
    }
    for tx in open {
        tx.rollback().await.unwrap();
    }
    let status = db.pool_status();
    assert_eq!(status.idle, connections, "{status:?}");
}

#[tokio::test]
async fn connections_that_nobody_uses_are_closed_down_to_the_minimum() {
    let config = config().advanced(|advanced| {
        advanced
            .connections_min(4)
            .idle_timeout(Duration::from_secs(1))
    });
    let db = Db::connect_with(&config).await.unwrap();
    spread(&db, 6).await;
    support::until("two are kept", || db.pool_status().idle == 2).await;
    let status = db.pool_status();
    assert_eq!((status.lanes, status.idle), (2, 2), "{status:?}");
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn the_minimum_is_opened_ahead_and_again() {
    let config = config().advanced(|advanced| advanced.connections_min(6));
    let db = Db::connect_with(&config).await.unwrap();
    let open = || {
        let status = db.pool_status();
        (status.lanes, status.idle) == (2, 4)
    };
    support::until("the minimum is open", open).await;
    db.execute("select pg_terminate_backend(pg_backend_pid())", ())
        .await
        .unwrap_err();
    support::until("the minimum is open again", open).await;
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_connection_that_has_lived_for_long_enough_is_replaced() {
    let (config, observer) = observed(config());
    let config = config.advanced(|advanced| {
        advanced
            .lanes(0)
            .connections_min(2)
            .lifetime_max(Duration::from_secs(1))
    });
    let db = Db::connect_with(&config).await.unwrap();
    let opened = || observer.opened.load(Ordering::Relaxed);
    support::until("idle ones are replaced", || opened() >= 6).await;
    // One in use ends when it comes back.
    let tx = db.begin().await.unwrap();
    let pid: i32 = tx.query_value("select pg_backend_pid()", ()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let same: i32 = tx.query_value("select pg_backend_pid()", ()).await.unwrap();
    assert_eq!(pid, same);
    tx.rollback().await.unwrap();
    let other: i32 = db
        .query_value("select pg_backend_pid() + 0 * txid_current()::int", ())
        .await
        .unwrap();
    assert_ne!(pid, other);
    assert!(observer.lost.lock().unwrap().is_empty(), "none was lost");
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn idle_connections_whose_network_has_gone_silent_are_found_and_replaced() {
    let proxy = Proxy::to_postgres(Postgres::shared());
    let url = proxy.through(Postgres::shared().tcp_url());
    let (config, observer) = observed(support::config(url));
    let config = config
        .connect_timeout(Duration::from_secs(1))
        .advanced(|advanced| {
            advanced
                .lanes(0)
                .keepalive_interval(Duration::from_millis(200))
                .check_timeout(Duration::from_secs(1))
        });
    let db = Db::connect_with(&config).await.unwrap();
    spread(&db, 8).await;
    proxy.set(Mode::BlackHole);
    support::until("all are given up", || db.pool_status().idle == 0).await;
    let silent = "did not answer in time";
    let given_up = || {
        let lost = observer.lost.lock().unwrap();
        lost.iter().filter(|cause| cause.contains(silent)).count()
    };
    assert!(given_up() >= 8);
    proxy.set(Mode::Pass);
    spread(&db, 10).await;
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn lanes_are_replaced_when_they_are_old_and_when_they_have_gone_silent() {
    let proxy = Proxy::to_postgres(Postgres::shared());
    let url = proxy.through(Postgres::shared().tcp_url());
    let (config, observer) = observed(support::config(url));
    let config = config
        .connect_timeout(Duration::from_secs(1))
        .advanced(|advanced| {
            advanced
                .lifetime_max(Duration::from_secs(1))
                .keepalive_interval(Duration::from_millis(200))
                .check_timeout(Duration::from_secs(1))
        });
    let db = Db::connect_with(&config).await.unwrap();
    let mut seen = std::collections::BTreeSet::new();
    let replaced = async {
        // Two lanes and an exclusive connection, where a statement is learned.
        while seen.len() < 5 {
            let pid: i32 = db
                .query_value("select pg_backend_pid() from pg_am limit 1", ())
                .await
                .expect("no read is lost");
            seen.insert(pid);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let replaced = tokio::time::timeout(support::PATIENCE, replaced).await;
    assert!(replaced.is_ok(), "only {seen:?}");
    assert!(observer.lost.lock().unwrap().is_empty());
    proxy.set(Mode::BlackHole);
    support::until("all are given up", || {
        let status = db.pool_status();
        (status.lanes, status.idle) == (0, 0)
    })
    .await;
    proxy.set(Mode::Pass);
    support::until("the lanes are open", || db.pool_status().lanes == 2).await;
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_call_is_not_kept_by_connections_that_do_not_answer() {
    let server = Postgres::start();
    let config = support::config(server.url());
    let config = config.advanced(|advanced| advanced.lanes(0));
    let db = Db::connect_with(&config).await.unwrap();
    let mut open = Vec::new();
    let mut pids = Vec::new();
    for _ in 0..6 {
        let tx = db.begin().await.unwrap();
        let pid: i32 = tx.query_value("select pg_backend_pid()", ()).await.unwrap();
        pids.push(pid.cast_unsigned());
        open.push(tx);
    }
    for tx in open {
        tx.rollback().await.unwrap();
    }
    for pid in &pids {
        server.pause_backend(*pid);
    }
    // That one of them ends puts the others in doubt; else only those that nobody used lately are.
    let ended = pids[0];
    server.psql(&format!("select pg_terminate_backend({ended})"));
    server.resume_backend(ended);
    support::until("its end is noticed", || db.pool_status().idle == 5).await;
    let one: i32 = tokio::time::timeout(
        support::PATIENCE,
        db.query_value("select 1 + 0 * txid_current()::int", ()),
    )
    .await
    .expect("it does not try one after the other for ever")
    .unwrap();
    assert_eq!(one, 1);
    for pid in &pids[1..] {
        server.resume_backend(*pid);
    }
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_check_that_is_dropped_loses_nothing() {
    let config = config()
        .connections_max(2)
        .advanced(|advanced| advanced.lanes(0));
    let db = Db::connect_with(&config).await.unwrap();
    let database: String = db
        .query_value("select current_database()::text", ())
        .await
        .unwrap();
    for polls in 1..8 {
        spread(&db, 2).await;
        // The one that ends puts the other in doubt.
        let sql = format!(
            "select pg_terminate_backend(min(pid)) from pg_stat_activity where datname = '{database}'"
        );
        Postgres::shared().psql(&sql);
        support::until("its end is noticed", || db.pool_status().idle == 1).await;
        drop(support::abort_at(polls, db.begin()).await);
        support::assert_whole(&db).await;
    }
}

#[tokio::test]
async fn a_stall_of_the_whole_program_empties_no_pool() {
    let (config, observer) = observed(config());
    let config = config.advanced(|advanced| {
        advanced
            .lanes(0)
            .idle_timeout(Duration::from_secs(1))
            .keepalive_interval(Duration::from_millis(500))
            .check_timeout(Duration::from_secs(10))
    });
    let db = Db::connect_with(&config).await.unwrap();
    spread(&db, 8).await;
    let opened = observer.opened.load(Ordering::Relaxed);
    // Nothing at all runs meanwhile, since the runtime has this thread only.
    std::thread::sleep(Duration::from_secs(2));
    for _ in 0..8 {
        tokio::task::yield_now().await;
    }
    let idle = db.pool_status().idle;
    assert!(idle >= 6, "{idle} of 8 are left");
    support::assert_whole(&db).await;
    assert_eq!(observer.opened.load(Ordering::Relaxed), opened);
    assert!(observer.lost.lock().unwrap().is_empty());
}

#[tokio::test]
async fn who_holds_a_connection_for_long_is_named_once() {
    let config =
        config().advanced(|advanced| advanced.leak_warning_after(Duration::from_millis(20)));
    let db = Db::connect_with(&config).await.unwrap();
    let _listener = db.listen(["channel"]).await.unwrap();
    // From here on nobody else holds any, be it for as long as it takes on a busy machine.
    let mut events = db.events();
    let first = db.begin().await.unwrap();
    let line = line!() - 1;
    let mut next = async || loop {
        if let Event::LeakSuspected {
            location,
            held,
            process_id,
            ..
        } = events.next().await.expect("the handle lives")
            && (location.file(), location.line()) >= (file!(), line)
        {
            return (location, held, process_id);
        }
    };
    let (location, held, process_id) = next().await;
    assert_eq!((location.file(), location.line()), (file!(), line));
    assert!(held >= Duration::from_millis(20));
    let second = db.begin().await.unwrap();
    let (_, _, other) = next().await;
    assert_ne!(process_id, other, "each once");
    drop((first, second));
}

#[tokio::test]
async fn connections_to_a_server_far_away_are_kept() {
    let proxy = Proxy::to_postgres(Postgres::shared());
    let url = proxy.through(Postgres::shared().tcp_url());
    // A round trip is longer than `check_timeout`.
    proxy.set(Mode::Delay(Duration::from_millis(150)));
    let (config, observer) = observed(support::config(url));
    let db = Db::connect_with(&config.advanced(|advanced| advanced.lanes(0)))
        .await
        .unwrap();
    db.execute("select 1", ()).await.unwrap();
    // Longer than a connection may be idle before it is asked.
    tokio::time::sleep(Duration::from_millis(600)).await;
    db.execute("select 1", ()).await.unwrap();
    assert_eq!(*observer.lost.lock().unwrap(), [""; 0]);
    assert_eq!(observer.opened.load(Ordering::Relaxed), 1);
}
