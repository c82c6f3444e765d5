//! Opening connections in the background, when the server or the password is in the way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aquifer::{Config, Db, ErrorKind, Secret, Session};
use aquifer_testkit::{Cut, Direction, Mode, Postgres, Proxy, tag};

use crate::support;

/// Far above what it needs, far below what hanging means.
const SOON: Duration = support::PATIENCE;

fn proxied() -> (Proxy, Config) {
    let server = Postgres::shared();
    let proxy = Proxy::to_postgres(server);
    let config = support::config(proxy.through(server.tcp_url()));
    (proxy, config)
}

#[tokio::test]
async fn lanes_that_can_not_be_opened_keep_nobody_from_an_exclusive_connection() {
    let (proxy, config) = proxied();
    for nth in 1..=1000 {
        let lane = Cut::before(Direction::ToServer, tag::STARTUP).nth(nth);
        proxy.cut(lane.containing("default_transaction_read_only"));
    }
    let db = Db::connect_with(&config.connections_max(6)).await.unwrap();
    let mut open = Vec::new();
    for _ in 0..4 {
        open.push(db.begin().await.expect("there is room for it"));
    }
    assert_eq!(db.pool_status().lanes, 0);
    drop(open);
    let one: i32 = db.query_value("select 1", ()).await.unwrap();
    assert_eq!(one, 1);
    proxy.clear_cuts();
    support::until("the lanes are open", || db.pool_status().lanes == 2).await;
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_password_provider_that_hangs_is_given_up() {
    let config = support::config(support::url())
        .connect_timeout(Duration::from_millis(100))
        .password_provider(|| async { std::future::pending().await });
    let connected = tokio::time::timeout(SOON, Db::connect_with(&config)).await;
    let error = connected.expect("it is given up").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("password provider"), "{error}");
}

#[tokio::test]
async fn a_password_provider_that_panics_fails_that_one_opening() {
    let calls = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&calls);
    let config = support::config(support::url())
        .connections_max(1)
        .password_provider(move || {
            let call = counter.fetch_add(1, Ordering::Relaxed);
            async move {
                assert_ne!(call, 1, "the panic that is wanted");
                Ok(Secret::from("ignored"))
            }
        });
    let db = Db::connect_with(&config).await.unwrap();
    db.execute("select pg_terminate_backend(pg_backend_pid())", ())
        .await
        .unwrap_err();
    let one: i32 = db.query_value("select 1", ()).await.unwrap();
    assert_eq!(one, 1);
    assert!(calls.load(Ordering::Relaxed) >= 3);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_a_connection_that_is_being_opened() {
    for (mode, refuse) in [(Mode::BlackHole, false), (Mode::Pass, true)] {
        let (proxy, config) = proxied();
        let config = config.connect_timeout(Duration::from_secs(600));
        let db = Db::connect_with(&config).await.unwrap();
        support::until("the lanes are open", || db.pool_status().lanes == 2).await;
        proxy.set(mode);
        if refuse {
            proxy.refuse();
        }
        proxy.cut_all(aquifer_testkit::Ending::Reset);
        support::until("the end is noticed", || db.pool_status().lanes == 0).await;
        let down = tokio::time::timeout(SOON, db.shutdown(Duration::from_secs(600)));
        down.await.expect("nothing is under way");
        assert_eq!(db.tasks_running(), 0);
        assert_eq!(db.pool_status().connecting, 0);
    }
}

#[tokio::test]
async fn readers_that_find_their_lane_full_take_an_exclusive_connection() {
    let config = support::config(support::url()).advanced(|advanced| advanced.requests_max(1));
    let db = Db::connect_with(&config).await.unwrap();
    support::until("the lanes are open", || db.pool_status().lanes == 2).await;
    let _known: i64 = db.query_value("select $1::bigint", (0_i64,)).await.unwrap();
    let mut readers = tokio::task::JoinSet::new();
    for reader in 0..50_i64 {
        let db = db.clone();
        readers.spawn(async move {
            let own: i64 = db
                .query_value("select $1::bigint", (reader,))
                .await
                .unwrap();
            assert_eq!(own, reader);
        });
    }
    readers.join_all().await;
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_caller_that_gave_up_is_not_counted_as_waiting() {
    let config = support::config(support::url())
        .connections_max(1)
        .acquire_timeout(Duration::from_millis(50));
    let db = Db::connect_with(&config).await.unwrap();
    let tx = db.begin().await.unwrap();
    for _ in 0..3 {
        let error = db.execute("select 1", ()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Acquire);
        assert!(error.to_string().contains("Db::holders()"), "{error}");
    }
    assert_eq!(db.pool_status().waiting, 0);
    drop(tx);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_once() {
    // Bound and not listening: nobody else gets the port, and nobody answers on it.
    let place = tokio::net::TcpSocket::new_v4().unwrap();
    place.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = place.local_addr().unwrap().port();
    let url = format!("postgres://u@127.0.0.1:{port}/d");
    let error = Db::connect(&url).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection);
    let text = error.to_string();
    assert_eq!(text.matches("127.0.0.1").count(), 1, "{text}");
    assert_eq!(text.matches(&port.to_string()).count(), 1, "{text}");
    assert!(text.contains("is it running"), "{text}");
}

#[tokio::test]
async fn a_bad_url_is_told_with_the_place_of_the_call() {
    let error = Db::connect("localhost/app").await.unwrap_err();
    assert!(error.to_string().contains("opening.rs"), "{error}");
}

#[tokio::test]
async fn a_server_that_went_away_is_the_first_thing_to_look_at() {
    let (proxy, config) = proxied();
    let db = Db::connect_with(&config.acquire_timeout(Duration::from_millis(50)))
        .await
        .unwrap();
    drop(proxy);
    support::until("the connections are gone", || {
        let status = db.pool_status();
        status.idle + status.lanes == 0
    })
    .await;
    let error = db.query("select 1", ()).await.unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::Connection,
        "the pool is not to blame"
    );
    let text = error.to_string();
    assert!(text.contains("within 50ms"), "{text}");
    assert!(!text.contains("Db::holders()"), "nobody holds any: {text}");
}
