//! Tells the cache what others write to the database, by logical decoding.
//!
//! One process of all that share a cache does it: the one whose session has an advisory lock. The same
//! session has the slot, which is temporary: it goes with the session, so that no log is kept for a
//! process that is dead, and at most for as long as one lives that reads. What was written while nobody
//! read is not known; so each who begins to read makes everything a miss, when its slot is there.

mod poll;
mod session;

use std::panic::Location;
use std::sync::{Arc, Weak};
use std::time::Duration;

use aquifer_core::backoff;
use tokio::time::Instant;

use self::poll::{Found, Poll};
use self::session::{Role, Session};
use super::cache::CachePlace;
use crate::cache::Cache;
use crate::execute::Engine;
use crate::observe::{Event, Observers};
use crate::{Error, ErrorKind, clock};

/// How often one who does not read looks whether somebody does.
const WATCHED: Duration = Duration::from_secs(1);

/// The wait before another attempt: evenly from zero up to this, doubled each time.
const BACKOFF: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// The wait where the server can't or does not let us read its log, which rarely passes by itself.
const REFUSED: Duration = Duration::from_secs(15);

/// How soon it is looked again for transactions whose changes are known and can't be seen yet.
const UNSEEN: Duration = Duration::from_millis(5);

/// Reading the log takes at most one part in so many of the time of one processor of the server.
const SHARE: u32 = 10;
const SHARE_MAX: Duration = Duration::from_secs(1);

/// How long making the slot may take: it waits for all transactions that write.
const STATEMENT: Duration = Duration::from_secs(3_600);

/// Between looks whether the database is still in use.
const SLICE: Duration = Duration::from_millis(100);

pub(super) struct Watcher {
    /// Gone with the last handle on the database.
    place: Weak<CachePlace>,
    engine: Engine,
    observers: Observers,
    interval: Duration,
    /// Of all who share the cache.
    lock: Option<i64>,
    /// What was told last: whether writes are seen.
    told: Option<bool>,
}

impl Watcher {
    /// A cache that is not `shared` has nobody else to read for it.
    pub(super) fn new(
        place: &Arc<CachePlace>,
        engine: &Engine,
        (interval, shared): (Duration, bool),
    ) -> Self {
        let mut engine = Engine::clone(engine);
        engine.query_timeout = STATEMENT;
        engine.settings = None;
        engine.answers = None;
        engine.detached = true;
        Self {
            place: Arc::downgrade(place),
            observers: engine.observers.clone(),
            engine,
            interval,
            lock: shared.then(|| session::lock_of(place.namespace())),
            told: None,
        }
    }

    /// Runs until the database is closed or no more in use.
    pub(super) async fn run(mut self) {
        let engine = Arc::new(self.engine.clone());
        let mut failures = 0;
        loop {
            let pause = match Box::pin(self.serve(&engine)).await {
                Ok(()) => {
                    failures = 0;
                    WATCHED
                }
                Err(error) if error.kind() == ErrorKind::Closed => return,
                Err(error) => {
                    failures += 1;
                    let refused = session::refused(&error);
                    let is_refused = refused.is_some();
                    self.tell(Some(refused.unwrap_or_else(|| error.to_string())));
                    match is_refused {
                        true => REFUSED,
                        false => backoff::delay(failures, BACKOFF, BACKOFF_MAX, clock::random()),
                    }
                }
            };
            if !self.rest(pause).await {
                return;
            }
        }
    }

    /// Reads for as long as that can be done; returns at once when another process does.
    async fn serve(&mut self, engine: &Arc<Engine>) -> Result<(), Error> {
        let location = Location::caller();
        let session = match Session::open(engine, (self.lock, location)).await? {
            Role::Reader(session) => session,
            Role::Watcher => {
                self.tell(None);
                return Ok(());
            }
        };
        Box::pin(session.make_slot()).await?;
        let Some(cache) = self.cache() else {
            return Ok(());
        };
        // All that was committed before the slot was there, as far as it can be seen.
        cache.foreign_unknown().await?;
        drop(cache);
        let mut poll = Poll::begun(&session).await?;
        self.tell(None);
        loop {
            let begun = clock::now();
            let found = Box::pin(poll.next(&session)).await?;
            let took = clock::now() - begun;
            let Some(cache) = self.cache() else {
                return Ok(());
            };
            announce(&cache, &found).await?;
            let pause = match found.waiting {
                true => UNSEEN.max(took),
                false => self.interval.max((took * (SHARE - 1)).min(SHARE_MAX)),
            };
            drop(cache);
            if !found.more && !self.rest(pause).await {
                return Ok(());
            }
        }
    }

    fn cache(&self) -> Option<Cache> {
        self.place.upgrade()?.begun().cloned()
    }

    /// Returns whether the database is still in use.
    async fn rest(&self, pause: Duration) -> bool {
        let until: Instant = clock::now() + pause;
        loop {
            if self.place.strong_count() == 0 {
                return false;
            }
            let left = until.saturating_duration_since(clock::now());
            if left.is_zero() {
                return true;
            }
            tokio::time::sleep(left.min(SLICE)).await;
        }
    }

    /// Says once that writes of others are seen, or why not.
    fn tell(&mut self, cause: Option<String>) {
        let are_seen = cause.is_none();
        if self.told.replace(are_seen) == Some(are_seen) {
            return;
        }
        self.observers.publish(match cause {
            None => Event::ForeignWritesSeen {},
            Some(cause) => Event::ForeignWritesUnseen {
                cause: cause.into(),
            },
        });
    }
}

async fn announce(cache: &Cache, found: &Found) -> Result<(), Error> {
    if found.unknown {
        cache.foreign_unknown().await?;
    }
    match found.tags.is_empty() {
        true => Ok(()),
        false => cache.foreign_changes(&found.tags).await,
    }
}
