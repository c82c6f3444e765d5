//! Who loads, of several processes and of many callers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aquifer::{Cache, CacheLayer, CacheOptions, Error, ErrorKind};
use aquifer_testkit::{Ending, Proxy, Redis as Server, RedisCluster, Upstream};

use super::super::support::until;
use super::{
    Loader, User, config, end, held, load, name, process, until_in_doubt, until_linked, until_name,
    user,
};

/// Waits until somebody looks for what another process loads.
async fn until_looked_for(server: &Server, key: &str) {
    let claim = format!("aquifer~{key}");
    let looks = || super::stored::calls(server, "eval");
    let now = looks();
    until("it was looked for", || looks() >= now + 3).await;
    assert!(!server.command(&["GET", &claim]).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_callers_of_four_processes_load_once() {
    let server = Server::start();
    let mut processes = Vec::new();
    for _ in 0..4 {
        processes.push(process(&server.url()).await);
    }
    for round in 0..10 {
        let (key, loader) = (format!("user:{round}"), Loader::default());
        let callers: Vec<_> = (0..1_000)
            .map(|number| {
                let (cache, loader) = (processes[number % 4].clone(), loader.clone());
                let key = key.clone();
                tokio::spawn(async move { load(&cache, &key, &loader, "John").await })
            })
            .collect();
        for caller in callers {
            assert_eq!(caller.await.unwrap(), "John");
        }
        assert_eq!(loader.loads(), 1, "round {round}");
    }
    for cache in processes {
        end(cache).await;
    }
    let left = server.command(&["KEYS", "aquifer~*"]);
    assert_eq!(left, "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_on_a_cluster_take_what_another_loads() {
    let cluster = RedisCluster::start();
    let url = format!("redis+cluster://{}", cluster.place());
    let (one, two) = (process(&url).await, process(&url).await);
    for key in ["a", "b", "c", "d"] {
        let first = held(&one, key).await;
        let loader = Loader::default();
        let second = tokio::spawn({
            let (two, loader) = (two.clone(), loader.clone());
            async move { load(&two, key, &loader, "second").await }
        });
        tokio::task::yield_now().await;
        first.open.send(Ok("first")).unwrap();
        assert_eq!(second.await.unwrap(), "first");
        assert_eq!(first.loading.await.unwrap().unwrap().name, "first");
        assert_eq!(loader.loads(), 0);
    }
    end(one).await;
    end(two).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_wants_no_stale_value_waits_for_who_loads_the_next() {
    let server = Server::start();
    let (one, two) = (process(&server.url()).await, process(&server.url()).await);
    one.set("a", &user(1, "old")).await.unwrap();
    let layer = || async {
        let found = one.get_with::<User>("a", &CacheOptions::new()).await;
        found.unwrap().unwrap().layer
    };
    // The next stamp, in another database of the server. Both processes hear of it, and ask again.
    let change = "for _, key in ipairs(redis.call('KEYS', '*')) do redis.call('COPY', key, key, 'DB', 1) end \
                  redis.call('SELECT', 1) \
                  local stamp = redis.call('GET', 'aquifer#k:a') \
                  redis.call('SET', 'aquifer#k:a', (string.gsub(stamp, ':1:', ':2:')))";
    while layer().await == CacheLayer::Remote {}
    server.command(&["EVAL", change, "0"]);
    while layer().await == CacheLayer::Local {
        tokio::task::yield_now().await;
    }
    // Of this change nobody hears.
    server.command(&["SWAPDB", "0", "1"]);
    let load = held(&two, "a").await;
    assert_eq!(layer().await, CacheLayer::Local);
    let loader = Loader::default();
    let asked = tokio::spawn({
        let (one, loader) = (one.clone(), loader.clone());
        async move {
            let now = CacheOptions::new().max_staleness(Duration::ZERO);
            let load = loader.load(user(1, "another"));
            one.get_or_load_with("a", &now, load).await
        }
    });
    until_looked_for(&server, "a").await;
    load.gives("new").await;
    let found: Arc<User> = asked.await.unwrap().unwrap();
    assert_eq!((&*found.name, loader.loads()), ("new", 0));
    end(one).await;
    end(two).await;
}

#[tokio::test]
async fn another_process_takes_what_is_loaded_or_loads_when_that_fails() {
    let server = Server::start();
    let (one, two) = (process(&server.url()).await, process(&server.url()).await);
    let loader = Loader::default();
    let ask = |key: &'static str| {
        let (two, loader) = (two.clone(), loader.clone());
        tokio::spawn(async move { load(&two, key, &loader, "second").await })
    };
    let first = held(&one, "a").await;
    let second = ask("a");
    until_looked_for(&server, "a").await;
    assert_eq!(loader.loads(), 0);
    first.open.send(Ok("first")).unwrap();
    assert_eq!(second.await.unwrap(), "first");
    assert_eq!(loader.loads(), 0);

    let first = held(&one, "b").await;
    let second = ask("b");
    until_looked_for(&server, "b").await;
    let failure = cache_error(&one).await;
    first.open.send(Err(failure)).unwrap();
    assert!(first.loading.await.unwrap().is_err());
    assert_eq!(second.await.unwrap(), "second");
    assert_eq!(loader.loads(), 1);
    end(one).await;
    end(two).await;
}

async fn cache_error(cache: &Cache) -> Error {
    cache.get::<i32>("").await.unwrap_err()
}

#[tokio::test]
async fn after_a_change_nobody_waits_for_a_load_from_before() {
    let server = Server::start();
    let (one, two) = (process(&server.url()).await, process(&server.url()).await);
    let first = held(&one, "a").await;
    two.delete(["a"]).await.unwrap();
    let loader = Loader::default();
    assert_eq!(load(&two, "a", &loader, "new").await, "new");
    first.gives("old").await;
    assert_eq!(name(&two, "a").await.as_deref(), Some("new"));
    assert_eq!(load(&two, "a", &loader, "newer").await, "new");
    end(one).await;
    end(two).await;
}

#[test]
fn what_a_process_was_loading_that_ended_is_loaded_by_another() {
    let server = Server::start();
    let url = server.url();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    runtime.spawn({
        let url = url.clone();
        async move {
            let cache = process(&url).await;
            let held = held(&cache, "a").await;
            sender.send(()).unwrap();
            drop(held.loading.await);
        }
    });
    receiver.recv().unwrap();
    assert!(!server.command(&["GET", "aquifer~a"]).is_empty());
    // Nothing of it runs any more, as after kill -9.
    runtime.shutdown_background();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let cache = process(&url).await;
        let loader = Loader::default();
        assert_eq!(load(&cache, "a", &loader, "John").await, "John");
        assert_eq!(loader.loads(), 1);
        end(cache).await;
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_loads_run_than_the_budget_allows_also_without_redis() {
    let server = Server::start();
    let config = config(&server.url())
        .redis_timeout(Duration::from_millis(200))
        .advanced(|advanced| advanced.cache_loads_max(3));
    let cache = Cache::connect(&config).await.unwrap();
    until_linked(&cache).await;
    for is_there in [true, false] {
        if !is_there {
            server.kill();
            until_in_doubt(&cache).await;
        }
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let callers: Vec<_> = (0..100)
            .map(|number| {
                let (cache, running, most) =
                    (cache.clone(), Arc::clone(&running), Arc::clone(&most));
                let load = move || async move {
                    let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                    most.fetch_max(now, Ordering::SeqCst);
                    for _ in 0..10 {
                        tokio::task::yield_now().await;
                    }
                    running.fetch_sub(1, Ordering::SeqCst);
                    Ok::<_, Error>(number)
                };
                let key = format!("{is_there}:{number}");
                tokio::spawn(async move { cache.get_or_load(&key, load).await.map(|found| *found) })
            })
            .collect();
        for (number, caller) in callers.into_iter().enumerate() {
            assert_eq!(caller.await.unwrap().unwrap(), number);
        }
        assert_eq!(most.load(Ordering::SeqCst), 3);
    }
    end(cache).await;
}

#[tokio::test]
async fn a_load_that_needs_another_one_has_its_place_for_both() {
    let server = Server::start();
    let config = config(&server.url()).advanced(|advanced| advanced.cache_loads_max(1));
    let cache = Cache::connect(&config).await.unwrap();
    until_linked(&cache).await;
    let inner = cache.clone();
    let load = || async move {
        let inner = inner
            .get_or_load("inner", || async { Ok::<_, Error>(1) })
            .await?;
        Ok::<_, Error>(*inner + 1)
    };
    let outer = cache.get_or_load("outer", load).await.unwrap();
    assert_eq!(*outer, 2);

    // One that finds no place within its time is told why.
    let full = held(&cache, "held").await;
    let error = cache.get_or_load("late", || async { Ok::<_, Error>(1) });
    let error = error.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Acquire, "{error}");
    assert!(
        error.to_string().contains("advanced.cache_loads_max"),
        "{error}"
    );
    full.gives("held").await;
    end(cache).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn once_redis_is_known_to_be_away_nobody_waits_for_it() {
    let server = Server::start();
    // Each call that asks Redis would take as long as the whole test may.
    let cache = process(&server.url()).await;
    cache.set("a", &user(1, "John")).await.unwrap();
    server.pause();
    // Those that ask when it goes away are not left waiting either.
    let early = tokio::spawn({
        let cache = cache.clone();
        async move {
            let loader = Loader::default();
            load(&cache, "early", &loader, "Jane").await
        }
    });
    let change = tokio::spawn({
        let cache = cache.clone();
        async move { cache.delete(["a"]).await.unwrap() }
    });
    assert_eq!(early.await.unwrap(), "Jane");
    assert_eq!(change.await.unwrap(), 0);
    until_in_doubt(&cache).await;
    let loader = Loader::default();
    for number in 0..100 {
        let key = format!("user:{number}");
        assert_eq!(name(&cache, &key).await, None);
        assert_eq!(load(&cache, &key, &loader, "Jane").await, "Jane");
        cache.set(&key, &user(1, "Jim")).await.unwrap();
        cache.delete([&key]).await.unwrap();
        cache.invalidate(["users"]).await.unwrap();
    }
    assert_eq!(loader.loads(), 100);
    server.resume();
    until_linked(&cache).await;
    until("it is made up for", || !cache.status().has_missed_bumps).await;
    let tagged = CacheOptions::new().tag("users");
    cache
        .set_with("a", &user(1, "John"), &tagged)
        .await
        .unwrap();
    assert_eq!(name(&cache, "a").await.as_deref(), Some("John"));
    end(cache).await;
}

#[tokio::test]
async fn connections_that_are_cut_at_any_step_of_a_load_fail_nobody() {
    let server = Server::start();
    let proxy = Proxy::to_any(Upstream::Port(server.port()));
    let cache = process(&format!("redis://127.0.0.1:{}", proxy.port())).await;
    let other = process(&server.url()).await;
    for steps in 0..80 {
        let (key, loader) = (format!("user:{steps}"), Loader::default());
        let callers: Vec<_> = (0..3)
            .map(|_| {
                let (cache, loader, key) = (cache.clone(), loader.clone(), key.clone());
                tokio::spawn(async move { load(&cache, &key, &loader, "old").await })
            })
            .collect();
        for _ in 0..steps {
            tokio::task::yield_now().await;
        }
        proxy.cut_all(Ending::Reset);
        for caller in callers {
            assert_eq!(caller.await.unwrap(), "old");
        }
        cache.delete([&key]).await.unwrap();
        // Neither what was loaded here nor what was stored for it is taken for good any more.
        until_name(&other, &key, None, &[Some("old")]).await;
        let again = Loader::default();
        assert_eq!(load(&cache, &key, &again, "new").await, "new");
        assert_eq!(again.loads(), 1);
    }
    until_linked(&cache).await;
    until("it is made up for", || !cache.status().has_missed_bumps).await;
    end(cache).await;
    end(other).await;
}
