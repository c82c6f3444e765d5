//! Dropped futures, dropped handles and shutdowns leave nothing behind.

use std::time::Duration;

use aquifer::{ErrorKind, Redis};
use aquifer_testkit::Redis as Server;

use super::super::support::{abort_at, until};
use super::{PATIENCE, connect, end, get, set};

/// Aborts at the first poll, the second, and so on, and checks that the next caller gets its own
/// answer.
async fn at_every_poll<F: Future>(redis: &Redis, make: impl Fn(usize) -> F) {
    for polls in 1..200 {
        let done = abort_at(polls, make(polls)).await.is_some();
        for tag in 0..3 {
            let tag = format!("{polls}:{tag}");
            let echoed: String = redis.command("ECHO").arg(&tag).run().await.unwrap();
            assert_eq!(echoed, tag, "an answer that was meant for somebody else");
        }
        if done {
            return;
        }
    }
    panic!("it never ends");
}

#[tokio::test]
async fn a_call_that_is_dropped_at_any_point_leaves_the_connection_whole() {
    let server = Server::start();
    let redis = connect(&server.url()).await;
    set(&redis, "a", "1").await.unwrap();
    let tasks = redis.tasks_running();
    at_every_poll(&redis, |polls| {
        redis
            .command("ECHO")
            .arg(format!("x{polls}"))
            .run::<String>()
    })
    .await;
    at_every_poll(&redis, |polls| {
        let pipeline = redis.pipeline().command("ECHO").arg(format!("y{polls}"));
        pipeline.command("INCR").arg("n").run::<(String, i64)>()
    })
    .await;
    at_every_poll(&redis, |polls| {
        let atomic = redis.pipeline().atomic().command("INCR").arg("n");
        atomic
            .command("ECHO")
            .arg(format!("z{polls}"))
            .run::<(i64, String)>()
    })
    .await;
    let master = redis.status().masters[0].address.clone();
    at_every_poll(&redis, |_| redis.link(&master, |_push| {})).await;
    until("no task is left over", || redis.tasks_running() == tasks).await;
    let clients = || server.command(&["CLIENT", "LIST", "TYPE", "NORMAL"]);
    // Ours, and the one that asks.
    until("no connection is left over", || {
        clients().lines().count() == 2
    })
    .await;
    end(redis).await;
}

#[tokio::test]
async fn the_last_handle_that_is_dropped_closes_the_connection() {
    let server = Server::start();
    let redis = connect(&server.url()).await;
    set(&redis, "a", "1").await.unwrap();
    let clients = || server.command(&["CLIENT", "LIST", "TYPE", "NORMAL"]);
    // Who asked before us may not have gone yet.
    until("it is open", || clients().lines().count() == 2).await;
    drop(redis.clone());
    assert_eq!(get(&redis, "a").await.unwrap().as_deref(), Some("1"));
    drop(redis);
    until("it is closed", || clients().lines().count() == 1).await;
}

#[tokio::test]
async fn a_shutdown_waits_for_what_is_under_way_and_no_longer_than_it_may() {
    let server = Server::start();
    let redis = connect(&server.url()).await;
    set(&redis, "a", "1").await.unwrap();
    server.pause();
    let reading = tokio::spawn({
        let redis = redis.clone();
        async move { get(&redis, "a").await }
    });
    tokio::task::yield_now().await;
    let closing = tokio::spawn({
        let redis = redis.clone();
        async move { redis.shutdown(PATIENCE).await }
    });
    tokio::task::yield_now().await;
    let refused = get(&redis, "a").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Closed, "{refused}");
    server.resume();
    assert_eq!(reading.await.unwrap().unwrap().as_deref(), Some("1"));
    closing.await.unwrap();
    assert_eq!(redis.tasks_running(), 0);

    let redis = connect(&server.url()).await;
    set(&redis, "a", "1").await.unwrap();
    server.pause();
    let counting = tokio::spawn({
        let redis = redis.clone();
        async move { redis.command("INCR").arg("a").run::<i64>().await }
    });
    tokio::task::yield_now().await;
    let closing = redis.shutdown(Duration::from_millis(100));
    tokio::time::timeout(PATIENCE, closing)
        .await
        .expect("bounded");
    assert_eq!(redis.tasks_running(), 0);
    let error = counting.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unknown, "{error}");
    server.resume();
}
