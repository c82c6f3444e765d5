//! More load than the connections can carry.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aquifer::{Config, Db, ErrorKind, Session};
use tokio::task::JoinSet;

use crate::support;

/// Exclusive connections, each of which serves a call in 5 ms.
const CONNECTIONS: usize = 4;

/// Calls in a second; more can't be served, however fast the machine is.
const SERVED_MAX: f64 = CONNECTIONS as f64 / 0.005;

const SERVICE: &str = "select pg_sleep(0.005)";

/// How long each phase lasts; `cargo xtask deep` asks for longer.
fn phase() -> Duration {
    let seconds = std::env::var("AQUIFER_OVERLOAD").ok();
    let seconds = seconds.and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or(2))
}

/// How often both phases take turns.
fn rounds() -> u32 {
    if std::env::var_os("AQUIFER_OVERLOAD").is_some() {
        5
    } else {
        1
    }
}

/// What callers were told.
#[derive(Default)]
struct Told {
    served: AtomicU64,
    refused: AtomicU64,
}

/// As many callers as there are connections, each of which calls again at once: the most that can be
/// served. How many were in a second.
async fn peak(db: &Db) -> f64 {
    let stop = Arc::new(AtomicBool::new(false));
    let mut callers = JoinSet::new();
    let start = Instant::now();
    for _ in 0..CONNECTIONS {
        let (db, stop) = (db.clone(), Arc::clone(&stop));
        callers.spawn(async move {
            let mut served = 0_u32;
            while !stop.load(Ordering::Relaxed) {
                db.query(SERVICE, ()).await.unwrap();
                served += 1;
            }
            served
        });
    }
    tokio::time::sleep(phase()).await;
    stop.store(true, Ordering::Relaxed);
    let served: u32 = callers.join_all().await.into_iter().sum();
    f64::from(served) / start.elapsed().as_secs_f64()
}

/// So many new callers in a second, whatever becomes of those before them. How many were served in a
/// second, and how long after the last one came nobody waited any more.
async fn overloaded(db: &Db, rate: f64, told: &Arc<Told>) -> (f64, Duration) {
    const TICK: Duration = Duration::from_millis(10);
    let mut ticks = tokio::time::interval(TICK);
    let mut callers = JoinSet::new();
    let start = Instant::now();
    let mut came = 0;
    while start.elapsed() < phase() {
        ticks.tick().await;
        while f64::from(came) < rate * start.elapsed().as_secs_f64() {
            came += 1;
            let (db, told) = (db.clone(), Arc::clone(told));
            callers.spawn(async move {
                match db.query(SERVICE, ()).await {
                    Ok(_) => told.served.fetch_add(1, Ordering::Relaxed),
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::Acquire, "{error:?}");
                        told.refused.fetch_add(1, Ordering::Relaxed)
                    }
                };
            });
        }
    }
    let goodput = told.served.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64();
    let end = Instant::now();
    callers.join_all().await;
    (goodput, end.elapsed())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_times_what_can_be_served_is_shed_and_the_rest_is_served() {
    let interval = Duration::from_millis(250);
    let config = Config::from_url(support::url())
        .unwrap()
        .connections_max(u32::try_from(CONNECTIONS).unwrap())
        .advanced(|advanced| {
            advanced
                .lanes(0)
                .connections_min(u32::try_from(CONNECTIONS).unwrap())
                .queue_target(Duration::from_millis(25))
                .queue_interval(interval)
        });
    let db = Db::connect_with(&config).await.unwrap();
    let mut refused = 0;
    support::until("all are open", || db.pool_status().idle == CONNECTIONS).await;
    let (mut peaks, mut goodput, mut drained) = (0.0, 0.0, Duration::ZERO);
    // By turns, so that both meet the same neighbours on the machine.
    for _ in 0..rounds() {
        let peak = peak(&db).await;
        let told = Arc::new(Told::default());
        // What was served just before says little where the machine has other work.
        let rate = match std::env::var_os("AQUIFER_OVERLOAD") {
            Some(_) => 3.0 * peak,
            None => 3.0 * SERVED_MAX,
        };
        let (served, rest) = overloaded(&db, rate, &told).await;
        refused += told.refused.load(Ordering::Relaxed);
        (peaks, goodput, drained) = (peaks + peak, goodput + served, drained.max(rest));
    }
    assert!(refused > 0, "the queue never empties");
    eprintln!(
        "overload: peak {:.0}/s, goodput at 3x {:.0}/s ({:.0} %), {refused} refused, drained in \
             {drained:?} (interval {interval:?})",
        peaks / f64::from(rounds()),
        goodput / f64::from(rounds()),
        100.0 * goodput / peaks
    );
    if std::env::var_os("AQUIFER_OVERLOAD").is_some() {
        assert!(goodput >= 0.9 * peaks);
        assert!(drained <= 2 * interval);
    }
    support::assert_whole(&db).await;
}
