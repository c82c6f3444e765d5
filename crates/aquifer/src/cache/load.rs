//! What a caller gets of a value that has to be loaded, or soon has to: what is in memory, if it will do;
//! else what the load gives, or what there was before.

use std::sync::Arc;
use std::time::Duration;

use aquifer_core::stamps::Noted;

use super::budget;
use super::cached::{CacheLayer, Cached, Marked, StaleCause, Staleness};
use super::fill::Fill;
use super::flight::{Landed, Old, Outcome};
use super::options::CacheOptions;
use super::read::Want;
use super::write::closed;
use super::{CacheValue, Inner};
use crate::deadline::Deadline;
use crate::{Error, clock};

/// What the knowledge that there is no value is to whoever loads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Absence {
    /// An answer.
    Counts,
    /// A reason to load.
    Loads,
}

/// What is in memory, for whoever loads.
enum AtHand<T> {
    /// It will do.
    Serve(Marked<T>),
    /// It will do, and it is time to load the next one: this much before its time is over.
    Renew(Marked<T>, Duration),
    Nothing,
}

impl Inner {
    /// The value in memory if it will do, else what the load of this key gives: that which is under way, or
    /// one that is begun in a task of the layer.
    pub(super) async fn loaded<T, E, F, Fut>(
        self: &Arc<Self>,
        key: &str,
        (options, absence): (&CacheOptions, Absence),
        load: F,
    ) -> Outcome<T, E>
    where
        T: CacheValue,
        E: From<Error> + Clone + Send + Sync + 'static,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Option<T>, E>> + Send + 'static,
    {
        let fill = |lead| Fill {
            want: Want {
                key: key.into(),
                tags: options.tags.clone(),
            },
            options: options.clone(),
            absence,
            lead,
            is_nested: budget::is_loading(),
        };
        match self.at_hand::<T>(key, options, absence) {
            AtHand::Serve(found) => Ok(found),
            AtHand::Renew(found, lead) => {
                drop(self.fly(fill(lead), load));
                Ok(found)
            }
            AtHand::Nothing => {
                let landed = self.fly(fill(Duration::ZERO), load);
                awaited(landed, options).await
            }
        }
    }

    fn at_hand<T: CacheValue>(
        &self,
        key: &str,
        options: &CacheOptions,
        absence: Absence,
    ) -> AtHand<T> {
        let now = clock::now();
        let Some(kept) = self.local.get(key) else {
            return AtHand::Nothing;
        };
        if now >= kept.times.expires || !self.holds(&kept, (now, options.max_staleness)) {
            return AtHand::Nothing;
        }
        let Some(value) = kept.value_as::<T>().filter(|value| absence.takes(value)) else {
            return AtHand::Nothing;
        };
        let found = Cached::good(value, CacheLayer::Local, kept.times.age(now));
        let over_for = kept.times.over_for(now);
        if kept.times.is_fresh(now) {
            self.observers.cache_counts().hit_local();
            let lead = kept.times.lead();
            return match kept.times.fresh - now > lead || kept.is_held_off(now) {
                true => AtHand::Serve(found),
                false => AtHand::Renew(found, lead),
            };
        }
        let stale = |cause| found.stale(over_for, cause);
        if over_for <= options.stale() && kept.is_held_off(now) {
            return AtHand::Serve(stale(StaleCause::LoadFailed));
        }
        match over_for <= options.stale_while_refreshing {
            true => AtHand::Renew(stale(StaleCause::Refreshing), Duration::ZERO),
            false => AtHand::Nothing,
        }
    }

    /// Joins the load of this key that is under way, or begins one in a task of the layer.
    fn fly<T, E, F, Fut>(self: &Arc<Self>, fill: Fill, load: F) -> Landed<T, E>
    where
        T: CacheValue,
        E: From<Error> + Clone + Send + Sync + 'static,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Option<T>, E>> + Send + 'static,
    {
        let now = clock::now();
        // As with what is in memory: this process may have been paused, and the announcements wait.
        let holds = |noted: &Noted| self.lease.holds(now) && noted.holds(&self.board);
        let at = (holds, now, fill.options.max_staleness);
        let note = || self.note(&self.names.stamps_of(&fill.want.key, &fill.options.tags));
        let place = (&*fill.want.key, fill.absence);
        let (landed, landing) = self.flights.join::<T, E>(place, at, note);
        if let Some(landing) = landing {
            let inner = Arc::clone(self);
            let flight = async move { Box::pin(inner.fill(&fill, landing, load)).await };
            // Where no task is begun, the landing is dropped, and whoever waits for it is told.
            drop(self.tasks.spawn(flight));
        }
        landed
    }
}

impl Absence {
    /// Whether this, which may be the knowledge that there is no value, is an answer.
    pub(super) fn takes<T>(self, value: &Option<T>) -> bool {
        value.is_some() || self == Self::Counts
    }
}

impl<T> Marked<T> {
    fn stale(&self, time: Duration, cause: StaleCause) -> Self {
        Self {
            staleness: Some(Staleness { time, cause }),
            ..self.clone()
        }
    }
}

/// What there is now, if these callers would have it for this cause.
fn taken<T>(old: &Old<T>, options: &CacheOptions, cause: StaleCause) -> Option<Marked<T>> {
    let now = clock::now();
    let waited = now.saturating_duration_since(old.at);
    let over_for = old.over_for(now);
    if over_for.is_zero() && options.max_staleness.is_none() {
        return Some(old.found.clone());
    }
    let (over_for, most) = match cause {
        StaleCause::Refreshing if options.max_staleness.is_some() => return None,
        StaleCause::Refreshing => (over_for, options.stale_while_refreshing),
        StaleCause::LoadFailed | StaleCause::LoadSlow => {
            (old.over_for + waited, options.stale_on_error)
        }
    };
    (over_for <= most).then(|| Marked {
        age: old.found.age + waited,
        ..old.found.stale(over_for, cause)
    })
}

/// What the load that was begun or joined gives, or what there was before.
async fn awaited<T, E>(mut landed: Landed<T, E>, options: &CacheOptions) -> Outcome<T, E>
where
    E: From<Error> + Clone,
{
    let soft = options.soft_timeout.map(Deadline::after);
    loop {
        let has_old = {
            let progress = landed.borrow_and_update();
            let old = |cause| taken(progress.old.as_ref()?, options, cause);
            match &progress.outcome {
                Some(Ok(found)) => return Ok(found.clone()),
                Some(Err(error)) => {
                    return old(StaleCause::LoadFailed).ok_or_else(|| error.clone());
                }
                None => {}
            }
            if let Some(found) = old(StaleCause::Refreshing) {
                return Ok(found);
            }
            if soft.is_some_and(|soft| soft.left().is_zero())
                && let Some(found) = old(StaleCause::LoadSlow)
            {
                return Ok(found);
            }
            progress.old.is_some()
        };
        let changed = match soft.filter(|soft| has_old && !soft.left().is_zero()) {
            Some(soft) => soft.run(landed.changed()).await.unwrap_or(Ok(())),
            None => landed.changed().await,
        };
        if changed.is_err() {
            let progress = landed.borrow();
            let old = progress.old.as_ref();
            let old = old.and_then(|old| taken(old, options, StaleCause::LoadFailed));
            return old.ok_or_else(|| closed().into());
        }
    }
}
