//! Redis is away, from the beginning or later: nothing fails, and no change is forgotten.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aquifer::{Cache, CacheOptions, Error, ErrorKind, Event, MetricsCollector};
use aquifer_testkit::{Ending, Proxy, Redis as Server, Upstream};

use super::super::support::until;
use super::{
    Loader, PATIENCE, User, config, end, load, name, process, until_in_doubt, until_linked,
    until_name, user,
};

const CALLERS: usize = 100;

/// Each call gives what it says it gives without Redis.
async fn nothing_fails(cache: &Cache) {
    assert_eq!(name(cache, "a").await, None);
    let found = cache.mget::<User, _>(["a", "b"]).await.unwrap();
    assert_eq!(found, [None, None]);
    assert!(!cache.exists("a").await.unwrap());
    assert_eq!(cache.ttl("a").await.unwrap(), None);
    cache.set("a", &user(1, "John")).await.unwrap();
    assert_eq!(name(cache, "a").await, None);
    assert_eq!(cache.delete(["a"]).await.unwrap(), 0);
    cache.invalidate(["users"]).await.unwrap();
    cache.clear().await.unwrap();
    assert!(cache.status().has_missed_bumps);
    let error = cache.increment("visits", 1).await.unwrap_err();
    assert_ne!(error.kind(), ErrorKind::Usage, "{error}");
    assert!(cache.expire("a", Duration::from_secs(1)).await.is_err());
    // Those who ask at the same time share one load.
    let (begun, loads) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (cache, begun, loads) = (cache.clone(), Arc::clone(&begun), Arc::clone(&loads));
            let load = {
                let begun = Arc::clone(&begun);
                || async move {
                    loads.fetch_add(1, Ordering::SeqCst);
                    while begun.load(Ordering::SeqCst) < CALLERS {
                        tokio::task::yield_now().await;
                    }
                    Ok::<_, Error>(user(1, "Jane"))
                }
            };
            tokio::spawn(async move {
                begun.fetch_add(1, Ordering::SeqCst);
                cache.get_or_load("a", load).await.unwrap()
            })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.await.unwrap().name, "Jane");
    }
    // One that begins later than a second after the first loads by itself.
    let loads = loads.load(Ordering::SeqCst);
    assert!((1..10).contains(&loads), "{loads}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_from_the_beginning_nothing_fails_and_later_everything_works() {
    let server = Server::start();
    server.stop();
    let config = config(&server.url()).redis_timeout(Duration::from_millis(200));
    let cache = Cache::connect(&config).await.unwrap();
    nothing_fails(&cache).await;
    server.start_again();
    until_linked(&cache).await;
    assert!(!cache.status().has_missed_bumps);
    cache.set("a", &user(1, "John")).await.unwrap();
    assert_eq!(name(&cache, "a").await.as_deref(), Some("John"));

    server.kill();
    until_in_doubt(&cache).await;
    nothing_fails(&cache).await;
    server.start_again();
    until_linked(&cache).await;
    let loader = Loader::default();
    assert_eq!(load(&cache, "a", &loader, "Jane").await, "Jane");
    assert_eq!(load(&cache, "a", &loader, "Jim").await, "Jane");
    end(cache).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_did_not_reach_redis_is_seen_here_at_once_and_by_all_when_it_is_back() {
    let server = Server::start();
    let proxy = Proxy::to_any(Upstream::Port(server.port()));
    let url = format!("redis://127.0.0.1:{}", proxy.port());
    let config = config(&url).redis_timeout(Duration::from_millis(200));
    let cut_off = Cache::connect(&config).await.unwrap();
    until_linked(&cut_off).await;
    let mut events = cut_off.redis().unwrap().events();
    let other = process(&server.url()).await;
    for key in ["a", "b"] {
        other.set(key, &user(1, "old")).await.unwrap();
        until_name(&cut_off, key, Some("old"), &[None]).await;
        assert_eq!(name(&other, key).await.as_deref(), Some("old"));
    }
    proxy.refuse();
    proxy.cut_all(Ending::Reset);
    until_in_doubt(&cut_off).await;
    assert_eq!(cut_off.delete(["a"]).await.unwrap(), 0);
    let loader = Loader::default();
    assert_eq!(load(&cut_off, "a", &loader, "new").await, "new");
    assert_eq!(loader.loads(), 1);
    // Nobody could tell this one.
    assert_eq!(name(&other, "a").await.as_deref(), Some("old"));

    proxy.accept();
    while cut_off.status().has_missed_bumps {
        // What Redis holds is not believed before that.
        assert_ne!(name(&cut_off, "a").await.as_deref(), Some("old"));
        tokio::task::yield_now().await;
    }
    until_name(&other, "a", None, &[Some("old")]).await;
    until("it is made up for", || !cut_off.status().has_missed_bumps).await;
    assert_ne!(name(&cut_off, "a").await.as_deref(), Some("old"));
    // What it was is not remembered, only that it was.
    assert_eq!(name(&cut_off, "b").await, None);
    let mut seen = Vec::new();
    while !seen.contains(&"cache_linked") {
        let event: Event = tokio::time::timeout(PATIENCE, events.next())
            .await
            .expect("it is told")
            .expect("the handle lives");
        seen.push(event.name());
    }
    for name in ["cache_in_doubt", "cache_bump_missed"] {
        assert_eq!(
            seen.iter().filter(|seen| **seen == name).count(),
            1,
            "{name}"
        );
    }
    end(cut_off).await;
    end(other).await;
}

#[tokio::test]
async fn a_missed_change_is_made_up_for_where_redis_tells_no_changes() {
    let server = Server::start();
    let url = format!("{}?protocol=resp2", server.url());
    let config = config(&url).redis_timeout(Duration::from_millis(200));
    let cache = Cache::connect(&config).await.unwrap();
    until_linked(&cache).await;
    cache.set("a", &user(1, "old")).await.unwrap();
    assert_eq!(name(&cache, "a").await.as_deref(), Some("old"));
    server.pause();
    cache.delete(["a"]).await.unwrap();
    server.resume();
    until("it is made up for", || !cache.status().has_missed_bumps).await;
    assert_eq!(name(&cache, "a").await, None);
    end(cache).await;
}

#[tokio::test]
async fn a_negative_value_in_memory_gives_way_to_what_is_stored() {
    let server = Server::start();
    let (one, two) = (process(&server.url()).await, process(&server.url()).await);
    let hour = CacheOptions::new().negative_ttl(Duration::from_secs(3_600));
    let nobody = || async { Ok::<Option<User>, Error>(None) };
    let found = one.get_or_load_opt_with("a", &hour, nobody).await.unwrap();
    assert_eq!(found, None);
    let loader = Loader::default();
    assert_eq!(load(&two, "a", &loader, "John").await, "John");
    // Told that something about it changed.
    two.expire("a", Duration::from_secs(60)).await.unwrap();
    until_name(&one, "a", Some("John"), &[None]).await;
    end(one).await;
    end(two).await;
}

/// What it had kept stands under stamps that fit.
#[tokio::test]
async fn nothing_is_read_of_what_a_server_had_kept_before_it_was_started_again() {
    let server = Server::start();
    let (one, two) = (process(&server.url()).await, process(&server.url()).await);
    one.set("a", &user(1, "old")).await.unwrap();
    assert_eq!(name(&two, "a").await.as_deref(), Some("old"));
    server.keep_copy();
    one.set("a", &user(1, "new")).await.unwrap();
    until_name(&two, "a", Some("new"), &[Some("old"), None]).await;
    server.kill();
    server.start_again();
    assert!(server.command(&["GETRANGE", "aquifer:a", "0", "2"]) == "AQ1");
    until_name(&two, "a", None, &[Some("new")]).await;
    until_name(&one, "a", None, &[Some("new")]).await;
    end(one).await;
    end(two).await;
}

#[tokio::test]
async fn a_database_brings_its_cache_along() {
    let server = Server::start();
    let config = super::super::support::config(super::super::support::url());
    let metrics = MetricsCollector::new();
    let config = config.redis_url(server.url()).metrics(&metrics);
    let db = aquifer::Db::connect_with(&config).await.unwrap();
    let tasks = db.tasks_running();
    let cache = db.cache();
    until_linked(cache).await;
    assert!(cache.status().is_shared);
    let count = db.clone();
    let load = || async move {
        use aquifer::Session;
        count.query_value("select 41 + 1", ()).await
    };
    let value: Arc<i32> = cache.get_or_load("answer", load).await.unwrap();
    assert_eq!(*value, 42);
    for _ in 0..3 {
        assert_eq!(
            db.clone()
                .cache()
                .get::<i32>("answer")
                .await
                .unwrap()
                .as_deref(),
            Some(&42)
        );
    }
    db.cache().delete(["answer"]).await.unwrap();
    let value = |name: &str| metrics.metric(name).and_then(|metric| metric.value());
    assert_eq!(value("cache.loads"), Some(1.0));
    assert_eq!(value("cache.bumps"), Some(1.0));
    let hits = value("cache.hits.local").unwrap() + value("cache.hits.remote").unwrap();
    assert!(hits >= 3.0, "{hits}");
    // The link: what keeps it, and its connection.
    assert!(db.tasks_running() >= tasks + 2);
    db.close().await.unwrap();
    assert_eq!(db.tasks_running(), 0);
    let error = db.cache().delete(["answer"]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
    let load = || async { Ok::<_, Error>(1) };
    let error = db.cache().get_or_load("other", load).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed, "{error}");

    let config = super::super::support::config(super::super::support::url());
    let db = aquifer::Db::connect_with(&config).await.unwrap();
    assert!(!db.cache().status().is_shared);
    db.cache().set("a", &1).await.unwrap();
    assert_eq!(
        db.cache().get::<i32>("a").await.unwrap().as_deref(),
        Some(&1)
    );
    db.close().await.unwrap();
}

#[tokio::test]
async fn the_last_cache_that_is_dropped_closes_its_connections() {
    let server = Server::start();
    let cache = process(&server.url()).await;
    let clients = || {
        let list = server.command(&["CLIENT", "LIST", "TYPE", "NORMAL"]);
        list.lines().count()
    };
    // The commands', the link, and the one that asks.
    until("they are open", || clients() == 3).await;
    drop(cache.clone());
    assert!(cache.status().is_linked);
    drop(cache);
    until("they are closed", || clients() == 1).await;
}
