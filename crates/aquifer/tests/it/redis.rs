//! Redis on real servers: what a service may rely on, and what it meets when they fail.

mod abort;
mod cluster;
mod ledger;
mod links;
mod login;
mod outages;
mod refusals;
mod sentinel;

use std::collections::HashMap;
use std::time::Duration;

use aquifer::redis::Value;
use aquifer::{Config, Error, ErrorKind, Event, Events, Redis, Retry, Service, Status};
use aquifer_testkit::Redis as Server;

/// More than any call here takes unless something hangs.
pub(super) const PATIENCE: Duration = super::support::PATIENCE;

/// A handle on what a URL names; calls have time, so that only hanging fails them.
pub(super) fn config(url: &str) -> Config {
    Config::new().redis_url(url).redis_timeout(PATIENCE)
}

pub(super) async fn connect(url: &str) -> Redis {
    Redis::connect(&config(url)).await.unwrap()
}

/// Waits, bounded, for an event; those before it are dropped.
pub(super) async fn heard(events: &mut Events, wanted: impl Fn(&Event) -> bool) -> Event {
    let waited = tokio::time::timeout(PATIENCE, async {
        loop {
            let event = events.next().await.expect("the handle lives");
            if wanted(&event) {
                return event;
            }
        }
    });
    waited.await.expect("no such event")
}

pub(super) fn is_error(event: &Event) -> bool {
    matches!(event, Event::ConnectionError { .. })
}

pub(super) fn is_recovery(event: &Event) -> bool {
    matches!(event, Event::ConnectionRecovery { .. })
}

/// Waits, bounded, until Redis does as wanted.
pub(super) async fn until_status(redis: &Redis, wanted: Status) {
    let what = format!("{wanted:?}");
    super::support::until(&what, || redis.status().status == wanted).await;
}

/// Shuts down and checks that nothing is left.
pub(super) async fn end(redis: Redis) {
    redis.shutdown(Duration::from_secs(2)).await;
    assert_eq!(redis.tasks_running(), 0);
    let error = get(&redis, "a").await.expect_err("it is closed");
    assert_eq!(error.kind(), ErrorKind::Closed);
}

pub(super) async fn get(redis: &Redis, key: &str) -> Result<Option<String>, Error> {
    redis.command("GET").arg(key).run().await
}

pub(super) async fn set(redis: &Redis, key: &str, value: &str) -> Result<(), Error> {
    redis.command("SET").arg(key).arg(value).run().await
}

#[tokio::test]
async fn commands_and_pipelines_give_typed_answers() {
    let server = Server::start();
    for url in [
        server.url(),
        format!("{}?protocol=resp2", server.url()),
        format!("redis+unix://{}", server.socket().display()),
    ] {
        server.command(&["FLUSHALL"]);
        let redis = connect(&url).await;
        set(&redis, "a", "1").await.unwrap();
        assert_eq!(get(&redis, "a").await.unwrap().as_deref(), Some("1"));
        assert_eq!(get(&redis, "b").await.unwrap(), None);
        let number: i64 = redis.command("INCR").arg("a").run().await.unwrap();
        assert_eq!(number, 2);
        let hset = redis.command("HSET").arg("h").arg(&[("x", 1), ("y", 2)]);
        hset.run::<()>().await.unwrap();
        let hash: HashMap<String, i64> = redis.command("HGETALL").arg("h").run().await.unwrap();
        assert_eq!(hash["y"], 2);

        let pipeline = redis.pipeline().command("SET").arg("p").arg("v");
        let pipeline = pipeline.command("GET").arg("p").command("EXISTS").arg("q");
        let (_, value, exists): ((), String, bool) = pipeline.run().await.unwrap();
        assert_eq!((value.as_str(), exists), ("v", false));
        let atomic = redis.pipeline().atomic();
        let atomic = atomic.command("INCR").arg("n").command("INCR").arg("n");
        assert_eq!(atomic.run::<(i64, i64)>().await.unwrap(), (1, 2));

        let each = redis.pipeline().command("GET").arg("a");
        let each = each.command("INCR").arg("p").command("GET").arg("p");
        let answers = each.run_each().await.unwrap();
        assert_eq!(
            answers[0].as_ref().unwrap(),
            &Value::BulkString(b"2".into())
        );
        assert_eq!(answers[1].as_ref().unwrap_err().redis_code(), Some("ERR"));
        assert_eq!(
            answers[2].as_ref().unwrap(),
            &Value::BulkString(b"v".into())
        );
        assert!(redis.pipeline().run_each().await.unwrap().is_empty());
        end(redis).await;
    }
}

#[tokio::test]
async fn what_the_server_refuses_is_a_typed_error_that_repeats_no_value() {
    let server = Server::start();
    let redis = connect(&server.url()).await;
    set(&redis, "text", "canary").await.unwrap();
    let error = redis.command("LPUSH").arg("text").arg("canary");
    let error = error.run::<i64>().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Redis);
    assert_eq!(error.redis_code(), Some("WRONGTYPE"));
    assert_eq!(error.retry(), Retry::Never);

    let errors = [
        redis.command("NONSENSE").arg("canary").run::<()>().await,
        redis
            .command("GET")
            .arg("text")
            .run::<u8>()
            .await
            .map(|_| ()),
        redis.command("GET").arg("text").run::<()>().await,
        redis.command("SET").arg("canary").run::<()>().await,
    ];
    for (error, place) in errors.iter().zip(0..) {
        let Err(error) = error else { continue };
        let text = format!("{error} {error:?} {:?}", std::error::Error::source(error));
        assert!(!text.contains("canary"), "{place}: {text}");
    }
    let kinds = errors
        .iter()
        .map(|error| error.as_ref().map_err(Error::kind));
    let kinds: Vec<_> = kinds.collect();
    assert_eq!(kinds[0], Err(ErrorKind::Redis));
    assert_eq!(kinds[1], Err(ErrorKind::Decode));
    let debug = format!("{:?}", redis.command("SET").arg("a").arg("canary"));
    assert!(!debug.contains("canary"), "{debug}");
    end(redis).await;
}

#[tokio::test]
async fn what_would_hold_up_the_others_is_refused_before_it_is_sent() {
    let server = Server::start();
    let redis = connect(&server.url()).await;
    for (name, argument) in [
        ("BLPOP", "a"),
        ("SUBSCRIBE", "a"),
        ("SELECT", "1"),
        ("MULTI", ""),
    ] {
        let error = redis.command(name).arg(argument).run::<Value>().await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage, "{name}");
        assert!(error.to_string().contains("Redis::link"), "{error}");
    }
    end(redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_caller_gets_its_own_answer() {
    let server = Server::start();
    let redis = connect(&server.url()).await;
    let callers: Vec<_> = (0..64)
        .map(|caller| {
            let redis = redis.clone();
            tokio::spawn(async move {
                for round in 0..50 {
                    let tag = format!("{caller}:{round}");
                    let echoed: String = redis.command("ECHO").arg(&tag).run().await.unwrap();
                    assert_eq!(echoed, tag);
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    end(redis).await;
}

#[tokio::test]
async fn more_calls_than_may_be_under_way_are_refused_at_once() {
    let server = Server::start();
    let config = config(&server.url()).advanced(|advanced| advanced.requests_max(2));
    let redis = Redis::connect(&config).await.unwrap();
    set(&redis, "a", "1").await.unwrap();
    server.pause();
    let ask = || {
        let redis = redis.clone();
        tokio::spawn(async move { get(&redis, "a").await })
    };
    let (one, two) = (ask(), ask());
    tokio::task::yield_now().await;
    let error = get(&redis, "a").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Acquire);
    assert!(error.to_string().contains("requests_max"), "{error}");
    server.resume();
    for waiting in [one, two] {
        assert_eq!(waiting.await.unwrap().unwrap().as_deref(), Some("1"));
    }
    end(redis).await;
}

#[tokio::test]
async fn a_database_brings_its_redis_along() {
    let server = Server::start();
    let config = Config::from_url(super::support::url()).unwrap();
    let without = aquifer::Db::connect_with(&config).await.unwrap();
    assert!(without.redis().is_none());
    let db = aquifer::Db::connect_with(&config.redis_url(server.url())).await;
    let db = db.unwrap();
    let redis = db.redis().expect("a URL is set").clone();
    set(&redis, "a", "1").await.unwrap();
    assert_eq!(redis.status().status, Status::Up);
    assert!(redis.ping(PATIENCE).await.is_ok());
    let health = db.monitor().check_health().await;
    let of_redis = health.iter().find(|found| found.service == Service::Redis);
    let of_redis = of_redis.expect("it is watched");
    assert_eq!((of_redis.status, of_redis.required), (Status::Up, false));
    server.kill();
    until_status(&redis, Status::Down).await;
    let health = db.monitor().check_health().await;
    let of_redis = health.iter().find(|found| found.service == Service::Redis);
    assert_eq!(of_redis.expect("it is watched").status, Status::Down);
    db.close().await.unwrap();
    assert_eq!(db.tasks_running(), 0);
    assert_eq!(
        get(&redis, "a").await.unwrap_err().kind(),
        ErrorKind::Closed
    );
}
