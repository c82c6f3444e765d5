//! The primary changes: by a promotion beside it, by its death, and back.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::Duration;

use aquifer::{
    BreakerLane, BreakerOrder, BreakerState, BreakerStatus, Db, ErrorKind, Event, Heard, HostRole,
    Listener, Mode, Session,
};
use aquifer_testkit::{Cluster, Login, Postgres};
use tokio::task::{JoinHandle, JoinSet};

use super::{blocking, connect, event, host, until_role};
use crate::support::{self, abort_at};

const WRITE: &str = "insert into writes values ($1)";

/// Callers that write and read all the time, each number once.
struct Load {
    next: Arc<AtomicI32>,
    stopped: Arc<AtomicBool>,
    writers: JoinSet<Told>,
}

/// What callers were told.
#[derive(Default)]
struct Told {
    done: Vec<i32>,
    unknown: Vec<i32>,
}

impl Load {
    fn start(db: &Db) -> Self {
        let next = Arc::new(AtomicI32::new(1));
        let stopped = Arc::new(AtomicBool::new(false));
        let mut writers = JoinSet::new();
        for _ in 0..8 {
            let (db, next, stopped) = (db.clone(), Arc::clone(&next), Arc::clone(&stopped));
            writers.spawn(async move {
                let mut told = Told::default();
                while !stopped.load(Ordering::Relaxed) {
                    let id = next.fetch_add(1, Ordering::Relaxed);
                    match db.execute(WRITE, (id,)).await {
                        Ok(_) => told.done.push(id),
                        Err(error) if error.kind() == ErrorKind::Unknown => told.unknown.push(id),
                        Err(error) => panic!("a write was neither held nor unknown: {error:?}"),
                    }
                    let read: i32 = db.query_value("select $1::int", (id,)).await.unwrap();
                    assert_eq!(read, id, "a reply that was meant for somebody else");
                }
                told
            });
        }
        Self {
            next,
            stopped,
            writers,
        }
    }

    /// Waits until so many more were begun, which is a while after a switch.
    async fn more(&self, count: i32) {
        let wanted = self.next.load(Ordering::Relaxed) + count;
        support::until("callers go on", || {
            self.next.load(Ordering::Relaxed) >= wanted
        })
        .await;
    }

    async fn stop(self) -> Told {
        self.stopped.store(true, Ordering::Relaxed);
        let mut all = Told::default();
        for told in self.writers.join_all().await {
            all.done.extend(told.done);
            all.unknown.extend(told.unknown);
        }
        all
    }
}

fn written(server: &Postgres) -> BTreeSet<i32> {
    let rows = blocking(|| server.psql("select id from writes"));
    rows.lines().map(|id| id.trim().parse().unwrap()).collect()
}

/// Nothing that a caller was told is missing, and nothing is there that nobody was told of.
fn assert_ledger(told: &Told, written: &BTreeSet<i32>) {
    let lost: Vec<_> = told
        .done
        .iter()
        .filter(|id| !written.contains(id))
        .collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
    let known: BTreeSet<_> = told.done.iter().chain(&told.unknown).collect();
    let invented: Vec<_> = written.iter().filter(|id| !known.contains(id)).collect();
    assert!(invented.is_empty(), "invented: {invented:?}");
}

async fn cluster() -> (Cluster, Db) {
    let cluster = blocking(|| Cluster::start(1));
    let db = connect(&cluster.url()).await;
    db.execute_script("create table writes (id int primary key)")
        .await
        .unwrap();
    until_role(&db, cluster.standbys()[0], HostRole::Standby).await;
    // What takes over must have the table.
    blocking(|| cluster.standbys()[0].catch_up(cluster.primary()));
    (cluster, db)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_is_killed_is_replaced_and_its_callers_are_held() {
    let (cluster, db) = cluster().await;
    let (old, new) = (cluster.primary(), cluster.standbys()[0]);
    blocking(|| old.set_synchronous(true));
    let mut events = db.events();
    let mut listener = db.listen(["news"]).await.unwrap();
    let load = Load::start(&db);
    load.more(100).await;
    blocking(|| old.kill_all());
    event(&mut events, "the loss is told", |event| match event {
        Event::ModeChange { to, .. } => (*to == Mode::PrimaryDown).then_some(()),
        _ => None,
    })
    .await;
    held_calls_can_be_dropped(&db).await;
    // What is said of a host that is away holds when it is back.
    let order = BreakerOrder::ForceOpen;
    let away = host(&db, old).host;
    db.set_breaker(&away, BreakerLane::Reads, order).unwrap();
    let dropped = dropped_on_the_way(&db).await;
    blocking(|| cluster.promote(new));
    let (from, to) = event(&mut events, "the switch is told", |event| match event {
        Event::Failover { from, to, .. } => Some((from.clone().unwrap(), to.clone())),
        _ => None,
    })
    .await;
    assert_eq!((&from, &to), (&host(&db, old).host, &host(&db, new).host));
    load.more(100).await;
    let mut told = load.stop().await;
    // At most what was under way when it died.
    assert!(told.unknown.len() <= 8, "{:?}", told.unknown);
    let (held, sent) = dropped.await.unwrap();
    told.unknown.extend(sent);
    let written = written(new);
    assert!(!held.iter().any(|id| written.contains(id)), "{held:?}");
    assert_ledger(&told, &written);
    it_is_heard_on_the_new_one(&db, &mut listener).await;
    drop(listener);
    assert_eq!(db.mode(), Mode::Normal);
    support::assert_whole(&db).await;
    it_returns_as_a_standby(&cluster, &db, old).await;
}

/// Calls that are held for a primary leave nothing behind.
async fn held_calls_can_be_dropped(db: &Db) {
    let waiting = || db.pool_status().waiting;
    for polls in 1..4 {
        let write = db.execute("insert into writes values ($1)", (-polls,));
        let dropped = abort_at(usize::try_from(polls).unwrap(), write).await;
        assert!(dropped.is_none(), "there is no primary");
    }
    support::until("only the load is held", || waiting() <= 8).await;
    let started = db.begin();
    assert!(abort_at(1, started).await.is_none());
    let short = db.with_query_timeout(Duration::from_millis(50));
    let error = short.execute(WRITE, (-9,)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
    assert!(error.to_string().contains("is a standby"), "{error}");
}

/// Writes that are dropped at each of their polls, from when they are held until the new primary has
/// taken them: which ones were dropped while there was none, and which ones may have been sent.
async fn dropped_on_the_way(db: &Db) -> JoinHandle<(Vec<i32>, Vec<i32>)> {
    const POLLS: i32 = 40;
    let mut writes = JoinSet::new();
    for polls in 1..=POLLS {
        let db = db.clone();
        writes.spawn(async move {
            let id = -100 - polls;
            let write = db.execute(WRITE, (id,));
            let outcome = abort_at(usize::try_from(polls).unwrap(), write).await;
            let was_held = outcome.is_none() && db.mode() == Mode::PrimaryDown;
            (id, was_held)
        });
    }
    support::until("they are held", || {
        db.pool_status().waiting > 8 || writes.is_empty()
    })
    .await;
    tokio::spawn(async move {
        let all = writes.join_all().await;
        let (held, sent): (Vec<_>, Vec<_>) = all.into_iter().partition(|(_, was_held)| *was_held);
        let ids = |list: Vec<(i32, bool)>| list.into_iter().map(|(id, _)| id).collect();
        (ids(held), ids(sent))
    })
}

/// A listener is told of the gap, and listens on the new primary already.
async fn it_is_heard_on_the_new_one(db: &Db, listener: &mut Listener) {
    let heard = tokio::time::timeout(Duration::from_secs(20), listener.recv());
    assert_eq!(heard.await.unwrap().unwrap(), Heard::Gap);
    db.query("select pg_notify('news', 'again')", ())
        .await
        .unwrap();
    let heard = tokio::time::timeout(Duration::from_secs(20), listener.recv());
    let Heard::Notification(heard) = heard.await.unwrap().unwrap() else {
        panic!("another gap");
    };
    assert_eq!(heard.payload(), "again");
}

/// No flap: it takes reads, and nothing else changes.
async fn it_returns_as_a_standby(cluster: &Cluster, db: &Db, old: &Postgres) {
    let mut events = db.events();
    blocking(|| cluster.rejoin(old));
    until_role(db, old, HostRole::Standby).await;
    let port = async || -> i32 {
        let read = db.read();
        let port = read.query_value("select inet_server_port()", ());
        port.await.unwrap()
    };
    assert_ne!(port().await, i32::from(old.port()), "its breaker is open");
    let back = host(db, old).host;
    db.set_breaker(&back, BreakerLane::Reads, BreakerOrder::Reset)
        .unwrap();
    assert_eq!(port().await, i32::from(old.port()));
    db.execute("insert into writes values (1000000)", ())
        .await
        .unwrap();
    let token = db.consistency().await.unwrap();
    let count = "select count(*) from writes where id = 1000000";
    let seen: i64 = db.at_least(&token).query_value(count, ()).await.unwrap();
    assert_eq!(seen, 1);
    support::assert_whole(db).await;
    db.close().await.unwrap();
    while let Some(event) = events.next().await {
        let moved = matches!(
            event,
            Event::Failover { .. } | Event::SplitBrain { .. } | Event::ModeChange { .. }
        );
        assert!(!moved, "{event:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_beside_which_another_is_promoted_gets_no_write_any_more() {
    let (cluster, db) = cluster().await;
    let (old, new) = (cluster.primary(), cluster.standbys()[0]);
    let limited = limited_handles(&cluster, &db).await;
    let mut events = db.events();
    let load = Load::start(&db);
    load.more(100).await;
    // What is under way on the old one when it is fenced is cut, and never committed there.
    let open = db.begin().await.unwrap();
    open.execute(WRITE, (-1,)).await.unwrap();
    blocking(|| cluster.promote(new));
    let fenced = event(&mut events, "two primaries are told", |event| match event {
        Event::SplitBrain { fenced, .. } => Some(fenced.clone()),
        _ => None,
    })
    .await;
    let since = load.next.load(Ordering::Relaxed);
    assert_eq!(fenced, host(&db, old).host);
    assert_eq!(host(&db, old).role, Some(HostRole::Fenced));
    assert!(open.commit().await.is_err());
    load.more(200).await;
    let told = load.stop().await;
    let (on_old, on_new) = (written(old), written(new));
    let late: Vec<_> = on_old.iter().filter(|id| **id >= since).collect();
    assert!(late.is_empty(), "written to a fenced primary: {late:?}");
    assert!(!on_old.contains(&-1) && !on_new.contains(&-1));
    let lost = told
        .done
        .iter()
        .filter(|id| **id >= since && !on_new.contains(id));
    assert_eq!(lost.count(), 0);
    assert_eq!(host(&db, old).pool, aquifer::PoolStatus::default());
    support::assert_whole(&db).await;
    for db in limited {
        until_role(&db, old, HostRole::Fenced).await;
        assert_eq!(host(&db, new).role, Some(HostRole::Primary));
        db.close().await.unwrap();
    }
}

/// Handles of roles that may not ask the servers for all there is to know.
async fn limited_handles(cluster: &Cluster, db: &Db) -> Vec<Db> {
    let rights = "\
        revoke execute on function pg_control_system(), pg_control_checkpoint(), \
            pg_control_recovery(), pg_current_wal_lsn(), pg_last_wal_replay_lsn() from public; \
        grant execute on function pg_current_wal_lsn(), pg_last_wal_replay_lsn() to trust_user; \
        grant execute on function pg_control_system(), pg_control_checkpoint() to scram_user";
    db.execute_script(rights).await.unwrap();
    blocking(|| cluster.standbys()[0].catch_up(cluster.primary()));
    let mut handles = Vec::new();
    for login in [Login::Trust, Login::Scram] {
        let db = connect(&cluster.login_url(login)).await;
        until_role(&db, cluster.standbys()[0], HostRole::Standby).await;
        handles.push(db);
    }
    handles
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_falls_silent_is_replaced_and_fenced_when_it_wakes() {
    let (cluster, db) = cluster().await;
    let (old, new) = (cluster.primary(), cluster.standbys()[0]);
    blocking(|| old.set_synchronous(true));
    let load = Load::start(&db);
    load.more(100).await;
    blocking(|| old.freeze());
    blocking(|| cluster.promote(new));
    load.more(200).await;
    let since = load.next.load(Ordering::Relaxed);
    assert_eq!(db.mode(), Mode::Normal);
    blocking(|| old.thaw());
    until_role(&db, old, HostRole::Fenced).await;
    load.more(100).await;
    let told = load.stop().await;
    assert_ledger(&told, &written(new));
    assert!(written(old).iter().all(|id| *id < since));
    support::assert_whole(&db).await;
    let closed = db.shutdown(Duration::from_secs(5)).await;
    assert_eq!(closed.aborted, 0);
    assert_eq!(db.tasks_running(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_meets_a_standby_finds_the_primary() {
    let (cluster, db) = cluster().await;
    let (old, new) = (cluster.primary(), cluster.standbys()[0]);
    let held = db.begin().await.unwrap();
    held.execute(WRITE, (1,)).await.unwrap();
    held.rollback().await.unwrap();
    // A clean switch: the old one goes, the other takes over, and the old one comes back behind it.
    blocking(|| {
        cluster.promote(new);
        cluster.rejoin(old);
    });
    for id in 2..20 {
        db.execute(WRITE, (id,)).await.unwrap();
    }
    db.with_transaction(async |tx| tx.execute(WRITE, (20,)).await)
        .await
        .unwrap();
    assert_eq!(written(new).len(), 19);
    support::assert_whole(&db).await;
    a_failover_during_a_pause(&cluster, &db).await;
}

/// Whoever waits for the end of the pause is served by the new primary then.
async fn a_failover_during_a_pause(cluster: &Cluster, db: &Db) {
    let (old, new) = (cluster.primary(), cluster.standbys()[0]);
    until_role(db, new, HostRole::Standby).await;
    blocking(|| new.catch_up(old));
    db.pause(Duration::from_secs(60)).await.unwrap();
    let write = tokio::spawn({
        let db = db.clone();
        async move { db.execute(WRITE, (21,)).await }
    });
    support::until("it waits", || db.pool_status().waiting == 1).await;
    blocking(|| {
        old.kill_all();
        cluster.promote(new);
    });
    until_role(db, new, HostRole::Primary).await;
    assert!(db.pool_status().paused, "also the pool of the new primary");
    assert_eq!(db.pool_status().waiting, 1);
    db.resume();
    write.await.unwrap().unwrap();
    assert!(written(new).contains(&21));
    support::assert_whole(db).await;
}

/// What is under way on a host that fell silent is waited for by a pause, and is no reason to call the
/// handle closed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_while_the_primary_is_silent_waits_for_what_is_under_way_there() {
    let (cluster, db) = cluster().await;
    let old = cluster.primary();
    let tx = db.begin().await.unwrap();
    tx.execute("select 1", ()).await.unwrap();
    blocking(|| old.freeze());
    until_role(&db, old, HostRole::Unreachable).await;
    let error = db.pause(Duration::from_millis(100)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(!db.pool_status().paused);
    blocking(|| old.thaw());
    let pausing = tokio::spawn({
        let db = db.clone();
        async move { db.pause(Duration::from_secs(60)).await }
    });
    support::until("it is paused", || db.pool_status().paused).await;
    tx.rollback().await.unwrap();
    pausing.await.unwrap().expect("all have come back");
    db.resume();
    until_role(&db, old, HostRole::Primary).await;
    support::assert_whole(&db).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_figures_of_breakers_are_those_of_the_hosts_as_they_are() {
    let (cluster, db) = cluster().await;
    let (old, new) = (cluster.primary(), cluster.standbys()[0]);
    let mut events = db.events();
    let load = Load::start(&db);
    load.more(50).await;
    blocking(|| old.kill_all());
    let opened = event(&mut events, "a breaker opens", |event| match event {
        Event::BreakerChange { host, to, .. } if *to == BreakerState::Open => Some(host.clone()),
        _ => None,
    });
    assert_eq!(opened.await, host(&db, old).host);
    blocking(|| cluster.promote(new));
    load.more(50).await;
    load.stop().await;
    blocking(|| cluster.rejoin(old));
    until_role(&db, old, HostRole::Standby).await;
    support::until("all breakers are closed", || {
        let breakers = db.breakers();
        let closed = |breaker: &BreakerStatus| breaker.state == BreakerState::Closed;
        breakers.len() == 4 && breakers.iter().all(closed)
    })
    .await;
    let page = db.metrics().prometheus();
    let open = |line: &&str| line.starts_with("aquifer_breaker_state{") && !line.ends_with(" 0");
    let open: Vec<_> = page.lines().filter(open).collect();
    assert!(open.is_empty(), "{open:?}");
}
