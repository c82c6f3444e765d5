//! The primary changes: by a promotion beside it, by its death, and back.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::Duration;

use aquifer::{BreakerState, BreakerStatus, Db, ErrorKind, Event, HostRole, Mode, Session};
use aquifer_testkit::{Cluster, Postgres};
use tokio::task::JoinSet;

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
    let load = Load::start(&db);
    load.more(100).await;
    blocking(|| old.kill_all());
    event(&mut events, "the loss is told", |event| match event {
        Event::ModeChange { to, .. } => (*to == Mode::PrimaryDown).then_some(()),
        _ => None,
    })
    .await;
    held_calls_can_be_dropped(&db).await;
    blocking(|| cluster.promote(new));
    let (from, to) = event(&mut events, "the switch is told", |event| match event {
        Event::Failover { from, to, .. } => Some((from.clone().unwrap(), to.clone())),
        _ => None,
    })
    .await;
    assert_eq!((&from, &to), (&host(&db, old).host, &host(&db, new).host));
    load.more(100).await;
    let told = load.stop().await;
    assert_ledger(&told, &written(new));
    // At most what was under way when it died.
    assert!(told.unknown.len() <= 8, "{:?}", told.unknown);
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

/// No flap: it takes reads, and nothing else changes.
async fn it_returns_as_a_standby(cluster: &Cluster, db: &Db, old: &Postgres) {
    let mut events = db.events();
    blocking(|| cluster.rejoin(old));
    until_role(db, old, HostRole::Standby).await;
    let port: i32 = db
        .read()
        .query_value("select inet_server_port()", ())
        .await
        .unwrap();
    assert_eq!(port, i32::from(old.port()));
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
