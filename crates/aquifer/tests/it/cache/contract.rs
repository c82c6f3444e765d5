//! What holds on every backend: one Redis, a cluster, and no Redis at all.

use std::sync::Arc;
use std::time::Duration;

use aquifer::{Cache, CacheFormat, CacheOptions, Error, ErrorKind};
use aquifer_testkit::{Redis as Server, RedisCluster};

use super::{Loader, User, config, end, held, load, name, until_linked, user};

/// Runs every part on a cache with a namespace of its own.
async fn keep_the_contract(url: Option<&str>) {
    for format in [CacheFormat::MessagePack, CacheFormat::Json] {
        Box::pin(keep_the_contract_in(url, format)).await;
    }
}

async fn keep_the_contract_in(url: Option<&str>, format: CacheFormat) {
    macro_rules! parts {
        ($($part:ident),* $(,)?) => {
            $({
                println!("{} in {}", stringify!($part), format.name());
                let namespace = format!("{}-{}", format.name(), stringify!($part));
                let namespace = namespace.get(..namespace.len().min(60)).unwrap();
                let config = config(url.unwrap_or_default())
                    .cache_namespace(namespace)
                    .cache_format(format);
                let cache = match url {
                    Some(_) => Cache::connect(&config).await.unwrap(),
                    None => Cache::in_process(&config).unwrap(),
                };
                until_linked(&cache).await;
                $part(&cache).await;
                end(cache).await;
            })*
        };
    }
    parts!(
        values_are_kept_and_removed,
        several_keys_are_read_in_their_order,
        counters_count,
        times_are_kept,
        a_value_is_loaded_once_and_kept,
        that_there_is_no_value_is_kept_too,
        errors_and_panics_of_the_loader_are_the_callers,
        tags_and_clear_make_values_misses,
        a_herd_loads_once,
        what_was_loaded_before_a_delete_is_not_used_after_it,
        keys_that_do_not_fit_are_refused,
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_redis_keeps_the_contract() {
    let server = Server::start();
    keep_the_contract(Some(&server.url())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_keeps_the_contract() {
    let cluster = RedisCluster::start();
    let url = format!("redis+cluster://{}", cluster.place());
    keep_the_contract(Some(&url)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_without_redis_keeps_the_contract() {
    keep_the_contract(None).await;
}

#[tokio::test]
async fn a_redis_that_tells_no_changes_keeps_the_values() {
    let server = Server::start();
    // Nor may processes tell each other.
    let user_without = [
        "ACL",
        "SETUSER",
        "app",
        "on",
        ">secret",
        "~*",
        "+@all",
        "resetchannels",
    ];
    server.command(&user_without);
    let port = server.port();
    let url = format!("redis://app:secret@127.0.0.1:{port}?protocol=resp2");
    let cache = Cache::connect(&config(&url)).await.unwrap();
    let other = Cache::connect(&config(&url)).await.unwrap();
    for round in 0..200 {
        let text = round.to_string();
        cache.set("user:1", &user(1, &text)).await.unwrap();
        // Every read asks, so nobody needs to wait.
        assert_eq!(name(&other, "user:1").await, Some(text));
        if round % 10 == 0 {
            cache.delete(["user:1"]).await.unwrap();
            assert_eq!(name(&other, "user:1").await, None);
        }
    }
    assert!(!cache.status().is_linked && !other.status().is_linked);
    end(cache).await;
    end(other).await;
}

async fn values_are_kept_and_removed(cache: &Cache) {
    assert_eq!(name(cache, "user:1").await, None);
    assert!(!cache.exists("user:1").await.unwrap());
    cache.set("user:1", &user(1, "John")).await.unwrap();
    for _from_redis_and_from_memory in 0..3 {
        assert_eq!(name(cache, "user:1").await.as_deref(), Some("John"));
    }
    assert!(cache.exists("user:1").await.unwrap());
    cache.set("user:1", &user(1, "Jane")).await.unwrap();
    assert_eq!(name(cache, "user:1").await.as_deref(), Some("Jane"));
    // Another type is no value, and no error.
    assert_eq!(cache.get::<String>("user:1").await.unwrap(), None);
    assert_eq!(name(cache, "user:1").await.as_deref(), Some("Jane"));
    cache.set("text", &"words".to_owned()).await.unwrap();
    let text: Option<Arc<String>> = cache.get("text").await.unwrap();
    assert_eq!(text.unwrap().as_str(), "words");

    assert_eq!(
        cache.delete(["user:1", "text", "nothing"]).await.unwrap(),
        2
    );
    assert_eq!(name(cache, "user:1").await, None);
    assert!(!cache.exists("user:1").await.unwrap());
    assert_eq!(cache.delete(["user:1"]).await.unwrap(), 0);
    assert_eq!(cache.delete([""; 0]).await.unwrap(), 0);
}

async fn several_keys_are_read_in_their_order(cache: &Cache) {
    let (one, two) = (user(1, "one"), user(2, "two"));
    cache.mset([("a", &one), ("b", &two)]).await.unwrap();
    let tagged = CacheOptions::new().tag("users").tag("more");
    cache
        .set_with("c", &user(3, "three"), &tagged)
        .await
        .unwrap();
    for _from_redis_and_from_memory in 0..3 {
        let found = cache.mget::<User, _>(["b", "nothing", "c", "a", "b"]).await;
        let found: Vec<Option<i64>> = found
            .unwrap()
            .iter()
            .map(|user| user.as_ref().map(|user| user.id))
            .collect();
        assert_eq!(found, [Some(2), None, Some(3), Some(1), Some(2)]);
    }
    cache.delete(["b"]).await.unwrap();
    let found = cache.mget::<User, _>(["a", "b"]).await.unwrap();
    assert!(found[0].is_some() && found[1].is_none());
    assert!(cache.mget::<User, &str>([]).await.unwrap().is_empty());
    cache.mset::<User>([]).await.unwrap();
}

async fn counters_count(cache: &Cache) {
    assert_eq!(cache.increment("visits", 1).await.unwrap(), 1);
    assert_eq!(cache.increment("visits", 9).await.unwrap(), 10);
    assert_eq!(cache.decrement("visits", 3).await.unwrap(), 7);
    let found: Option<Arc<i64>> = cache.get("visits").await.unwrap();
    assert_eq!(found.as_deref(), Some(&7));
    let found: Option<Arc<u8>> = cache.get("visits").await.unwrap();
    assert_eq!(found.as_deref(), Some(&7));
    assert_eq!(cache.get::<User>("visits").await.unwrap(), None);
    assert!(cache.exists("visits").await.unwrap());
    assert_eq!(cache.ttl("visits").await.unwrap(), None);
    assert_eq!(cache.delete(["visits"]).await.unwrap(), 1);
    assert_eq!(cache.get::<i64>("visits").await.unwrap(), None);
    assert_eq!(cache.decrement("visits", 2).await.unwrap(), -2);

    cache.set("value", &5_i64).await.unwrap();
    let error = cache.increment("value", 1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
    cache.increment("most", i64::MAX).await.unwrap();
    let error = cache.increment("most", 1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
    let error = cache.decrement("most", i64::MIN).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
}

async fn times_are_kept(cache: &Cache) {
    let hour = Duration::from_secs(3_600);
    cache.set("a", &1).await.unwrap();
    let left = cache.ttl("a").await.unwrap().expect("it has a time");
    assert!(left <= hour && left > hour / 2, "{left:?}");
    assert_eq!(cache.ttl("nothing").await.unwrap(), None);
    assert!(!cache.expire("nothing", hour).await.unwrap());
    assert!(cache.expire("a", 2 * hour).await.unwrap());
    let left = cache.ttl("a").await.unwrap().expect("it has a time");
    assert!(left > hour, "{left:?}");

    // Kept in memory with the time it had, and gone all the same.
    assert!(cache.get::<i32>("a").await.unwrap().is_some());
    assert!(cache.expire("a", Duration::from_millis(1)).await.unwrap());
    let gone = async |key: &str| {
        while cache.get::<i32>(key).await.unwrap().is_some() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(super::PATIENCE, gone("a"))
        .await
        .unwrap();
    let short = CacheOptions::new().ttl(Duration::from_millis(50));
    cache.set_with("b", &1, &short).await.unwrap();
    tokio::time::timeout(super::PATIENCE, gone("b"))
        .await
        .unwrap();
    let longest = CacheOptions::new().ttl(Duration::MAX);
    cache.set_with("c", &1, &longest).await.unwrap();
    assert!(cache.get::<i32>("c").await.unwrap().is_some());
    assert!(cache.expire("c", Duration::MAX).await.unwrap());
    assert!(cache.get::<i32>("c").await.unwrap().is_some());
}

async fn a_value_is_loaded_once_and_kept(cache: &Cache) {
    let loader = Loader::default();
    for _ in 0..3 {
        assert_eq!(load(cache, "user:1", &loader, "John").await, "John");
    }
    assert_eq!(loader.loads(), 1);
    assert_eq!(name(cache, "user:1").await.as_deref(), Some("John"));
    let left = cache.ttl("user:1").await.unwrap().expect("it has a time");
    assert!(left > Duration::from_secs(3_000), "{left:?}");
    cache.delete(["user:1"]).await.unwrap();
    assert_eq!(load(cache, "user:1", &loader, "Jane").await, "Jane");
    assert_eq!(loader.loads(), 2);
    cache.set("user:1", &user(1, "Jim")).await.unwrap();
    assert_eq!(load(cache, "user:1", &loader, "Jack").await, "Jim");
    assert_eq!(loader.loads(), 2);

    // Under other tags than it was written with.
    let tagged = CacheOptions::new().tag("users");
    let found = cache.get_or_load_with("user:1", &tagged, loader.load(user(1, "Joe")));
    assert_eq!(found.await.unwrap().name, "Jim");
    // Of another type it is loaded, and takes the place.
    let words = || async { Ok::<_, Error>("words".to_owned()) };
    let found: Arc<String> = cache.get_or_load("user:1", words).await.unwrap();
    assert_eq!(found.as_str(), "words");
    assert_eq!(name(cache, "user:1").await, None);
}

async fn that_there_is_no_value_is_kept_too(cache: &Cache) {
    let nobody = || async { Ok::<Option<User>, Error>(None) };
    let hour = CacheOptions::new().negative_ttl(Duration::from_secs(3_600));
    let found = cache.get_or_load_opt_with("user:1", &hour, nobody).await;
    assert_eq!(found.unwrap(), None);
    let somebody = || async { Ok::<_, Error>(Some(user(1, "John"))) };
    for _from_redis_and_from_memory in 0..3 {
        let found = cache.get_or_load_opt("user:1", somebody).await.unwrap();
        assert_eq!(found, None);
    }
    assert!(!cache.exists("user:1").await.unwrap());
    assert_eq!(name(cache, "user:1").await, None);
    // Who must have one loads it.
    let loader = Loader::default();
    assert_eq!(load(cache, "user:1", &loader, "Jane").await, "Jane");
    assert_eq!(name(cache, "user:1").await.as_deref(), Some("Jane"));
    // It was not a change, but who asks anew finds what is there now.
    cache
        .expire("user:1", Duration::from_secs(60))
        .await
        .unwrap();
    assert_eq!(name(cache, "user:1").await.as_deref(), Some("Jane"));

    let found = cache.get_or_load_opt_with("user:2", &hour, nobody).await;
    assert_eq!(found.unwrap(), None);
    cache.delete(["user:2"]).await.unwrap();
    let found = cache.get_or_load_opt("user:2", somebody).await.unwrap();
    assert_eq!(found.unwrap().name, "John");

    let moment = CacheOptions::new().negative_ttl(Duration::from_millis(20));
    let found = cache.get_or_load_opt_with("user:3", &moment, nobody).await;
    assert_eq!(found.unwrap(), None);
    let comes = async {
        let load = async || cache.get_or_load_opt("user:3", somebody).await.unwrap();
        while load().await.is_none() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(super::PATIENCE, comes).await.unwrap();
}

async fn errors_and_panics_of_the_loader_are_the_callers(cache: &Cache) {
    #[derive(Clone, Debug)]
    enum Trouble {
        Ours(&'static str),
        Layer(Error),
    }
    impl From<Error> for Trouble {
        fn from(error: Error) -> Self {
            Self::Layer(error)
        }
    }
    let fails = || async { Err::<User, _>(Trouble::Ours("no luck")) };
    let error = cache.get_or_load("user:1", fails).await.unwrap_err();
    assert!(matches!(error, Trouble::Ours("no luck")), "{error:?}");
    let panics = || async { panic!("on purpose") };
    let error = cache.get_or_load::<User, Trouble, _, _>("user:1", panics);
    let error = error.await.unwrap_err();
    let Trouble::Layer(error) = error else {
        panic!("{error:?}");
    };
    assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
    let loader = Loader::default();
    assert_eq!(load(cache, "user:1", &loader, "John").await, "John");
    assert_eq!(loader.loads(), 1);
}

async fn tags_and_clear_make_values_misses(cache: &Cache) {
    let users = CacheOptions::new().tag("users").tag("one");
    let others = CacheOptions::new().tag("others");
    cache.set_with("a", &1, &users).await.unwrap();
    cache.set_with("b", &2, &others).await.unwrap();
    let load = || async { Ok::<_, Error>(3) };
    let loaded = cache.get_or_load_with("c", &users, load).await.unwrap();
    assert_eq!(*loaded, 3);
    let all = async || {
        let found = cache.mget::<i32, _>(["a", "b", "c"]).await.unwrap();
        found
            .iter()
            .map(|value| value.as_deref().copied())
            .collect::<Vec<_>>()
    };
    assert_eq!(all().await, [Some(1), Some(2), Some(3)]);
    assert_eq!(all().await, [Some(1), Some(2), Some(3)]);
    cache.invalidate(["users", "unheard of"]).await.unwrap();
    assert_eq!(all().await, [None, Some(2), None]);
    assert_eq!(cache.ttl("a").await.unwrap(), None);
    cache.invalidate([""; 0]).await.unwrap();

    cache.increment("visits", 5).await.unwrap();
    cache.clear().await.unwrap();
    assert_eq!(all().await, [None, None, None]);
    assert_eq!(cache.get::<i64>("visits").await.unwrap(), None);
    cache.set_with("a", &4, &users).await.unwrap();
    assert_eq!(all().await, [Some(4), None, None]);
}

async fn a_herd_loads_once(cache: &Cache) {
    let loader = Loader::default();
    let callers: Vec<_> = (0..1_000)
        .map(|_| {
            let (cache, loader) = (cache.clone(), loader.clone());
            tokio::spawn(async move { load(&cache, "user:1", &loader, "John").await })
        })
        .collect();
    for (number, caller) in callers.into_iter().enumerate() {
        // Some lose patience, and fail nobody.
        if number % 10 == 0 {
            caller.abort();
        } else {
            assert_eq!(caller.await.unwrap(), "John");
        }
    }
    assert_eq!(loader.loads(), 1);
}

async fn what_was_loaded_before_a_delete_is_not_used_after_it(cache: &Cache) {
    let early = held(cache, "user:1").await;
    // The row was changed and committed.
    cache.delete(["user:1"]).await.unwrap();
    // Who asks now does not wait for what began before.
    let loader = Loader::default();
    assert_eq!(load(cache, "user:1", &loader, "new").await, "new");
    early.gives("old").await;
    let found = name(cache, "user:1").await;
    assert_ne!(found.as_deref(), Some("old"));
    assert_eq!(load(cache, "user:1", &loader, "new").await, "new");
}

async fn keys_that_do_not_fit_are_refused(cache: &Cache) {
    let long = "x".repeat(513);
    for key in ["", "q:1", &long] {
        let loader = Loader::default();
        let kinds = [
            cache.get::<i32>(key).await.err(),
            cache.set(key, &1).await.err(),
            cache.delete([key]).await.err(),
            cache.exists(key).await.err(),
            cache.mget::<i32, _>([key]).await.err(),
            cache.increment(key, 1).await.err(),
            cache.expire(key, Duration::from_secs(1)).await.err(),
            cache.ttl(key).await.err(),
            cache.get_or_load(key, loader.load(user(1, ""))).await.err(),
        ];
        for error in kinds {
            assert_eq!(
                error.map(|error| error.kind()),
                Some(ErrorKind::Usage),
                "{key}"
            );
        }
        assert_eq!(loader.loads(), 0);
    }
    let many = (0..17).fold(CacheOptions::new(), |options, number| {
        options.tag(number.to_string())
    });
    let error = cache.set_with("a", &1, &many).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    let error = cache.invalidate([""]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    cache.set("x".repeat(512).as_str(), &1).await.unwrap();
}
