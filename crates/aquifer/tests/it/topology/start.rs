//! Opening a handle on several hosts.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aquifer::{Config, Db, ErrorKind, HostRole, Mode, Retry, Session};
use aquifer_testkit::{Cluster, Login, Postgres};

use super::{blocking, connect, connect_as, host, until_role};
use crate::support;

const WHERE: &str = "select inet_server_port()";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_are_told_apart_whoever_logs_in_and_in_whatever_order_they_stand() {
    let cluster = blocking(|| Cluster::start(1));
    let (primary, standby) = (cluster.primary(), cluster.standbys()[0]);
    let ports = [standby.port(), primary.port()];
    for url in [cluster.url_at(ports), cluster.login_url(Login::Scram)] {
        let db = connect(&url).await;
        let port: i32 = db.query_value(WHERE, ()).await.unwrap();
        assert_eq!(port, i32::from(primary.port()));
        until_role(&db, standby, HostRole::Standby).await;
        let seen = host(&db, primary);
        assert_eq!(seen.role, Some(HostRole::Primary));
        assert!(seen.is_main && !seen.takes_reads && seen.last_seen.is_some());
        assert!(host(&db, standby).takes_reads);
        assert_eq!(host(&db, standby).pool.in_use, 0);
        assert_eq!(db.mode(), Mode::Normal);
        let read: i32 = db.read().query_value(WHERE, ()).await.unwrap();
        assert_eq!(read, i32::from(standby.port()));
        // The token's bound is known to whoever may not see the standby's receiver, too.
        let token = db.consistency().await.unwrap();
        let read = db.at_least(&token).query_value::<i32>(WHERE, ()).await;
        assert!(read.is_ok());
        support::assert_whole(&db).await;
        db.close().await.unwrap();
        assert_eq!(db.tasks_running(), 0);
    }
    one_url_and_replicas_beside_it(&cluster).await;
    other_wishes(&cluster).await;
    all_pools_are_held_and_sized(&cluster).await;
    refusals(&cluster).await;
}

async fn one_url_and_replicas_beside_it(cluster: &Cluster) {
    let (primary, standby) = (cluster.primary(), cluster.standbys()[0]);
    let beside = format!("127.0.0.1:{}", standby.port());
    let db = connect_as(primary.tcp_url(), |config| {
        config.advanced(|advanced| advanced.replicas([beside]))
    })
    .await;
    until_role(&db, standby, HostRole::Standby).await;
    let read: i32 = db.read().query_value(WHERE, ()).await.unwrap();
    assert_eq!(read, i32::from(standby.port()));
    db.close().await.unwrap();
}

/// A pause and a new size hold for all hosts.
async fn all_pools_are_held_and_sized(cluster: &Cluster) {
    let db = connect(&cluster.url()).await;
    until_role(&db, cluster.standbys()[0], HostRole::Standby).await;
    let read = db.read();
    let tx = db.begin().await.unwrap();
    assert_eq!(db.holders().len(), 1);
    tx.rollback().await.unwrap();
    db.pause(Duration::from_secs(30)).await.unwrap();
    assert!(db.pool_status().paused);
    for handle in [&db, &read] {
        let short = handle.with_query_timeout(Duration::from_millis(50));
        assert!(short.query_value::<i32>(WHERE, ()).await.is_err());
    }
    db.resume();
    for handle in [&db, &read] {
        handle.query_value::<i32>(WHERE, ()).await.unwrap();
    }
    db.resize(4).unwrap();
    assert_eq!(db.pool_status().connections_max, 8);
    let sizes: Vec<_> = db
        .hosts()
        .iter()
        .map(|host| host.pool.connections_max)
        .collect();
    assert_eq!(sizes, [4, 4]);
    support::assert_whole(&db).await;
    db.close().await.unwrap();
}

/// What libpq's words mean for a handle.
async fn other_wishes(cluster: &Cluster) {
    let (primary, standby) = (cluster.primary(), cluster.standbys()[0]);
    for (attrs, expected) in [
        ("any", primary),
        ("primary", primary),
        ("read-write", primary),
        ("standby", standby),
        ("read-only", standby),
        ("prefer-standby", standby),
    ] {
        let db = connect(&format!("{}?target_session_attrs={attrs}", cluster.url())).await;
        // `any` takes whichever answers, and the first of those that did.
        if attrs != "any" {
            let port: i32 = db.query_value(WHERE, ()).await.unwrap();
            assert_eq!(port, i32::from(expected.port()), "{attrs}");
        }
        assert!(host(&db, expected).is_main || attrs == "any", "{attrs}");
        db.close().await.unwrap();
    }
}

async fn refusals(cluster: &Cluster) {
    let rejected = Db::connect(&cluster.login_url(Login::Rejected)).await;
    let error = rejected.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authentication, "{error}");
    // Also when the other host is away, which it is for a service that starts during an outage.
    let url = cluster.primary().login_url(Login::Rejected);
    let beside = format!("127.0.0.1:{}", free_port());
    let config = Config::from_url(url).unwrap();
    let config = config.advanced(|advanced| advanced.replicas([beside]));
    let error = Db::connect_with(&config).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authentication, "{error}");
    assert_eq!(error.retry(), Retry::Never, "{error}");
    assert!(!error.to_string().contains("held"), "{error}");
    let only = cluster.standbys()[0].tcp_url();
    let twice = Config::from_url(only).unwrap().advanced(|advanced| {
        advanced.replicas([format!("127.0.0.1:{}", cluster.standbys()[0].port())])
    });
    let error = Db::connect_with(&twice).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
}

/// One at which nobody listens.
fn free_port() -> u16 {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    nobody.local_addr().unwrap().port()
}

/// A host that is away from the start is no obstacle, and when all are, callers that ask again at once,
/// on a single thread, do not keep the hosts from being asked.
#[tokio::test]
async fn a_loop_of_refused_calls_leaves_time_to_ask_the_hosts() {
    let server = Arc::new(Postgres::start());
    let away = free_port();
    let url = server.tcp_url();
    let (before, after) = url.split_once(&format!(":{}", server.port())).unwrap();
    let host = before.rsplit_once('@').map_or(before, |(_, host)| host);
    let url = format!("{before}:{},{host}:{away}{after}", server.port());
    let db = connect_as(&url, |config| {
        config.advanced(|advanced| advanced.primary_wait(Duration::from_millis(1)))
    })
    .await;
    db.execute("select 1", ()).await.unwrap();
    server.kill();
    support::until("it is missed", || db.mode() == Mode::Down).await;
    let starting = std::thread::spawn({
        let server = Arc::clone(&server);
        move || server.start_again()
    });
    let begun = Instant::now();
    while let Err(error) = db.execute("select 1", ()).await {
        assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
        assert!(begun.elapsed() < Duration::from_secs(20), "nobody asks");
    }
    starting.join().unwrap();
    db.pause(Duration::MAX).await.unwrap();
    db.resume();
    support::assert_whole(&db).await;
}
