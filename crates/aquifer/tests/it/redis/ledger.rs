//! What was counted is what callers were told, whatever happens to connection and server meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use aquifer::redis::Value;
use aquifer::{BreakerState, Config, ErrorKind, Event, Redis, Retry};
use aquifer_testkit::{Ending, Mode, Proxy, Redis as Server, Upstream};

use super::{PATIENCE, config, end, get, heard};

/// Counts under a key of its own until it is told to stop.
async fn count(
    redis: Redis,
    caller: usize,
    counted: Arc<[AtomicUsize]>,
    stop: Arc<AtomicBool>,
) -> (i64, i64) {
    let key = format!("counter:{caller}");
    let (mut done, mut unknown) = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        match redis.command("INCR").arg(&key).run::<i64>().await {
            Ok(value) => {
                done += 1;
                counted[caller].fetch_add(1, Ordering::Relaxed);
                assert!((done..=done + unknown).contains(&value), "{key}: {value}");
            }
            Err(error) if error.kind() == ErrorKind::Unknown => unknown += 1,
            // Nothing was done.
            Err(error) => assert_eq!(error.retry(), Retry::Safe, "{error}"),
        }
        // Others must see their own answers only.
        if let Ok(echoed) = redis.command("ECHO").arg(&key).run::<String>().await {
            assert_eq!(echoed, key);
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    (done, unknown)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_increment_is_lost_or_counted_twice_unless_that_is_said() {
    // `cargo xtask deep` sets it, and has time.
    let deep = std::env::var_os("PROPTEST_CASES").is_some();
    let rounds = if deep { 60 } else { 3 };
    let server = Server::start();
    let proxy = Proxy::to_any(Upstream::Port(server.port()));
    let config = config(&format!("redis://127.0.0.1:{}", proxy.port()));
    let config = config
        .redis_timeout(Duration::from_millis(150))
        .connect_timeout(Duration::from_millis(200));
    let redis = Redis::connect(&config).await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let counted: Arc<[AtomicUsize]> = (0..8).map(|_| AtomicUsize::new(0)).collect();
    let callers: Vec<_> = (0..8)
        .map(|caller| {
            let (counted, stop) = (Arc::clone(&counted), Arc::clone(&stop));
            tokio::spawn(count(redis.clone(), caller, counted, stop))
        })
        .collect();
    // Each fault meets callers who have just counted.
    let all_count = async || {
        let before: Vec<_> = counted
            .iter()
            .map(|at| at.load(Ordering::Relaxed))
            .collect();
        let more = |(at, before): (&AtomicUsize, &usize)| at.load(Ordering::Relaxed) > *before;
        super::super::support::until("all count", || counted.iter().zip(&before).all(more)).await;
    };
    let fault_lasts = || tokio::time::sleep(Duration::from_millis(400));
    for _ in 0..rounds {
        all_count().await;
        server.command(&["CLIENT", "KILL", "TYPE", "normal"]);
        all_count().await;
        proxy.cut_all(Ending::Reset);
        all_count().await;
        server.pause();
        fault_lasts().await;
        server.resume();
        all_count().await;
        proxy.set(Mode::BlackHole);
        fault_lasts().await;
        proxy.set(Mode::Pass);
    }
    all_count().await;
    stop.store(true, Ordering::Relaxed);
    for (caller, counted) in callers.into_iter().enumerate() {
        let (done, unknown) = counted.await.unwrap();
        let value = server.command(&["GET", &format!("counter:{caller}")]);
        let value: i64 = value.parse().unwrap();
        let told = format!("{done} done, {unknown} unknown, {value} counted");
        assert!((done..=done + unknown).contains(&value), "{told}");
    }
    end(redis).await;
}

/// Handles whose breakers don't open, by the knobs that hold for all breakers.
async fn with_other_breakers(config: &Config) -> Vec<Redis> {
    let off = config.clone().advanced(|advanced| advanced.breaker(false));
    let patient = config
        .clone()
        .advanced(|advanced| advanced.breaker_calls_min(100));
    let mut handles = Vec::new();
    for config in [off, patient] {
        let redis = Redis::connect(&config).await.unwrap();
        let asked = redis.command("GET").arg("a").timeout(PATIENCE);
        asked.run::<Option<String>>().await.unwrap();
        handles.push(redis);
    }
    handles
}

async fn it_goes_on_asking(redis: Redis) {
    for _ in 0..15 {
        let error = get(&redis, "a").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "it is asked: {error}");
    }
    assert_ne!(redis.status().masters[0].breaker, BreakerState::Open);
    redis.shutdown(Duration::from_secs(2)).await;
}

#[tokio::test]
async fn a_silent_server_is_not_asked_any_more_until_it_answers_again() {
    let server = Server::start();
    let limit = Duration::from_millis(20);
    // A look takes long, so that it is not by the lost connection that calls fail.
    let config = config(&server.url()).redis_timeout(limit);
    let config = config.advanced(|advanced| advanced.check_timeout(Duration::from_secs(60)));
    let others = with_other_breakers(&config).await;
    let redis = Redis::connect(&config).await.unwrap();
    let mut events = redis.events();
    let stored = redis.command("SET").arg("a").arg("1").timeout(PATIENCE);
    stored.run::<()>().await.unwrap();
    server.pause();
    let refused = tokio::time::timeout(PATIENCE, async {
        loop {
            let error = get(&redis, "a").await.unwrap_err();
            if error.kind() == ErrorKind::Connection {
                return error;
            }
            assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        }
    });
    let error = refused.await.expect("the breaker opens");
    assert!(error.to_string().contains("circuit breaker"), "{error}");
    assert_eq!(error.retry(), Retry::Safe);
    let opened = |event: &Event| {
        matches!(
            event,
            Event::BreakerChange {
                to: BreakerState::Open,
                lane: "commands",
                ..
            }
        )
    };
    heard(&mut events, opened).await;
    assert_eq!(redis.status().masters[0].breaker, BreakerState::Open);
    for other in others {
        it_goes_on_asking(other).await;
    }
    server.resume();
    let closed = |event: &Event| {
        matches!(
            event,
            Event::BreakerChange {
                to: BreakerState::Closed,
                ..
            }
        )
    };
    // With more time than before: a busy machine takes longer than the limit of those above.
    let patient = |name, key| redis.command(name).arg(key).timeout(PATIENCE);
    let asking = async {
        loop {
            drop(patient("GET", "a").run::<Value>().await);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        _ = heard(&mut events, closed) => {}
        () = asking => {}
    }
    patient("SET", "a").arg("2").run::<()>().await.unwrap();
    end(redis).await;
}
