//! The cache on real servers: what it promises, whatever becomes of Redis, links and callers.

mod abort;
mod claims;
mod coherence;
mod contract;
mod dependencies;
mod figures;
mod foreign;
mod kinds;
mod outages;
mod pubsub;
mod queries;
mod queries_seen;
mod scenarios;
mod stale;
mod stored;
mod trial;
mod writes;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aquifer::{Cache, Config, Error, Redis};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(super) use super::support::{PATIENCE, abort_at};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct User {
    pub(super) id: i64,
    pub(super) name: String,
}

pub(super) fn user(id: i64, name: &str) -> User {
    User {
        id,
        name: name.to_owned(),
    }
}

pub(super) fn config(url: &str) -> Config {
    Config::new().redis_url(url).redis_timeout(PATIENCE)
}

/// A cache as another process would have it: with memory and links of its own.
pub(super) async fn process(url: &str) -> Cache {
    let cache = Cache::connect(&config(url)).await.unwrap();
    until_linked(&cache).await;
    cache
}

pub(super) async fn until_linked(cache: &Cache) {
    super::support::until("it is linked", || cache.status().is_linked).await;
}

pub(super) async fn until_in_doubt(cache: &Cache) {
    super::support::until("it is in doubt", || !cache.status().is_linked).await;
}

pub(super) async fn name(cache: &Cache, key: &str) -> Option<String> {
    let found = cache.get::<User>(key).await.unwrap();
    found.map(|user| user.name.clone())
}

/// Waits, bounded, until a process reads this; each reading before must be one of `meanwhile`.
pub(super) async fn until_name(
    cache: &Cache,
    key: &str,
    wanted: Option<&str>,
    meanwhile: &[Option<&str>],
) {
    let waited = tokio::time::timeout(PATIENCE, async {
        loop {
            let found = name(cache, key).await;
            if found.as_deref() == wanted {
                return;
            }
            assert!(meanwhile.contains(&found.as_deref()), "{found:?}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    assert!(waited.await.is_ok(), "never {wanted:?}");
}

/// Counts how often it is asked.
#[derive(Clone, Default)]
pub(super) struct Loader(Arc<AtomicUsize>);

impl Loader {
    pub(super) fn loads(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    pub(super) fn load(
        &self,
        user: User,
    ) -> impl FnOnce() -> std::future::Ready<Result<User, Error>> + Send + use<> {
        let count = Arc::clone(&self.0);
        move || {
            count.fetch_add(1, Ordering::SeqCst);
            std::future::ready(Ok(user))
        }
    }
}

pub(super) async fn load(cache: &Cache, key: &str, loader: &Loader, name: &str) -> String {
    let found = cache.get_or_load(key, loader.load(user(1, name))).await;
    let found: Arc<User> = found.unwrap();
    found.name.clone()
}

/// A load that has begun, and gives what it is told to, when it is told.
pub(super) struct Held {
    pub(super) open: oneshot::Sender<Result<&'static str, Error>>,
    pub(super) loading: JoinHandle<Result<Arc<User>, Error>>,
}

pub(super) async fn held(cache: &Cache, key: &'static str) -> Held {
    let (open, gate) = oneshot::channel::<Result<&'static str, Error>>();
    let (begun, has_begun) = oneshot::channel::<()>();
    let cache = cache.clone();
    let loading = tokio::spawn(async move {
        let load = || async move {
            begun.send(()).unwrap();
            gate.await.unwrap().map(|name| user(1, name))
        };
        cache.get_or_load(key, load).await
    });
    has_begun.await.unwrap();
    Held { open, loading }
}

impl Held {
    /// Lets it give this, as it then does.
    pub(super) async fn gives(self, name: &'static str) {
        self.open.send(Ok(name)).unwrap();
        assert_eq!(self.loading.await.unwrap().unwrap().name, name);
    }
}

/// Shuts down and checks that nothing is left.
pub(super) async fn end(cache: Cache) {
    let Some(redis) = cache.redis().cloned() else {
        return;
    };
    let shutdown: Redis = redis;
    shutdown.shutdown(Duration::from_secs(2)).await;
    assert_eq!(shutdown.tasks_running(), 0);
    assert!(!cache.status().is_linked);
}
