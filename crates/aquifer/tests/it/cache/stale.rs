//! Values whose time is over: who gets them all the same, and who loads the next.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aquifer::{Cache, CacheLayer, CacheOptions, Cached, Error, ErrorKind, StaleCause};
use aquifer_testkit::Redis as Server;
use tokio::sync::watch;

use super::super::support::until;
use super::{PATIENCE, abort_at, config, end, name, process, until_in_doubt, until_linked, user};

const HOUR: Duration = Duration::from_secs(3_600);

#[derive(Clone, Debug)]
enum Trouble {
    DatabaseIsAway,
    Layer(Error),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Layer(error)
    }
}

impl Trouble {
    fn kind(&self) -> Option<ErrorKind> {
        match self {
            Self::DatabaseIsAway => None,
            Self::Layer(error) => Some(error.kind()),
        }
    }
}

/// A source of numbers that can be closed for a while, or fail.
#[derive(Clone)]
struct Source {
    loads: Arc<AtomicUsize>,
    open: watch::Sender<bool>,
    works: watch::Sender<bool>,
}

impl Source {
    fn new() -> Self {
        Self {
            loads: Arc::default(),
            open: watch::Sender::new(true),
            works: watch::Sender::new(true),
        }
    }

    fn loads(&self) -> usize {
        self.loads.load(Ordering::SeqCst)
    }

    /// Gives how often it was asked, as soon as it is open.
    async fn count(self) -> Result<usize, Trouble> {
        let number = self.loads.fetch_add(1, Ordering::SeqCst) + 1;
        let mut open = self.open.subscribe();
        open.wait_for(|open| *open).await.unwrap();
        match *self.works.borrow() {
            true => Ok(number),
            false => Err(Trouble::DatabaseIsAway),
        }
    }

    async fn ask(
        &self,
        cache: &Cache,
        options: &CacheOptions,
    ) -> Result<Cached<Arc<usize>>, Trouble> {
        let source = self.clone();
        cache
            .get_or_load_cached("a", options, || source.count())
            .await
    }

    /// Asks until it is so.
    async fn until(
        &self,
        (cache, options): (&Cache, &CacheOptions),
        is_so: impl Fn(&Cached<Arc<usize>>) -> bool,
    ) -> Cached<Arc<usize>> {
        let asked = async {
            loop {
                let found = self.ask(cache, options).await.unwrap();
                if is_so(&found) {
                    return found;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(PATIENCE, asked)
            .await
            .expect("it comes")
    }
}

fn moment() -> CacheOptions {
    CacheOptions::new().ttl(Duration::from_millis(20))
}

async fn on_each_backend(test: impl AsyncFn(&Cache)) {
    let server = Server::start();
    let cache = process(&server.url()).await;
    test(&cache).await;
    end(cache).await;
    test(&Cache::in_process(&aquifer::Config::new()).unwrap()).await;
}

#[tokio::test]
async fn while_the_next_value_is_loaded_the_stale_one_is_given() {
    on_each_backend(async |cache| {
        let (source, options) = (Source::new(), moment().stale_while_refreshing(HOUR));
        let first = source.ask(cache, &options).await.unwrap();
        assert_eq!((*first.value, first.layer), (1, CacheLayer::Loader));
        source.open.send_replace(false);
        let stale = source.until((cache, &options), Cached::is_stale).await;
        assert_eq!(*stale.value, 1);
        let staleness = stale.staleness.unwrap();
        assert_eq!(staleness.cause, StaleCause::Refreshing);
        assert!(staleness.time > Duration::ZERO && stale.age > staleness.time);
        // To whoever does not want it, it is none.
        assert_eq!(cache.get::<usize>("a").await.unwrap(), None);
        assert!(!cache.exists("a").await.unwrap());
        for _ in 0..100 {
            assert_eq!(*source.ask(cache, &options).await.unwrap().value, 1);
        }
        until("the next load has begun", || source.loads() == 2).await;
        source.open.send_replace(true);
        let next = source
            .until((cache, &options), |found| *found.value > 1)
            .await;
        assert!(*next.value >= 2);
        // What was changed is never given so.
        source.open.send_replace(false);
        let loads = source.loads();
        cache.delete(["a"]).await.unwrap();
        let asked = source.ask(cache, &options);
        let opened = async {
            until("it is loaded", || source.loads() > loads).await;
            source.open.send_replace(true);
        };
        let (found, ()) = tokio::join!(asked, opened);
        let found = found.unwrap();
        assert!(!found.is_stale() && *found.value > loads, "{found:?}");
    })
    .await;
}

#[tokio::test]
async fn a_value_is_loaded_again_before_its_time_is_over_and_nobody_waits() {
    on_each_backend(async |cache| {
        let source = Source::new();
        let options = CacheOptions::new().ttl(Duration::from_millis(400));
        let ask = async || {
            let source = source.clone();
            let load = || async move {
                // As long as it takes.
                tokio::time::sleep(Duration::from_millis(50)).await;
                source.count().await
            };
            cache.get_or_load_cached("a", &options, load).await.unwrap()
        };
        assert_eq!(*ask().await.value, 1);
        let asked = async {
            loop {
                let found = ask().await;
                assert!(!found.is_stale());
                if *found.value > 1 {
                    return found;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let next = tokio::time::timeout(PATIENCE, asked).await.unwrap();
        // Else who found that the time was over has waited for the load.
        assert_ne!(next.layer, CacheLayer::Loader);
    })
    .await;
}

#[tokio::test]
async fn when_the_next_value_can_not_be_loaded_the_stale_one_is_given_for_as_long_as_allowed() {
    on_each_backend(async |cache| {
        let (source, options) = (Source::new(), moment().stale_on_error(HOUR));
        source.ask(cache, &options).await.unwrap();
        source.works.send_replace(false);
        let stale = source.until((cache, &options), Cached::is_stale).await;
        assert_eq!(*stale.value, 1);
        assert_eq!(stale.staleness.unwrap().cause, StaleCause::LoadFailed);
        // The source is left alone for a while.
        let loads = source.loads();
        for _ in 0..100 {
            assert!(source.ask(cache, &options).await.unwrap().is_stale());
        }
        assert!(source.loads() < loads + 50, "{}", source.loads());
        // Not to those who don't want it, or not so late.
        let error = source.ask(cache, &moment()).await.unwrap_err();
        assert_eq!(error.kind(), None, "{error:?}");
        let late = moment().stale_on_error(Duration::from_millis(1));
        tokio::time::sleep(Duration::from_millis(2)).await;
        assert!(source.ask(cache, &late).await.is_err());
        // What was changed is never given so.
        cache.delete(["a"]).await.unwrap();
        assert!(source.ask(cache, &options).await.is_err());
        source.works.send_replace(true);
        assert!(!source.ask(cache, &options).await.unwrap().is_stale());
    })
    .await;
}

#[tokio::test]
async fn a_caller_in_a_hurry_gets_the_stale_value_and_the_load_goes_on() {
    on_each_backend(async |cache| {
        let source = Source::new();
        let hurry = Duration::from_millis(5);
        let options = moment().stale_on_error(HOUR).soft_timeout(hurry);
        source.ask(cache, &options).await.unwrap();
        source.open.send_replace(false);
        let stale = source.until((cache, &options), Cached::is_stale).await;
        assert_eq!(*stale.value, 1);
        assert_eq!(stale.staleness.unwrap().cause, StaleCause::LoadSlow);
        until("the next load has begun", || source.loads() == 2).await;
        source.open.send_replace(true);
        source
            .until((cache, &options), |found| *found.value >= 2)
            .await;
        // Without one it waits all the same.
        source.open.send_replace(false);
        cache.delete(["a"]).await.unwrap();
        let asked = source.ask(cache, &options);
        let opened = async {
            until("it is loaded", || source.loads() >= 3).await;
            source.open.send_replace(true);
        };
        let (found, ()) = tokio::join!(asked, opened);
        assert!(!found.unwrap().is_stale());
    })
    .await;
}

#[tokio::test]
async fn a_load_that_takes_too_long_is_dropped() {
    on_each_backend(async |cache| {
        let source = Source::new();
        source.open.send_replace(false);
        let limit = CacheOptions::new().load_timeout(Duration::from_millis(5));
        let error = source.ask(cache, &limit).await.unwrap_err();
        assert_eq!(error.kind(), Some(ErrorKind::Timeout), "{error:?}");
        source.open.send_replace(true);
        let found = source.ask(cache, &CacheOptions::new()).await.unwrap();
        assert_eq!(*found.value, 2);
    })
    .await;
}

#[tokio::test]
async fn a_cache_that_loads_nothing_gives_what_it_has() {
    on_each_backend(async |cache| {
        let (source, options) = (Source::new(), moment().stale_on_error(HOUR));
        source.ask(cache, &options).await.unwrap();
        cache.set("b", &user(1, "John")).await.unwrap();
        cache.set_cache_only(true);
        assert!(cache.status().is_cache_only);
        let stale = source.until((cache, &options), Cached::is_stale).await;
        assert_eq!(*stale.value, 1);
        assert_eq!(name(cache, "b").await.as_deref(), Some("John"));
        cache.delete(["a"]).await.unwrap();
        let error = source.ask(cache, &options).await.unwrap_err();
        assert_eq!(error.kind(), Some(ErrorKind::Unavailable), "{error:?}");
        assert_eq!(source.loads(), 1);
        cache.set_cache_only(false);
        assert_eq!(*source.ask(cache, &options).await.unwrap().value, 2);
    })
    .await;
}

#[tokio::test]
async fn a_value_in_memory_is_given_when_neither_redis_nor_the_database_is_there() {
    let server = Server::start();
    let cache = process(&server.url()).await;
    let (source, options) = (Source::new(), CacheOptions::new().stale_on_error(HOUR));
    source.ask(&cache, &options).await.unwrap();
    source.works.send_replace(false);
    server.pause();
    until_in_doubt(&cache).await;
    for _ in 0..10 {
        let found = source.ask(&cache, &options).await.unwrap();
        assert_eq!(*found.value, 1);
        assert_eq!(found.staleness.unwrap().cause, StaleCause::LoadFailed);
    }
    assert!(source.ask(&cache, &CacheOptions::new()).await.is_err());
    // This process knows of its own change.
    cache.delete(["a"]).await.unwrap();
    assert!(source.ask(&cache, &options).await.is_err());
    server.resume();
    until_linked(&cache).await;
    end(cache).await;
}

#[tokio::test]
async fn who_wants_no_stale_value_at_all_sees_every_change_at_once() {
    let server = Server::start();
    let (one, two) = (process(&server.url()).await, process(&server.url()).await);
    let now = CacheOptions::new().max_staleness(Duration::ZERO);
    let other = process(&format!("{}?protocol=resp3", server.url())).await;
    for round in 0..200_usize {
        one.set("a", &round).await.unwrap();
        for reader in [&one, &two, &other] {
            let found = reader.get_with::<usize>("a", &now).await.unwrap().unwrap();
            assert_eq!((*found.value, found.layer), (round, CacheLayer::Remote));
            let loaded =
                reader.get_or_load_cached("a", &now, || async { Err(Trouble::DatabaseIsAway) });
            let loaded: Cached<Arc<usize>> = loaded.await.unwrap();
            assert_eq!(*loaded.value, round);
        }
    }
    let second = CacheOptions::new().max_staleness(HOUR);
    let found = two.get_with::<usize>("a", &second).await.unwrap().unwrap();
    assert_eq!(*found.value, 199);
    assert!(two.get_with::<usize>("b", &second).await.unwrap().is_none());
    for cache in [one, two, other] {
        end(cache).await;
    }
}

#[tokio::test]
async fn callers_who_go_away_at_any_point_leave_a_cache_that_works() {
    let server = Server::start();
    let cache = process(&server.url()).await;
    let alone = Cache::in_process(&config(&server.url())).unwrap();
    for cache in [&cache, &alone] {
        let (source, options) = (Source::new(), moment().stale_while_refreshing(HOUR));
        let options = options
            .stale_on_error(HOUR)
            .soft_timeout(Duration::from_millis(1));
        let linear = options.clone().max_staleness(Duration::ZERO);
        for polls in 1..100 {
            source.works.send_replace(polls % 3 != 0);
            drop(abort_at(polls, source.ask(cache, &options)).await);
            drop(abort_at(polls, source.ask(cache, &linear)).await);
            drop(abort_at(polls, cache.get_with::<usize>("a", &linear)).await);
            drop(abort_at(polls, cache.get_with::<usize>("a", &options)).await);
            cache.delete(["a"]).await.unwrap();
            source.works.send_replace(true);
            let before = source.loads();
            let found = source.ask(cache, &options).await.unwrap();
            assert!(
                *found.value > before || source.loads() == before + 1,
                "{found:?}"
            );
        }
    }
    let redis = cache.redis().unwrap();
    let idle = redis.tasks_running();
    until("no load is left over", || redis.tasks_running() <= idle).await;
    end(cache).await;
}
