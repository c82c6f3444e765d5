//! One load: what Redis knows, else a claim, a place in the budget, the loader; then the value is kept.

use std::sync::Arc;
use std::time::Duration;

use aquifer_core::stamps::Ticket;

use super::budget;
use super::cached::{CacheLayer, Cached, Marked};
use super::claim::{Claim, Pauses, WAIT};
use super::flight::{Landing, Old, Outcome};
use super::link::LEASE;
use super::load::Absence;
use super::options::CacheOptions;
use super::read::{Seen, Want, as_counter};
use super::rules::{Rule, keeps};
use super::times::Times;
use super::{CacheValue, Inner};
use crate::deadline::Deadline;
use crate::redis::Redis;
use crate::wait::{Either, first, unless_panic};
use crate::{Error, ErrorKind, clock};

/// For how long no load of a value is begun after one that failed, where a stale one is given instead.
const HOLD_OFF: Duration = Duration::from_secs(1);

/// What is to be loaded, as the call wants it that begins the load.
pub(super) struct Fill {
    pub(super) want: Want,
    pub(super) options: CacheOptions,
    pub(super) absence: Absence,
    /// What is found is good enough if it is fresh for longer than this.
    pub(super) lead: Duration,
    /// Whether a load waits for this one.
    pub(super) is_nested: bool,
}

/// How a load begins.
enum Begun<T> {
    /// Not at all: there is a value.
    Found(Marked<T>),
    Load(Start<T>),
}

/// What a load begins with.
struct Start<T> {
    /// If what is loaded can be kept.
    ticket: Option<Ticket>,
    /// If nobody else loads.
    claimed: Option<Claimed>,
    stale: Option<Stale<T>>,
}

/// A value in Redis that is stale.
struct Stale<T> {
    value: Option<Arc<T>>,
    times: Times,
    encoded: (u64, usize),
}

/// What a look gave where no value was good enough.
struct Missed<T> {
    ticket: Option<Ticket>,
    stale: Option<Stale<T>>,
}

/// A claim that is ours.
struct Claimed {
    claim: Claim,
    redis: Redis,
}

impl Inner {
    pub(super) async fn fill<T, E, F, Fut>(&self, fill: &Fill, landing: Landing<T, E>, load: F)
    where
        T: CacheValue,
        E: From<Error> + Clone + Send + Sync + 'static,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Option<T>, E>> + Send + 'static,
    {
        self.offer_local(fill, &landing);
        let Start {
            ticket,
            claimed,
            stale,
        } = match Box::pin(self.begin(fill, &landing)).await {
            Begun::Found(found) => return landing.land(Ok(found)),
            Begun::Load(start) => start,
        };
        let loading = Box::pin(self.load(fill, (ticket, stale), load));
        let outcome = match &claimed {
            Some(claimed) => claimed.held(loading).await,
            None => loading.await,
        };
        landing.land(outcome);
        if let Some(Claimed { claim, redis }) = claimed {
            // Later than what was loaded was stored, so that who waits finds it.
            claim.released(&redis).await;
        }
    }

    /// What is in memory, and was not heard to be changed: it may do until the load is done.
    fn offer_local<T: CacheValue, E>(&self, fill: &Fill, landing: &Landing<T, E>) {
        let now = clock::now();
        let Some(kept) = self.local.get(&fill.want.key) else {
            return;
        };
        let Some(value) = kept
            .value_as::<T>()
            .filter(|value| fill.absence.takes(value))
        else {
            return;
        };
        if kept.proof.is_unchanged() && now < kept.times.expires {
            let stale = kept.times.over_for(now);
            let linked = kept.proof.holds(&self.board);
            let doubtful = match (self.lease.over_for(now), linked) {
                (Duration::ZERO, false) => Duration::from_nanos(1),
                (over_for, _) => over_for,
            };
            landing.offer(Old {
                found: Cached::good(value, CacheLayer::Local, kept.times.age(now)),
                over_for: stale.max(doubtful),
                at: now,
                known: now - self.lease.extended_ago(now, LEASE).unwrap_or_default(),
            });
        }
    }

    async fn begin<T: CacheValue, E>(&self, fill: &Fill, landing: &Landing<T, E>) -> Begun<T> {
        let want = std::slice::from_ref(&fill.want);
        let seen = match self.look_for_load(want, None).await {
            Ok((_, mut seen)) => seen.pop().unwrap_or(Seen::Missing(None)),
            Err(_away) => {
                self.wake.notify_one();
                return Begun::Load(Start::untracked());
            }
        };
        let missed = match self.judged(fill, seen, landing) {
            Ok(found) => {
                self.observers.cache_counts().hit_remote();
                return Begun::Found(found);
            }
            Err(missed) => missed,
        };
        self.observers.cache_counts().missed();
        match self.ticket_after(fill, missed.ticket).await {
            Some(ticket) => self.claimed(fill, (ticket, missed.stale), landing).await,
            None => Begun::Load(Start::untracked()),
        }
    }

    /// A ticket, also where a look gave none.
    async fn ticket_after(&self, fill: &Fill, ticket: Option<Ticket>) -> Option<Ticket> {
        match ticket {
            Some(ticket) => Some(ticket),
            None => {
                let ttl = self.ttl_of(&fill.options);
                let ttl = ttl.saturating_add(fill.options.stale());
                self.ticket(&fill.want, ttl).await.ok()
            }
        }
    }

    /// Claims the load, or waits for what somebody else stores who has.
    async fn claimed<T: CacheValue, E>(
        &self,
        fill: &Fill,
        (mut ticket, mut stale): (Ticket, Option<Stale<T>>),
        landing: &Landing<T, E>,
    ) -> Begun<T> {
        let start = |ticket, claimed, stale| {
            Begun::Load(Start {
                ticket,
                claimed,
                stale,
            })
        };
        let Some(redis) = self.redis() else {
            return start(Some(ticket), None, stale);
        };
        let (deadline, mut pauses) = (Deadline::after(WAIT), Pauses::new());
        loop {
            let claim = Claim::new(self.names.claim(&fill.want.key), &ticket);
            let want = std::slice::from_ref(&fill.want);
            let (is_ours, seen) = match self.look_for_load(want, Some(&claim)).await {
                Ok((is_ours, mut seen)) => (is_ours, seen.pop().unwrap_or(Seen::Missing(None))),
                Err(_away) => return start(Some(ticket), None, stale),
            };
            let claimed = is_ours.then(|| Claimed {
                claim,
                redis: redis.clone(),
            });
            let missed = match self.judged(fill, seen, landing) {
                Ok(found) => {
                    if let Some(Claimed { claim, redis }) = claimed {
                        claim.released(&redis).await;
                    }
                    return Begun::Found(found);
                }
                Err(missed) => missed,
            };
            match self.ticket_after(fill, missed.ticket).await {
                Some(newer) => (ticket, stale) = (newer, missed.stale),
                None => return start(None, claimed, None),
            }
            if claimed.is_some() || deadline.left().is_zero() {
                return start(Some(ticket), claimed, stale);
            }
            if fill.options.max_staleness.is_none()
                && let Some(good) = landing.good(clock::now())
            {
                // Somebody else renews it.
                return Begun::Found(good);
            }
            pauses.next().await;
        }
    }

    /// What was found, if it will do; else the ticket for a load, and what was found is offered until then.
    fn judged<T: CacheValue, E>(
        &self,
        fill: &Fill,
        seen: Seen,
        landing: &Landing<T, E>,
    ) -> Result<Marked<T>, Box<Missed<T>>> {
        let missed = |ticket| {
            Box::new(Missed {
                ticket,
                stale: None,
            })
        };
        let good = match seen {
            Seen::Missing(ticket) => return Err(missed(ticket)),
            Seen::Counter(number, _) => {
                let value = as_counter(number).ok_or_else(|| missed(None))?;
                return Ok(Cached::good(
                    Some(value),
                    CacheLayer::Remote,
                    Duration::ZERO,
                ));
            }
            Seen::Value(good) => good,
        };
        let (now, times) = (clock::now(), good.times);
        let found = |value| Cached::good(value, CacheLayer::Remote, times.age(now));
        if times.fresh.saturating_duration_since(now) > fill.lead {
            let value = self.take::<T>(&fill.want.key, good);
            let value = value.filter(|value| fill.absence.takes(value));
            return value.map(found).ok_or_else(|| missed(None));
        }
        let stale = self.read_stale::<T>(&good);
        let stale = stale.filter(|(value, _)| fill.absence.takes(value));
        let stale = stale.map(|(value, encoded)| {
            landing.offer(Old {
                found: found(value.clone()),
                over_for: times.over_for(now),
                at: now,
                known: now,
            });
            Stale {
                value,
                times,
                encoded,
            }
        });
        // Its ticket is of no use to whoever thinks of other tags.
        let ticket = good.has_tags(&fill.want.tags).then_some(good.ticket);
        Err(Box::new(Missed { ticket, stale }))
    }

    async fn load<T, E, F, Fut>(
        &self,
        fill: &Fill,
        (ticket, stale): (Option<Ticket>, Option<Stale<T>>),
        load: F,
    ) -> Outcome<T, E>
    where
        T: CacheValue,
        E: From<Error>,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<Option<T>, E>> + Send + 'static,
    {
        let loaded = self.run_loader(fill, load).await;
        let (value, effort) = match loaded {
            Ok(loaded) => loaded,
            Err(error) => {
                if let (Some(ticket), Some(stale)) = (ticket, stale) {
                    let (key, value) = (&*fill.want.key, stale.value.as_ref());
                    self.keep_here((key, stale.times), value, ticket, stale.encoded);
                }
                if let Some(kept) = self.local.get(&fill.want.key) {
                    kept.hold_off(clock::now() + HOLD_OFF);
                }
                return Err(error);
            }
        };
        let ticket = match ticket {
            Some(_) if !keeps(Rule::TicketFirst) => self.ticket_after(fill, None).await,
            ticket => ticket,
        };
        if let Some(ticket) = ticket {
            let keep = (ticket, &fill.options, effort);
            Box::pin(self.keep(&fill.want, value.as_ref(), keep)).await;
        }
        Ok(Cached::good(value, CacheLayer::Loader, Duration::ZERO))
    }

    /// What the loader gives, and how long it took.
    async fn run_loader<T, E, F, Fut>(
        &self,
        fill: &Fill,
        load: F,
    ) -> Result<(Option<Arc<T>>, Duration), E>
    where
        E: From<Error>,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<Option<T>, E>> + Send + 'static,
    {
        if self.is_cache_only() {
            return Err(cache_only().into());
        }
        let _permit = self.budget.permit(fill.is_nested).await?;
        self.observers.cache_counts().loaded();
        let limit = fill.options.load_timeout.unwrap_or(self.load_timeout);
        let deadline = Deadline::after(limit);
        let loading = budget::loading(unless_panic(|| Box::pin(load())));
        match deadline.run(loading).await {
            Ok(Some(loaded)) => Ok((loaded?.map(Arc::new), deadline.elapsed())),
            Ok(None) => Err(panicked().into()),
            Err(_elapsed) => Err(too_slow(limit).into()),
        }
    }
}

impl<T> Start<T> {
    /// Without Redis.
    fn untracked() -> Self {
        Self {
            ticket: None,
            claimed: None,
            stale: None,
        }
    }
}

impl Claimed {
    /// Holds the claim until `work` is done.
    async fn held<R>(&self, work: impl Future<Output = R>) -> R {
        let mut work = std::pin::pin!(work);
        match first(work.as_mut(), self.claim.renewed(&self.redis)).await {
            Either::Left(done) => done,
            Either::Right(never) => match never {},
        }
    }
}

fn panicked() -> Error {
    Error::new(ErrorKind::Usage, "the loader of the cache panicked")
}

fn too_slow(limit: Duration) -> Error {
    let text = format!(
        "the loader of the cache was dropped after {} ms. Find why it takes so long, or raise its \
         `load_timeout` or `advanced.cache_load_timeout`",
        limit.as_millis()
    );
    Error::new(ErrorKind::Timeout, text)
}

fn cache_only() -> Error {
    let text = "there is no value, and the cache was told to load none: see Cache::set_cache_only";
    Error::new(ErrorKind::Unavailable, text)
}
