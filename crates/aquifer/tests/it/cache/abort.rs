//! Callers who go away at any point leave nothing undone that others rely on.

use std::time::Duration;

use aquifer::{Cache, CacheOptions, Error};
use aquifer_testkit::Redis as Server;

use super::super::support::until;
use super::{
    Loader, User, abort_at, config, end, load, name, process, until_linked, until_name, user,
};

/// Aborts at the first poll, the second, and so on; `check` says what must hold after each.
async fn at_every_poll<F: Future>(make: impl Fn(usize) -> F, mut check: impl AsyncFnMut(usize)) {
    for polls in 1..200 {
        let done = abort_at(polls, make(polls)).await.is_some();
        check(polls).await;
        if done {
            return;
        }
    }
    panic!("it never ends");
}

async fn every_call_may_be_dropped(cache: &Cache) {
    let whole = async |polls: usize| {
        let key = format!("whole:{polls}");
        cache.set(&key, &user(1, &key)).await.unwrap();
        assert_eq!(name(cache, &key).await.as_deref(), Some(key.as_str()));
    };
    let minute = CacheOptions::new()
        .ttl(Duration::from_secs(60))
        .tag("users");
    at_every_poll(async |_| drop(cache.get::<User>("a").await), whole).await;
    at_every_poll(
        async |_| drop(cache.mget::<User, _>(["a", "b"]).await),
        whole,
    )
    .await;
    at_every_poll(async |_| drop(cache.exists("a").await), whole).await;
    at_every_poll(async |_| drop(cache.ttl("a").await), whole).await;
    at_every_poll(async |_| drop(cache.increment("n", 1).await), whole).await;
    at_every_poll(async |_| drop(cache.decrement("n", 1).await), whole).await;
    at_every_poll(
        async |_| drop(cache.expire("a", Duration::from_secs(9)).await),
        whole,
    )
    .await;
    at_every_poll(async |_| drop(cache.invalidate(["users"]).await), whole).await;
    let value = user(1, "John");
    at_every_poll(
        async |_| drop(cache.mset([("a", &value), ("b", &value)]).await),
        whole,
    )
    .await;
    at_every_poll(
        async |_| drop(cache.set_with("a", &value, &minute).await),
        whole,
    )
    .await;
    let nobody = || async { Ok::<Option<User>, Error>(None) };
    let missing = async |polls: usize| {
        drop(
            cache
                .get_or_load_opt(&format!("none:{polls}"), nobody)
                .await,
        );
    };
    at_every_poll(missing, whole).await;
}

#[tokio::test]
async fn every_call_may_be_dropped_at_any_point() {
    let server = Server::start();
    let cache = process(&server.url()).await;
    let tasks = cache.redis().unwrap().tasks_running();
    every_call_may_be_dropped(&cache).await;
    until("no task is left over", || {
        cache.redis().unwrap().tasks_running() == tasks
    })
    .await;
    let (redis, settings) = (cache.redis().unwrap(), config(&server.url()));
    for polls in 1..200 {
        if let Some(other) = abort_at(polls, Cache::connect(&settings)).await {
            end(other.unwrap()).await;
            break;
        }
    }
    let second = Cache::with_redis(redis, &settings).unwrap();
    until_linked(&second).await;
    drop(second);
    every_call_may_be_dropped(&Cache::in_process(&settings).unwrap()).await;
    end(cache).await;
}

#[tokio::test]
async fn a_change_whose_caller_goes_away_is_carried_out() {
    let server = Server::start();
    let (one, two) = (process(&server.url()).await, process(&server.url()).await);
    let carried = async |polls: usize| {
        until_name(&two, "a", None, &[Some("old")]).await;
        until_name(&one, "a", None, &[Some("old")]).await;
        one.set("a", &user(1, "old")).await.unwrap();
        until_name(&two, "a", Some("old"), &[None]).await;
        assert!(polls < 100);
    };
    one.set("a", &user(1, "old")).await.unwrap();
    until_name(&two, "a", Some("old"), &[None]).await;
    at_every_poll(async |_| drop(one.delete(["a"]).await), carried).await;
    at_every_poll(async |_| drop(one.clear().await), carried).await;
    let tagged = CacheOptions::new().tag("users");
    one.set_with("t", &user(1, "old"), &tagged).await.unwrap();
    until_name(&two, "t", Some("old"), &[None]).await;
    let invalidated = async |_| {
        until_name(&two, "t", None, &[Some("old")]).await;
        one.set_with("t", &user(1, "old"), &tagged).await.unwrap();
        until_name(&two, "t", Some("old"), &[None]).await;
    };
    at_every_poll(async |_| drop(one.invalidate(["users"]).await), invalidated).await;
    end(one).await;
    end(two).await;
}

#[tokio::test]
async fn a_load_whose_caller_goes_away_goes_on() {
    let server = Server::start();
    let cache = process(&server.url()).await;
    let loader = Loader::default();
    let first = load(&cache, "a", &loader, "John");
    assert!(abort_at(1, first).await.is_none());
    until("it was loaded", || loader.loads() == 1).await;
    assert_eq!(load(&cache, "a", &loader, "Jane").await, "John");
    assert_eq!(loader.loads(), 1);
    end(cache).await;
}
