//! Redis hangs, is killed, or is away for a moment: what callers notice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aquifer::{Cache, Config};
use aquifer_testkit::{Ending, Proxy, Redis, Upstream};
use tokio::task::JoinSet;

use super::{USERS, User, key, percentile, until, user};
use crate::Error;

/// Callers at the same time.
const CALLERS: i64 = 16;

/// Within this an outage is noticed.
const DETECTED: Duration = Duration::from_millis(500);

/// How long each phase is looked at.
const PHASE: Duration = Duration::from_secs(3);

/// What callers noticed.
#[derive(Clone, Copy, Debug)]
pub struct Outage {
    /// As the table calls it.
    pub name: &'static str,
    /// The 99th percentile of `get_or_load`, in milliseconds, before.
    pub before: f64,
    /// While it is noticed: the first half second.
    pub noticing: f64,
    /// While Redis is away, after that.
    pub away: f64,
    /// The longest of all, from when it is noticed.
    pub longest: f64,
    /// Calls that failed.
    pub errors: u64,
}

/// What a loss of two seconds cost.
#[derive(Clone, Copy, Debug)]
pub struct Blip {
    /// Values in memory before.
    pub values: i64,
    /// How many of them were loaded again afterwards.
    pub loaded: u64,
}

/// A call: when it began, and how long it took.
type Call = (Instant, f64);

/// Measures both ways in which Redis goes away.
///
/// # Errors
/// When the cache is not linked.
pub async fn measure() -> Result<Vec<Outage>, Error> {
    let mut outages = Vec::new();
    for (name, pauses) in [("Redis hangs (SIGSTOP)", true), ("Redis is killed", false)] {
        let server = tokio::task::spawn_blocking(Redis::start).await?;
        let config = Config::new()
            .redis_url(server.url())
            .redis_timeout(DETECTED / 2);
        let cache = super::linked(&config).await?;
        outages.push(one(name, &cache, &server, pauses).await?);
        if let Some(redis) = cache.redis() {
            redis.shutdown(Duration::from_secs(1)).await;
        }
        tokio::task::spawn_blocking(move || drop(server)).await?;
    }
    Ok(outages)
}

async fn one(
    name: &'static str,
    cache: &Cache,
    server: &Redis,
    pauses: bool,
) -> Result<Outage, Error> {
    let (stop, errors) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        callers.spawn(call(
            cache.clone(),
            caller,
            Arc::clone(&stop),
            Arc::clone(&errors),
        ));
    }
    let begun = Instant::now();
    tokio::time::sleep(PHASE).await;
    let struck = Instant::now();
    if pauses {
        server.pause();
    } else {
        tokio::task::block_in_place(|| server.kill());
    }
    tokio::time::sleep(DETECTED + PHASE).await;
    let healed = Instant::now();
    stop.store(true, Ordering::Relaxed);
    let calls: Vec<Call> = callers.join_all().await.into_iter().flatten().collect();
    server.resume();
    let times = |from: Instant, until: Instant| -> Vec<f64> {
        let within = calls
            .iter()
            .filter(|(begun, _)| (from..until).contains(begun));
        within.map(|(_, time)| *time).collect()
    };
    Ok(Outage {
        name,
        before: percentile(&mut times(begun, struck), 99),
        noticing: percentile(&mut times(struck, struck + DETECTED), 99),
        away: percentile(&mut times(struck + DETECTED, healed), 99),
        longest: percentile(&mut times(struck + DETECTED, healed), 100),
        errors: errors.load(Ordering::Relaxed),
    })
}

async fn call(
    cache: Cache,
    caller: i64,
    stop: Arc<AtomicBool>,
    errors: Arc<AtomicU64>,
) -> Vec<Call> {
    let mut calls = Vec::new();
    let mut id = caller;
    while !stop.load(Ordering::Relaxed) {
        id = (id + CALLERS) % USERS;
        let begun = Instant::now();
        let load = move || async move { Ok::<_, aquifer::Error>(user(id)) };
        match cache.get_or_load(&key(id), load).await {
            Ok(_) => calls.push((begun, begun.elapsed().as_secs_f64() * 1e3)),
            Err(_) => drop(errors.fetch_add(1, Ordering::Relaxed)),
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    calls
}

/// The network to Redis is away for two seconds; what was in memory is looked for again.
///
/// # Errors
/// When the cache is not linked.
pub async fn blip() -> Result<Blip, Error> {
    let server = tokio::task::spawn_blocking(Redis::start).await?;
    let proxy = Proxy::to_any(Upstream::Port(server.port()));
    let url = format!("redis://127.0.0.1:{}", proxy.port());
    let cache = super::linked(&Config::new().redis_url(url)).await?;
    let loads = Arc::new(AtomicU64::new(0));
    let read_all = async |cache: &Cache| {
        for id in 0..USERS {
            let counted = Arc::clone(&loads);
            let load = move || async move {
                counted.fetch_add(1, Ordering::Relaxed);
                Ok::<_, aquifer::Error>(user(id))
            };
            let found: Result<Arc<User>, aquifer::Error> = cache.get_or_load(&key(id), load).await;
            found?;
        }
        Ok::<(), Error>(())
    };
    read_all(&cache).await?;
    let before = loads.load(Ordering::Relaxed);
    tokio::task::block_in_place(|| proxy.refuse());
    proxy.cut_all(Ending::Reset);
    tokio::time::sleep(Duration::from_secs(2)).await;
    proxy.accept();
    until("the cache is linked again", || cache.status().is_linked).await?;
    read_all(&cache).await?;
    let loaded = loads.load(Ordering::Relaxed) - before;
    if let Some(redis) = cache.redis() {
        redis.shutdown(Duration::from_secs(1)).await;
    }
    tokio::task::spawn_blocking(move || drop((proxy, server))).await?;
    Ok(Blip {
        values: USERS,
        loaded,
    })
}
