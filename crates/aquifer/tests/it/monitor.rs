//! `ConnectionMonitor`, on a server that goes away and comes back.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use aquifer::{
    Config, ConnectionMonitor, DatabaseManager, Db, ErrorKind, Event, Events, Finding, HealthProbe,
    ProbeFuture, Secret, Service, Session, Status,
};
use aquifer_testkit::{Postgres, Shutdown};
use serde_json::Value;

use crate::support;

const FAST: Duration = Duration::from_millis(20);

fn config(url: impl Into<Secret>) -> Config {
    support::config(url).advanced(|advanced| {
        advanced
            .health_interval(FAST)
            .health_interval_alarm(FAST)
            .health_timeout(Duration::from_secs(2))
    })
}

/// A probe that finds what it is told to.
struct Told {
    name: &'static str,
    required: bool,
    finding: Arc<Mutex<Finding>>,
}

impl HealthProbe for Told {
    fn service(&self) -> Service {
        Service::Custom(self.name)
    }

    fn is_required(&self) -> bool {
        self.required
    }

    fn probe(&self) -> ProbeFuture<'_> {
        Box::pin(async { self.finding.lock().unwrap().clone() })
    }
}

fn told(monitor: &ConnectionMonitor, name: &'static str, required: bool) -> Arc<Mutex<Finding>> {
    let finding = Arc::new(Mutex::new(Finding::up()));
    let probe = Told {
        name,
        required,
        finding: Arc::clone(&finding),
    };
    monitor.register(probe).unwrap();
    finding
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_and_its_end_are_told_with_evidence() {
    let server = Postgres::start();
    let db = Db::connect_with(&config(server.url())).await.unwrap();
    let monitor = db.monitor();
    monitor.start();
    let mut events = db.events();
    support::until("the first look", || monitor.is_healthy()).await;
    assert_eq!(monitor.readiness().status_code, 200);

    server.kill();
    let Some(Event::ConnectionError { service, error, .. }) = about_health(&mut events).await
    else {
        panic!("no error is told");
    };
    assert_eq!(service, Service::Postgres);
    assert!(!error.is_empty());
    let Some(Event::HealthChange { from, to, .. }) = about_health(&mut events).await else {
        panic!("no change is told");
    };
    assert_eq!((from, to), (Status::Up, Status::Down));
    assert!(!monitor.is_healthy());
    assert!(monitor.consecutive_failures(Service::Postgres) >= 3);
    assert!(monitor.away(Service::Postgres).is_some());
    assert_eq!(monitor.readiness().status_code, 503);
    assert_eq!(monitor.liveness().status_code, 200);

    server.start_again();
    let Some(Event::ConnectionRecovery { .. }) = about_health(&mut events).await else {
        panic!("no recovery is told");
    };
    let Some(Event::HealthChange { from, to, .. }) = about_health(&mut events).await else {
        panic!("no change is told");
    };
    assert_eq!((from, to), (Status::Down, Status::Up));
    assert_eq!(monitor.consecutive_failures(Service::Postgres), 0);
    assert!(monitor.is_healthy());
    let history = monitor.health_history(Service::Postgres);
    assert!(history.iter().any(|health| health.status == Status::Down));
    monitor.stop();
    support::assert_whole(&db).await;
    db.close().await.unwrap();
    assert!(about_health(&mut events).await.is_none(), "the stream ends");
}

/// The next event of a service and how it does; others, of the mode for example, come in between.
async fn about_health(events: &mut Events) -> Option<Event> {
    loop {
        let event = events.next().await?;
        let is_about_health = matches!(
            event,
            Event::ConnectionError { .. }
                | Event::ConnectionRecovery { .. }
                | Event::HealthChange { .. }
        );
        if is_about_health {
            return Some(event);
        }
    }
}

#[tokio::test]
async fn start_and_stop_may_be_called_twice_and_leave_no_task() {
    let db = Db::connect_with(&config(support::url())).await.unwrap();
    let monitor = db.monitor();
    for _ in 0..2 {
        monitor.start();
        monitor.start();
        assert!(monitor.is_watching());
        support::until("it looks", || monitor.is_healthy()).await;
        monitor.stop();
        monitor.stop();
        support::until("it has ended", || !monitor.is_watching()).await;
        support::assert_whole(&db).await;
    }
}

#[tokio::test]
async fn only_what_is_required_decides_on_health_and_readiness() {
    let db = Db::connect_with(&config(support::url())).await.unwrap();
    let monitor = db.monitor();
    assert!(!monitor.is_healthy(), "nobody has looked yet");
    assert_eq!(monitor.readiness().status_code, 503);
    let needed = told(&monitor, "needed", true);
    let spare = told(&monitor, "spare", false);
    let again = Told {
        name: "spare",
        required: true,
        finding: Arc::clone(&spare),
    };
    assert_eq!(
        monitor.register(again).unwrap_err().kind(),
        ErrorKind::Usage
    );
    let look = async |times| {
        for _ in 0..times {
            monitor.check_health().await;
        }
        let body: Value = serde_json::from_str(&monitor.health().body).unwrap();
        (
            monitor.is_healthy(),
            monitor.readiness().status_code,
            body["status"].as_str().unwrap().to_owned(),
        )
    };
    let pass = (true, 200, "pass".to_owned());
    assert_eq!(look(1).await, pass);

    *spare.lock().unwrap() = Finding::down("gone").measured("uptime", 3.0, "s");
    assert_eq!(look(2).await, pass, "one bad answer is no outage");
    assert_eq!(look(1).await, (true, 200, "warn".to_owned()));
    let body: Value = serde_json::from_str(&monitor.health().body).unwrap();
    assert_eq!(body["checks"]["spare:responseTime"][0]["output"], "gone");
    assert_eq!(body["checks"]["spare:uptime"][0]["observedUnit"], "s");
    assert_eq!(
        body["checks"]["postgres:responseTime"][0]["componentType"],
        "datastore"
    );
    assert!(body["checks"]["postgres:responseTime"][0]["output"].is_null());

    *needed.lock().unwrap() = Finding::degraded("half of it");
    assert_eq!(look(3).await, (false, 200, "warn".to_owned()));
    *needed.lock().unwrap() = Finding::down("all of it");
    assert_eq!(look(3).await, (false, 503, "fail".to_owned()));
    *needed.lock().unwrap() = Finding::up();
    *spare.lock().unwrap() = Finding::up();
    assert_eq!(look(2).await, pass);
    assert_eq!(monitor.health_history(Service::Custom("spare")).len(), 12);

    monitor.refuse_requests();
    assert_eq!(monitor.readiness().status_code, 503);
    assert_eq!(monitor.liveness().status_code, 200);
}

struct Bad(&'static str);

impl HealthProbe for Bad {
    fn service(&self) -> Service {
        Service::Custom(self.0)
    }

    fn probe(&self) -> ProbeFuture<'_> {
        match self.0 {
            "panics at once" => panic!("as the test wants"),
            "panics later" => Box::pin(async { panic!("as the test wants") }),
            _ => Box::pin(std::future::pending()),
        }
    }
}

#[tokio::test]
async fn a_probe_that_hangs_or_panics_is_down_and_delays_nobody() {
    let config = config(support::url())
        .advanced(|advanced| advanced.health_timeout(Duration::from_millis(50)));
    let db = Db::connect_with(&config).await.unwrap();
    let monitor = db.monitor();
    for name in ["panics at once", "panics later", "hangs"] {
        monitor.register(Bad(name)).unwrap();
    }
    let found = monitor.check_health().await;
    let statuses: Vec<_> = found.iter().map(|health| health.status).collect();
    assert_eq!(statuses[1..], [Status::Down; 3]);
    let causes: Vec<_> = found[1..]
        .iter()
        .filter_map(|health| health.cause.as_deref())
        .collect();
    assert!(causes[0].contains("panicked") && causes[1].contains("panicked"));
    assert!(causes[2].contains("health_timeout"), "{}", causes[2]);
}

#[tokio::test]
async fn a_look_can_be_dropped_at_each_poll() {
    let db = Db::connect_with(&config(support::url())).await.unwrap();
    let monitor = db.monitor();
    monitor.check_health().await;
    support::abort_at_every_poll(&db, || async { drop(monitor.check_health().await) }).await;
}

#[tokio::test]
async fn listeners_that_are_slow_or_panic_delay_nobody_and_end_with_their_handle() {
    let db = Db::connect_with(&config(support::url())).await.unwrap();
    let monitor = db.monitor();
    let finding = told(&monitor, "told", true);
    let (unblock, blocked) = mpsc::channel::<()>();
    let blocked = Mutex::new(blocked);
    let slow = monitor.on_event(move |_| {
        let _ = blocked.lock().unwrap().recv();
    });
    let bad = monitor.on_event(|_| panic!("as the test wants"));
    let count = Arc::new(AtomicUsize::new(0));
    let counted = {
        let count = Arc::clone(&count);
        monitor.on_connection_error(move |service, _| {
            assert_eq!(service, Service::Custom("told"));
            count.fetch_add(1, Ordering::Relaxed);
        })
    };
    // On one thread: were a listener called on it, nothing of this would go on.
    for expected in 1..=3 {
        *finding.lock().unwrap() = Finding::down("away");
        monitor.check_health().await;
        *finding.lock().unwrap() = Finding::up();
        monitor.check_health().await;
        support::until("it is told", || count.load(Ordering::Relaxed) == expected).await;
    }
    drop(counted);
    *finding.lock().unwrap() = Finding::down("away");
    monitor.check_health().await;
    let one: i32 = db.query_value("select 1", ()).await.unwrap();
    assert_eq!((one, count.load(Ordering::Relaxed)), (1, 3));
    let shutdown = tokio::time::timeout(support::PATIENCE, db.close());
    shutdown
        .await
        .expect("no shutdown waits for a listener")
        .unwrap();
    drop((slow, bad, unblock));
}

#[tokio::test]
async fn connections_that_are_all_held_are_no_outage() {
    let config = config(support::url())
        .connections_max(2)
        .advanced(|advanced| advanced.lanes(0));
    let db = Db::connect_with(&config).await.unwrap();
    let held = (db.begin().await.unwrap(), db.begin().await.unwrap());
    let found = db.monitor().check_health().await;
    assert_eq!(found[0].status, Status::Degraded, "{:?}", found[0].cause);
    drop(held);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn the_manager_watches_from_its_start_to_its_end() {
    let server = Postgres::start();
    let manager = DatabaseManager::new(config(server.url()));
    assert_eq!(manager.monitor().unwrap_err().kind(), ErrorKind::Closed);
    manager.initialize().await.unwrap();
    let monitor = manager.monitor().unwrap();
    assert!(monitor.is_watching() && monitor.is_healthy());
    assert_eq!(monitor.readiness().status_code, 200);
    manager.shutdown(Duration::from_secs(5)).await;
    assert!(!monitor.is_watching());
    let body = monitor.readiness().body;
    assert!(body.contains("shutting down"), "{body}");
    server.shut_down(Shutdown::Fast);
}

/// Blocks the thread on which it is asked, as a probe of a file system that hangs does.
struct Blocks(Mutex<mpsc::Receiver<()>>);

impl HealthProbe for Blocks {
    fn service(&self) -> Service {
        Service::Custom("blocks")
    }

    fn probe(&self) -> ProbeFuture<'_> {
        Box::pin(async {
            let _unblocked = self.0.lock().unwrap().recv();
            Finding::up()
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_probe_that_blocks_its_thread_holds_up_neither_the_others_nor_a_shutdown() {
    let db = Db::connect_with(&config(support::url())).await.unwrap();
    let monitor = db.monitor();
    let (unblock, blocked) = mpsc::channel();
    monitor.register(Blocks(Mutex::new(blocked))).unwrap();
    monitor.start();
    for looks in 1..4 {
        support::until("it goes on looking", || {
            monitor.health_history(Service::Postgres).len() >= looks
        })
        .await;
    }
    assert_eq!(monitor.readiness().status_code, 503);
    let health = monitor.current_health();
    let statuses: Vec<_> = health.iter().map(|health| health.status).collect();
    assert_eq!(statuses, [Status::Up, Status::Down]);
    let shutdown = tokio::time::timeout(Duration::from_secs(10), async {
        let db = db.clone();
        tokio::spawn(async move { db.shutdown(Duration::from_secs(1)).await }).await
    });
    let ended = shutdown.await;
    drop(unblock);
    ended.expect("no shutdown waits for a probe").unwrap();
}

#[tokio::test]
async fn the_figure_of_a_service_is_what_the_first_look_found() {
    let server = Postgres::start();
    let db = Db::connect_with(&config(server.url())).await.unwrap();
    let spare = told(&db.monitor(), "spare", false);
    *spare.lock().unwrap() = Finding::down("gone");
    let figure = || {
        let metric = db.metrics().metric("postgres.health");
        metric.and_then(|metric| metric.value())
    };
    assert_eq!(figure(), Some(1.0));
    server.kill();
    db.monitor().check_health().await;
    assert_eq!(db.monitor().current_health()[0].status, Status::Down);
    assert_eq!(figure(), Some(0.0));
    let page = db.metrics().prometheus();
    assert!(
        page.contains("aquifer_health{service=\"spare\"} 0\n"),
        "{page}"
    );
}

/// The one thread for listeners is busy when an event comes, and the handle is dropped before that
/// thread is free.
#[test]
fn a_listener_is_not_called_any_more_once_its_handle_is_dropped() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .build()
        .unwrap();
    runtime.block_on(async {
        let db = Db::connect_with(&config(support::url())).await.unwrap();
        let monitor = db.monitor();
        let finding = told(&monitor, "told", true);
        let (unblock, blocked) = mpsc::channel::<()>();
        let busy = tokio::task::spawn_blocking(move || blocked.recv());
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let listening = monitor.on_event(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        *finding.lock().unwrap() = Finding::down("away");
        monitor.check_health().await;
        // The listener's turn has come, but for the thread.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        drop(listening);
        drop(unblock);
        assert!(busy.await.unwrap().is_err());
        tokio::task::spawn_blocking(|| ()).await.unwrap();
        assert_eq!(calls.load(Ordering::Relaxed), 0);
    });
}
