use std::io::Read;
use std::net::TcpStream;
use std::time::Duration;

use aquifer_testkit::{Cluster, Login, Postgres, Shutdown};

fn rows(server: &Postgres) -> String {
    server.psql("select count(*) from t")
}

#[test]
fn a_killed_primary_is_replaced_and_comes_back_as_a_standby() {
    let cluster = Cluster::start(1);
    let old = cluster.primary();
    assert_eq!((old.is_standby(), old.timeline()), (false, 1));
    old.set_synchronous(true);
    old.psql("create table t (n int)");
    for round in 1..=2 {
        let (old, standby) = (cluster.primary(), cluster.standbys()[0]);
        assert!(standby.is_standby());
        assert_eq!(standby.timeline(), round);
        standby
            .psql_at(standby.tcp_url(), "select 1")
            .expect("the same password");
        old.psql("insert into t values (1)");
        let children = old.children();
        old.kill_all();
        assert_eq!(old.pid(), None);
        assert!(children.len() > 5, "{children:?}");
        let new = cluster.promote(standby);
        assert!(std::ptr::eq(new, cluster.primary()));
        assert_eq!(
            rows(new),
            round.to_string(),
            "synchronous, so nothing is lost"
        );
        assert_eq!(new.timeline(), round + 1);
        cluster.rejoin(old);
        assert!(old.is_standby());
        assert_eq!(rows(old), round.to_string());
        new.set_synchronous(true);
    }
}

#[test]
fn a_paused_replay_shows_the_past_until_it_goes_on() {
    let cluster = Cluster::start(1);
    let (primary, standby) = (cluster.primary(), cluster.standbys()[0]);
    primary.psql("create table t (n int)");
    standby.catch_up(primary);
    standby.pause_replay();
    primary.psql("insert into t values (1)");
    assert_eq!(rows(standby), "0");
    assert!(standby.position() < primary.position());
    standby.resume_replay();
    standby.catch_up(primary);
    assert_eq!(rows(standby), "1");
}

#[test]
fn a_frozen_server_hangs_as_a_whole_and_goes_on_as_two_primaries_do() {
    let cluster = Cluster::start(1);
    let (old, standby) = (cluster.primary(), cluster.standbys()[0]);
    old.psql("create table t (n int)");
    standby.catch_up(old);
    old.freeze();
    let mut stream = TcpStream::connect(("127.0.0.1", old.port())).expect("the system accepts");
    stream
        .set_read_timeout(Some(Duration::from_millis(100)))
        .expect("a timeout");
    stream.read(&mut [0]).expect_err("nobody answers");
    let new = cluster.promote(standby);
    new.psql("insert into t values (1)");
    old.thaw();
    assert!(!old.is_standby(), "two primaries");
    assert_eq!((rows(old), rows(new)), ("0".to_owned(), "1".to_owned()));
    cluster.rejoin(old);
    assert_eq!(rows(old), "1");
    // A frozen server does not keep the test from ending.
    old.freeze();
}

#[test]
fn a_clean_switch_needs_no_copy_and_other_standbys_go_over() {
    let cluster = Cluster::start(2);
    let old = cluster.primary();
    old.psql("create table t (n int)");
    old.shut_down(Shutdown::Fast);
    let new = cluster.promote(cluster.standbys()[0]);
    new.psql("insert into t values (1)");
    old.follow(new);
    old.start_again();
    for standby in cluster.standbys() {
        standby.catch_up(new);
        standby.wait_until_streaming();
        assert_eq!(rows(standby), "1");
        assert_eq!(standby.timeline(), 2);
    }
    assert_eq!(cluster.servers().len(), 3);
}

#[test]
fn commits_wait_for_a_synchronous_standby_and_not_once_it_is_switched_off() {
    let cluster = Cluster::start(1);
    let (primary, standby) = (cluster.primary(), cluster.standbys()[0]);
    primary.psql("create table t (n int)");
    primary.set_synchronous(true);
    standby.freeze();
    let write = format!("{}?options=-cstatement_timeout%3D200", primary.url());
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| primary.psql_at(&write, "insert into t values (1)"));
        let waits = "select count(*) from pg_stat_activity where wait_event = 'SyncRep'";
        while primary.psql(waits) == "0" {}
        primary.set_synchronous(false);
        writing.join().expect("no panic").expect("it was let go");
    });
    standby.thaw();
    standby.catch_up(primary);
    assert_eq!(rows(standby), "1");
}

#[test]
fn a_url_names_all_servers() {
    let cluster = Cluster::start(1);
    let [first, second] = cluster.servers() else {
        panic!("two servers")
    };
    let hosts = format!(
        "@127.0.0.1:{},127.0.0.1:{}/postgres",
        first.port(),
        second.port()
    );
    assert!(cluster.url().ends_with(&hosts), "{}", cluster.url());
    for (url, role) in [
        (cluster.url(), "postgres"),
        (cluster.login_url(Login::Scram), "scram_user"),
    ] {
        let url = format!("{url}?target_session_attrs=read-write");
        let sql = "select current_user, inet_server_port()";
        let answer = first.psql_at(&url, sql).expect("the primary");
        assert_eq!(answer, format!("{role}|{}", first.port()));
    }
    assert!(cluster.url_at([7, 8]).contains("@127.0.0.1:7,127.0.0.1:8/"));
}
