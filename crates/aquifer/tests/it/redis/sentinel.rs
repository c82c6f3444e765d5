//! R7: Sentinel names another master, and the client follows.

use std::time::{Duration, Instant};

use aquifer::{ErrorKind, Event, Redis, Retry, Service, Status};
use aquifer_testkit::{Redis as Server, Sentinels};

use super::{PATIENCE, config, connect, end, get, heard, set, until_status};

fn is_failover(event: &Event) -> bool {
    matches!(event, Event::Failover { .. })
}

/// Writes until it succeeds; every error on the way must say that a retry is safe. Returns how long
/// it took.
async fn until_written(redis: &Redis, value: &str) -> Duration {
    let begun = Instant::now();
    let written = tokio::time::timeout(PATIENCE, async {
        while let Err(error) = set(redis, "a", value).await {
            assert_eq!(error.retry(), Retry::Safe, "{error}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    written.await.expect("a new master");
    begun.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_client_follows_to_the_master_that_sentinel_names() {
    let first = Server::start();
    let second = first.start_replica();
    let sentinels = Sentinels::start(&first, "shop", 1);
    let redis = connect(&format!("redis+sentinel://{}", sentinels.place())).await;
    let mut events = redis.events();
    set(&redis, "a", "1").await.unwrap();
    assert_eq!(first.command(&["GET", "a"]), "1");

    // In order: the old master becomes a replica, and says READONLY until it is left.
    sentinels.fail_over();
    let failover = heard(&mut events, is_failover).await;
    let Event::Failover {
        service, from, to, ..
    } = failover
    else {
        unreachable!("it was looked for");
    };
    assert_eq!(service, Service::Redis);
    assert_eq!(*from.unwrap(), *format!("127.0.0.1:{}", first.port()));
    assert_eq!(*to, *format!("127.0.0.1:{}", second.port()));
    until_written(&redis, "2").await;
    assert_eq!(second.command(&["GET", "a"]), "2");
    until_status(&redis, Status::Up).await;

    end(redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_is_killed_is_replaced_within_moments() {
    let first = Server::start();
    let second = first.start_replica();
    let sentinels = Sentinels::start(&first, "shop", 1);
    let redis = connect(&format!("redis+sentinel://{}", sentinels.place())).await;
    let mut events = redis.events();
    until_written(&redis, "1").await;
    first.kill();
    let killed = Instant::now();
    // When the replica takes writes, by itself.
    let promoted = std::thread::scope(|scope| {
        let promoted = scope.spawn(|| {
            while second.try_command(&["SET", "b", "1"]).is_err() {
                std::thread::sleep(Duration::from_millis(1));
            }
            killed.elapsed()
        });
        tokio::task::block_in_place(|| {
            let written = async {
                heard(&mut events, is_failover).await;
                until_written(&redis, "2").await;
            };
            tokio::runtime::Handle::current().block_on(written);
        });
        promoted.join().unwrap()
    });
    let written = killed.elapsed();
    println!("the replica takes writes after {promoted:?}, and gets them after {written:?}");
    assert_eq!(second.command(&["GET", "a"]), "2");
    assert_eq!(get(&redis, "a").await.unwrap().as_deref(), Some("2"));
    end(redis).await;
}

#[tokio::test]
async fn a_master_that_hangs_is_left_and_one_sentinel_is_enough_to_find_the_next() {
    let first = Server::start();
    let second = first.start_replica();
    let sentinels = Sentinels::start(&first, "shop", 1);
    let url = format!("redis+sentinel://{}", sentinels.place());
    let config = config(&url).redis_timeout(Duration::from_millis(300));
    let redis = Redis::connect(&config).await.unwrap();
    let mut events = redis.events();
    until_written(&redis, "1").await;
    first.pause();
    heard(&mut events, is_failover).await;
    until_written(&redis, "2").await;
    assert_eq!(second.command(&["GET", "a"]), "2");
    // The old one wakes up, takes itself for the master for a while, and nobody writes there.
    first.resume();
    until_written(&redis, "3").await;
    assert_eq!(second.command(&["GET", "a"]), "3");

    for sentinel in &sentinels.each()[1..] {
        sentinel.kill();
    }
    let late = Redis::connect(&config).await.unwrap();
    until_written(&late, "4").await;
    end(late).await;
    end(redis).await;
}

#[tokio::test]
async fn without_a_sentinel_that_knows_the_service_calls_fail_soon_and_say_why() {
    let master = Server::start();
    let sentinels = Sentinels::start(&master, "shop", 0);
    let place = sentinels.place().replace("/shop", "/shoe");
    let redis = connect(&format!("redis+sentinel://{place}")).await;
    until_status(&redis, Status::Down).await;
    let error = get(&redis, "a").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
    assert!(error.to_string().contains("No such master"), "{error}");
    end(redis).await;
}
