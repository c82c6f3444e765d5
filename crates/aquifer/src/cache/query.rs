//! Results of queries, kept under the tags of all that they were made of.

mod reading;
mod rows;

use std::sync::Arc;
use std::time::Duration;

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

pub(crate) use self::reading::Reading;
pub(crate) use self::rows::Rows;
use super::key::check_key;
use super::load::Absence;
use super::options::CacheOptions;
use super::read::Want;
use super::{Cache, tag};
use crate::query::{Keeping, Plan};
use crate::settings::Settings;
use crate::{Error, Uncacheable};

/// What a result is known by.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) key: Box<str>,
    /// Of the statement, its parameters, and on whose behalf it runs.
    pub(crate) identity: u128,
}

impl Asked {
    /// `scope` is the role, the database and all else that the connection decides.
    pub(crate) fn of(
        plan: &Plan,
        keeping: &Keeping,
        (scope, settings): (&str, Option<&Settings>),
    ) -> Result<Self, Error> {
        let unknown = |value: &crate::types::Value| !value.is_identified();
        if let Some(place) = plan.values().iter().position(unknown) {
            return Err(Uncacheable::Parameter(place + 1).into());
        }
        let settings = settings.map(Settings::identity).unwrap_or_default();
        let values = plan.conditions();
        let mut hash = Xxh3::new();
        for part in [scope.as_bytes(), &settings, plan.sql().as_bytes(), &values] {
            hash.update(&part.len().to_le_bytes());
            hash.update(part);
        }
        let identity = hash.digest128();
        let key = match &keeping.key {
            None => format!("q:{identity:032x}").into(),
            Some(key) => {
                check_key(key)?;
                match settings.as_slice() {
                    [] => key.clone(),
                    // No tenant meets another one's.
                    settings => format!("{key}@{:016x}", xxh3_64(settings)).into(),
                }
            }
        };
        Ok(Self { key, identity })
    }
}

/// Why a result that was loaded is not kept, or could not be loaded.
#[derive(Clone, Debug)]
pub(crate) enum Unkept {
    Failed(Error),
    Rows(Rows),
}

impl From<Error> for Unkept {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Cache {
    /// The result, if it is in memory and good.
    #[inline]
    pub(crate) fn rows_here(&self, asked: &Asked) -> Option<Arc<Rows>> {
        let found = self.0.hit::<Rows>(&asked.key)??;
        (found.identity == asked.identity).then_some(found)
    }

    /// The result, if Redis says now that it is good.
    pub(crate) async fn rows_confirmed(
        &self,
        asked: &Asked,
        tags: &[Box<str>],
    ) -> Option<Arc<Rows>> {
        let want = Want {
            key: asked.key.clone(),
            tags: tags.to_vec(),
        };
        let found = Box::pin(self.0.fetch::<Rows>(vec![want])).await;
        let found = found.into_iter().next()???;
        (found.identity == asked.identity).then_some(found)
    }

    /// The result, from wherever it is to be had.
    pub(crate) async fn rows<F, Fut>(
        &self,
        asked: &Asked,
        (tags, ttl): (Vec<Box<str>>, Duration),
        load: F,
    ) -> Result<Rows, Error>
    where
        F: Fn() -> Fut + Clone + Send + 'static,
        Fut: Future<Output = Result<Rows, Unkept>> + Send + 'static,
    {
        let mut options = CacheOptions::new().ttl(ttl);
        options.tags = tags;
        for _again in 0..2 {
            let load = load.clone();
            let load = move || async move { load().await.map(Some) };
            let loaded = self.0.loaded(&asked.key, (&options, Absence::Loads), load);
            let found = match Box::pin(loaded).await {
                Ok(found) => found.value.map(Arc::unwrap_or_clone),
                Err(Unkept::Rows(rows)) => Some(rows),
                Err(Unkept::Failed(error)) => return Err(error),
            };
            match found {
                Some(rows) if rows.identity == asked.identity => return Ok(rows),
                // Another query has this key; of a rolling deployment perhaps the same one, as it was.
                _ => drop(self.delete([&asked.key]).await),
            }
        }
        match load().await {
            Ok(rows) | Err(Unkept::Rows(rows)) => Ok(rows),
            Err(Unkept::Failed(error)) => Err(error),
        }
    }

    /// Makes everything a miss that depends on one of these tags.
    pub(crate) async fn touch(&self, tags: &[Box<str>]) {
        let stamps = self.0.stamps_of_tags(tags);
        let bumped = self.0.store.bump_present(&stamps).await;
        let missed = bumped.is_err();
        // What Redis was not told is remembered, here and in the database.
        let _told_or_closed = self.0.changed(&stamps, bumped);
        if missed {
            Box::pin(self.0.raise_fence()).await;
        }
    }

    /// Notes what is known of the database as a whole, to see later whether that changed.
    pub(crate) fn note_database(&self) -> aquifer_core::stamps::Noted {
        self.0
            .note(&[self.0.names.stamp_of_tag(&tag::of_database())])
    }
}
