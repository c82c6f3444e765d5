//! The path of a value that is missing: a ticket, the loader, then it is kept.

use std::sync::Arc;

use aquifer_core::stamps::Ticket;

use super::flight::Landed;
use super::options::CacheOptions;
use super::read::{Found, Seen, Want};
use super::write::closed;
use super::{CacheValue, Inner};
use crate::wait::unless_panic;
use crate::{Error, ErrorKind, clock};

/// What the knowledge that there is no value is to whoever loads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Absence {
    /// An answer.
    Counts,
    /// A reason to load.
    Loads,
}

impl Inner {
    /// Joins the load of this key that is under way, or begins one in a task of the layer.
    pub(super) fn fly<T, E, F, Fut>(
        self: &Arc<Self>,
        key: &str,
        (options, absence): (&CacheOptions, Absence),
        load: F,
    ) -> Landed<T, E>
    where
        T: CacheValue,
        E: From<Error> + Clone + Send + Sync + 'static,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Option<T>, E>> + Send + 'static,
    {
        let at = (&*self.board, clock::now());
        let note = || self.note(&self.names.stamps_of(key, &options.tags));
        let (landed, landing) = self.flights.join::<T, E>((key, absence), at, note);
        if let Some(landing) = landing {
            let (inner, options) = (Arc::clone(self), options.clone());
            let want = Want {
                key: key.into(),
                tags: options.tags.clone(),
            };
            let flight = async move {
                let outcome = inner.fill(&want, (&options, absence), load).await;
                landing.land(outcome);
            };
            // Where no task is begun, the landing is dropped, and whoever waits for it is told.
            drop(self.tasks.spawn(flight));
        }
        landed
    }

    async fn fill<T, E, F, Fut>(
        &self,
        want: &Want,
        (options, absence): (&CacheOptions, Absence),
        load: F,
    ) -> Result<Option<Arc<T>>, E>
    where
        T: CacheValue,
        E: From<Error>,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<Option<T>, E>> + Send + 'static,
    {
        let (found, ticket) = Box::pin(self.begin::<T>(want, (options, absence))).await;
        if let Some(found) = found {
            return Ok(found);
        }
        self.observers.cache_counts().loaded();
        let loaded = unless_panic(|| Box::pin(load())).await;
        let value = loaded.unwrap_or_else(|| Err(panicked().into()))?;
        let value = value.map(Arc::new);
        if let Some(ticket) = ticket {
            Box::pin(self.keep(want, value.as_ref(), (ticket, options))).await;
        }
        Ok(value)
    }

    /// What Redis knows, else a ticket to keep what is loaded; without Redis neither.
    async fn begin<T: CacheValue>(
        &self,
        want: &Want,
        (options, absence): (&CacheOptions, Absence),
    ) -> (Found<T>, Option<Ticket>) {
        let seen = match self.look(std::slice::from_ref(want)).await {
            Ok(mut seen) => seen.pop().unwrap_or(Seen::Missing(None)),
            Err(_away) => return (None, None),
        };
        let ticket = match seen {
            Seen::Missing(ticket) => {
                self.observers.cache_counts().missed();
                ticket
            }
            seen => match self.taken::<T>(&want.key, seen) {
                Some(found) if found.is_some() || absence == Absence::Counts => {
                    return (Some(found), None);
                }
                _ => None,
            },
        };
        match ticket {
            Some(ticket) => (None, Some(ticket)),
            None => (None, self.ticket(want, self.ttl_of(options)).await.ok()),
        }
    }
}

/// What the load that was begun or joined gives.
pub(super) async fn landed<T, E>(mut landed: Landed<T, E>) -> Result<Option<Arc<T>>, E>
where
    E: From<Error> + Clone,
{
    match landed.wait_for(Option::is_some).await {
        Ok(outcome) => outcome.clone().unwrap_or_else(|| Err(closed().into())),
        Err(_given_up) => Err(closed().into()),
    }
}

fn panicked() -> Error {
    Error::new(ErrorKind::Usage, "the loader of the cache panicked")
}
