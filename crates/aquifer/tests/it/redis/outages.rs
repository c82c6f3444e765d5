//! R1 to R3, and CLIENT KILL: the server dies, hangs, comes back empty or loading, or is not there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aquifer::redis::Value;
use aquifer::{Error, ErrorKind, Event, Redis, Retry, Service, Status};
use aquifer_testkit::{Mode, Proxy, Redis as Server, Upstream};

use super::{PATIENCE, config, connect, end, get, heard, is_error, is_recovery, set, until_status};

/// Asks until it succeeds; every error on the way must say that a retry is safe.
async fn until_got(redis: &Redis, key: &str) -> Option<String> {
    let asked = tokio::time::timeout(PATIENCE, async {
        loop {
            match get(redis, key).await {
                Ok(value) => return value,
                Err(error) => assert_eq!(error.retry(), Retry::Safe, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    asked.await.expect("it comes back")
}

#[tokio::test]
async fn a_killed_server_fails_calls_at_once_and_is_back_in_use_when_it_is_back() {
    let server = Server::start();
    let redis = connect(&server.url()).await;
    let mut events = redis.events();
    set(&redis, "a", "1").await.unwrap();
    server.kill();
    let lost = heard(&mut events, is_error).await;
    let Event::ConnectionError { service, host, .. } = lost else {
        unreachable!("it was looked for");
    };
    assert_eq!(service, Service::Redis);
    assert_eq!(
        host.unwrap().to_string(),
        format!("127.0.0.1:{}", server.port())
    );
    // The deadline is much longer than this test may take.
    let error = get(&redis, "a").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection);
    assert_eq!(error.retry(), Retry::Safe);
    let error = redis.command("INCR").arg("a").run::<i64>().await;
    assert_eq!(
        error.unwrap_err().kind(),
        ErrorKind::Connection,
        "nothing was sent"
    );
    assert_eq!(redis.status().status, Status::Down);
    super::super::support::until("it is told why", || {
        redis
            .status()
            .cause
            .is_some_and(|cause| cause.contains("refused"))
    })
    .await;

    server.start_again();
    heard(&mut events, is_recovery).await;
    assert_eq!(until_got(&redis, "a").await, None, "it came back empty");
    assert_eq!(redis.status().status, Status::Up);
    end(redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_do_not_notice_that_the_connection_is_killed_again_and_again() {
    let server = Server::start();
    let redis = connect(&server.url()).await;
    set(&redis, "a", "1").await.unwrap();
    let read: Arc<[AtomicUsize]> = (0..8).map(|_| AtomicUsize::new(0)).collect();
    let stop = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..8)
        .map(|reader| {
            let (redis, read, stop) = (redis.clone(), Arc::clone(&read), Arc::clone(&stop));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    assert_eq!(get(&redis, "a").await.unwrap().as_deref(), Some("1"));
                    read[reader].fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for _ in 0..5 {
        server.command(&["CLIENT", "KILL", "TYPE", "normal"]);
        // No call meets it more often than it may be repeated.
        let wanted: Vec<_> = read
            .iter()
            .map(|at| at.load(Ordering::Relaxed) + 2)
            .collect();
        let is_there = |(at, wanted): (&AtomicUsize, &usize)| at.load(Ordering::Relaxed) >= *wanted;
        super::super::support::until("all read on", || read.iter().zip(&wanted).all(is_there))
            .await;
    }
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.await.unwrap();
    }
    end(redis).await;
}

#[tokio::test]
async fn a_server_that_hangs_holds_nobody_longer_than_the_deadline() {
    let server = Server::start();
    let limit = Duration::from_millis(300);
    let config = config(&server.url()).redis_timeout(limit);
    let config = config.connect_timeout(Duration::from_millis(500));
    let redis = Redis::connect(&config).await.unwrap();
    let mut events = redis.events();
    let stored = redis.command("SET").arg("a").arg("1").timeout(PATIENCE);
    stored.run::<()>().await.unwrap();
    server.pause();
    let hanging = async {
        let read = get(&redis, "a").await.unwrap_err();
        assert_eq!(
            (read.kind(), read.retry()),
            (ErrorKind::Timeout, Retry::Safe)
        );
    };
    let counting = async {
        let count = redis.command("INCR").arg("n").run::<i64>().await;
        let count = count.unwrap_err();
        assert_eq!(count.kind(), ErrorKind::Unknown, "{count}");
        assert_eq!(count.retry(), Retry::IfIdempotent);
    };
    let many = (0..50).map(|_| redis.command("GET").arg("a").run::<Value>());
    let many: Vec<_> = many.map(|call| tokio::spawn(call)).collect();
    tokio::time::timeout(PATIENCE, async {
        tokio::join!(hanging, counting);
        for call in many {
            call.await.unwrap().unwrap_err();
        }
    })
    .await
    .expect("bounded");
    heard(&mut events, is_error).await;
    until_status(&redis, Status::Down).await;
    // Connecting is bounded too, and in the end calls fail without waiting for it.
    let error = tokio::time::timeout(PATIENCE, async {
        loop {
            let patient = redis.command("GET").arg("a").timeout(PATIENCE);
            if let Err(error) = patient.run::<Value>().await {
                return error;
            }
        }
    });
    assert_eq!(error.await.unwrap().retry(), Retry::Safe);
    server.resume();
    heard(&mut events, is_recovery).await;
    assert_eq!(until_got(&redis, "a").await.as_deref(), Some("1"));
    end(redis).await;
}

#[tokio::test]
async fn a_network_that_swallows_everything_is_noticed_without_a_call() {
    let server = Server::start();
    let proxy = Proxy::to_any(Upstream::Port(server.port()));
    let config = config(&format!("redis://127.0.0.1:{}", proxy.port())).advanced(|advanced| {
        let advanced = advanced.keepalive_interval(Duration::from_millis(100));
        advanced.check_timeout(Duration::from_millis(50))
    });
    let config = config.connect_timeout(Duration::from_millis(300));
    let redis = Redis::connect(&config).await.unwrap();
    let mut events = redis.events();
    set(&redis, "a", "1").await.unwrap();
    proxy.set(Mode::BlackHole);
    heard(&mut events, is_error).await;
    proxy.set(Mode::Pass);
    heard(&mut events, is_recovery).await;
    assert_eq!(until_got(&redis, "a").await.as_deref(), Some("1"));
    end(redis).await;
}

#[tokio::test]
async fn calls_wait_while_the_server_loads_its_data() {
    let server = Server::start();
    let redis = connect(&server.url()).await;
    set(&redis, "a", "1").await.unwrap();
    server.restart_loading(Duration::from_millis(500));
    super::super::support::until("it is connected again", || {
        redis.status().status == Status::Up
    })
    .await;
    assert_eq!(get(&redis, "a").await.unwrap().as_deref(), Some("1"));
    let count: i64 = redis.command("INCR").arg("a").run().await.unwrap();
    assert_eq!(count, 2);

    // Within a short deadline the error says why. The server does not live to see its end.
    server.restart_loading(Duration::from_secs(20));
    let refused = tokio::time::timeout(PATIENCE, async {
        loop {
            let asked = redis
                .command("GET")
                .arg("a")
                .timeout(Duration::from_millis(50));
            match asked.run::<Value>().await {
                Err(error) if error.redis_code() == Some("LOADING") => return error,
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                Ok(_) => panic!("it loads for twenty seconds"),
            }
        }
    });
    let error: Error = refused.await.expect("it connects while the server loads");
    assert_eq!(error.retry(), Retry::Safe);
    end(redis).await;
}

#[tokio::test]
async fn without_redis_a_service_starts_degraded_unless_it_is_required() {
    let server = Server::start();
    server.kill();
    let config = config(&server.url()).connect_timeout(Duration::from_millis(500));
    let redis = Redis::connect(&config).await.unwrap();
    let mut events = redis.events();
    until_status(&redis, Status::Down).await;
    let error = get(&redis, "a").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection);

    let refused = Redis::connect(&config.clone().redis_required(true)).await;
    let refused = refused.expect_err("it is required");
    assert_eq!(refused.kind(), ErrorKind::Connection);
    assert!(refused.to_string().contains("refused"), "{refused}");

    server.start_again();
    heard(&mut events, is_recovery).await;
    set(&redis, "a", "1").await.unwrap();
    let required = Redis::connect(&config.redis_required(true)).await.unwrap();
    assert_eq!(required.status().status, Status::Up);
    end(required).await;
    end(redis).await;
}

#[tokio::test]
async fn a_server_that_accepts_and_hangs_up_is_told_once_and_met_with_few_attempts() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let accepted = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&accepted);
    let hanging_up = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::Relaxed);
            drop(stream);
        }
    });
    let redis = connect(&format!("redis://127.0.0.1:{port}")).await;
    let mut events = redis.events();
    let begun = Instant::now();
    let mut calls = 0;
    while begun.elapsed() < Duration::from_millis(1500) || accepted.load(Ordering::Relaxed) < 2 {
        get(&redis, "a").await.unwrap_err();
        calls += 1;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // The pauses between them grow from 50 ms to a second.
    let attempts = accepted.load(Ordering::Relaxed);
    let most = 10 + 20 * usize::try_from(begun.elapsed().as_secs() + 1).unwrap();
    assert!(attempts <= most, "{attempts} attempts for {calls} calls");
    end(redis).await;
    let mut told = 0;
    while let Some(event) = events.next().await {
        told += usize::from(is_error(&event));
    }
    assert_eq!(told, 1);
    hanging_up.abort();
}

/// On one thread, callers who ask again at once do not keep the connection from being opened.
#[tokio::test]
async fn a_loop_of_refused_calls_leaves_time_to_connect() {
    let server = Arc::new(Server::start());
    let redis = connect(&server.url()).await;
    set(&redis, "a", "1").await.unwrap();
    server.kill();
    // The first of them wait for a connection, the others are told at once that there is none.
    for _ in 0..100 {
        get(&redis, "a").await.unwrap_err();
    }
    let starting = std::thread::spawn({
        let server = Arc::clone(&server);
        move || server.start_again()
    });
    let begun = Instant::now();
    while let Err(error) = get(&redis, "a").await {
        assert_eq!(error.retry(), Retry::Safe, "{error}");
        assert!(begun.elapsed() < PATIENCE, "nobody connects");
    }
    starting.join().unwrap();
    end(redis).await;
}
