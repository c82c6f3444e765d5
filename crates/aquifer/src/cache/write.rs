//! The path of a write: the next stamp, the value, this process's own memory; then the caller is told.
//!
//! It runs in a task of the layer: a caller who goes away has changed the database already, so that
//! everybody must be told all the same.

use std::sync::Arc;
use std::time::Duration;

use aquifer_core::stamps::Ticket;
use tokio::sync::oneshot;

use super::encoding::Encoded;
use super::envelope::Sealed;
use super::key::{check_tags, tag_of};
use super::options::CacheOptions;
use super::read::{Want, stamp_ttl};
use super::rules::{Rule, keeps};
use super::store::StampFor;
use super::times::{Span, Times};
use super::{CacheValue, Inner, TTL_MAX, TTL_MIN};
use crate::observe::Event;
use crate::{Error, ErrorKind, clock};

/// A value with its key.
pub(super) type Keyed = (Box<str>, Sealed);

impl Inner {
    /// Carries out what a caller wants, whether it waits for it or not.
    pub(super) async fn carried_out<R: Send + 'static>(
        self: &Arc<Self>,
        work: impl Future<Output = Result<R, Error>> + Send + 'static,
    ) -> Result<R, Error> {
        let (sender, receiver) = oneshot::channel();
        let task = async move {
            let _gone = sender.send(work.await);
        };
        drop(self.tasks.spawn(task).ok_or_else(closed)?);
        receiver.await.unwrap_or_else(|_ended| Err(closed()))
    }

    /// Encodes values, which is all that is done with them in the caller's task.
    pub(super) fn sealed<'a, T: CacheValue>(
        &self,
        values: impl IntoIterator<Item = (&'a str, &'a T)>,
        options: &CacheOptions,
    ) -> Result<Vec<Keyed>, Error> {
        check_tags(&options.tags)?;
        let layout = self.layout::<T>();
        let span = span_of(self.ttl_of(options), options);
        let sealed = |(key, value): (&str, &T)| {
            super::key::check_key(key)?;
            let encoded = Encoded::of(value, self.format)?;
            let sealed = Sealed::new(layout, span, &options.tags, Some(&encoded));
            Ok((Box::from(key), sealed))
        };
        values.into_iter().map(sealed).collect()
    }

    pub(super) async fn set(
        self: Arc<Self>,
        values: Vec<Keyed>,
        tags: Vec<Box<str>>,
        ttl: Duration,
    ) -> Result<(), Error> {
        let stamps: Vec<StampFor> = values
            .iter()
            .map(|(key, _)| self.stamp_of_key(key, ttl))
            .collect();
        let stored = Box::pin(self.store_new(&values, &tags, (&stamps, ttl))).await;
        for (key, _) in &values {
            self.local.remove(key);
        }
        self.changed(&stamps, stored)
    }

    async fn store_new(
        &self,
        values: &[Keyed],
        tags: &[Box<str>],
        (stamps, ttl): (&[StampFor], Duration),
    ) -> Result<(), Error> {
        self.links.begun().await;
        self.believe_servers().await?;
        // Of what they depend on besides their keys; read before the values are there.
        let mut others = vec![StampFor::ever(self.names.stamp_of_all())];
        others.extend(self.stamps_of_tags(tags));
        let others = self.store.ensure(&others).await?;
        let bumped = if keeps(Rule::SetBumps) {
            self.store.bump(stamps).await?
        } else {
            self.store.ensure(stamps).await?
        };
        let with_marks = |((key, sealed), stamp): (&Keyed, _)| {
            let marks = [stamp].into_iter().chain(others.iter().copied());
            let marks = marks.map(aquifer_core::stamps::Stamp::mark);
            (self.names.entry(key), sealed.with_marks(marks))
        };
        let entries: Vec<_> = values.iter().zip(bumped).map(with_marks).collect();
        // What is not stored now is read from the database later: everybody knows that it changed.
        let _stored_or_missed = self.store.put(&entries, ttl).await;
        Ok(())
    }

    pub(super) async fn delete(self: Arc<Self>, keys: Vec<Box<str>>) -> Result<u64, Error> {
        let entries: Vec<String> = keys.iter().map(|key| self.names.entry(key)).collect();
        let stamp = |key: &str| self.stamp_of_key(key, self.ttl);
        let stamps: Vec<StampFor> = keys.iter().map(AsRef::as_ref).map(stamp).collect();
        if !keeps(Rule::ToldLast) {
            let inner = Arc::clone(&self);
            let late = async move { drop(inner.store.delete(&entries, &stamps).await) };
            drop(self.tasks.spawn(late));
            return Ok(0);
        }
        let deleted = self.store.delete(&entries, &stamps).await;
        for key in &keys {
            self.local.remove(key);
        }
        self.changed(&stamps, deleted)
    }

    pub(super) async fn invalidate(self: Arc<Self>, tags: Vec<Box<str>>) -> Result<(), Error> {
        let stamps = self.stamps_of_tags(&tags);
        let bumped = self.store.bump(&stamps).await;
        self.changed(&stamps, bumped.map(drop))
    }

    /// As if every value had been changed.
    pub(super) async fn unknown(self: Arc<Self>) -> Result<(), Error> {
        let stamp = StampFor::ever(self.names.stamp_of_all());
        let renewed = self.renew().await;
        self.changed(&[stamp], renewed)
    }

    pub(super) async fn clear(self: Arc<Self>) -> Result<(), Error> {
        let stamp = StampFor::ever(self.names.stamp_of_all());
        let renewed = self.renew().await;
        self.local.clear();
        let swept = match renewed {
            Ok(()) => self.store.sweep(&self.names.entries()).await,
            Err(error) => return self.changed(&[stamp], Err(error)),
        };
        // Values are gone all the same; counters may not be.
        swept.map_err(|error| error.add("values are cleared, but counters may be left"))
    }

    pub(super) async fn expire(
        self: Arc<Self>,
        key: Box<str>,
        ttl: Duration,
    ) -> Result<bool, Error> {
        let (entry, stamp) = (self.names.entry(&key), self.stamp_of_key(&key, ttl));
        let ttl = ttl.clamp(TTL_MIN, TTL_MAX);
        let was_there = self.store.expire(&entry, &stamp.name, ttl).await;
        self.board.changed(tag_of(&stamp.name));
        self.local.remove(&key);
        was_there
    }

    /// Keeps what was loaded under a ticket, here and where the others find it.
    pub(super) async fn keep<T: CacheValue>(
        &self,
        want: &Want,
        value: Option<&Arc<T>>,
        (ticket, options, effort): (Ticket, &CacheOptions, Duration),
    ) {
        let (ttl, layout) = match value {
            Some(_) => (self.ttl_of(options), self.layout::<T>()),
            None => (self.negative_ttl_of(options), 0),
        };
        let encoded = value.map(|value| Encoded::of::<T>(value, self.format));
        let encoded = match encoded.transpose() {
            Ok(encoded) => encoded,
            Err(_not_for_a_cache) => {
                self.observers.cache_counts().unreadable();
                return;
            }
        };
        self.observers.cache_counts().filled();
        if !ticket.is_unchanged() {
            self.observers.cache_counts().was_dead_on_arrival();
        }
        // Values that were loaded together are not all loaded again together.
        let span = Span {
            effort,
            ..span_of(ttl.mul_f64(1.0 - JITTER * chance()), options)
        };
        let sealed = Sealed::new(layout, span, &want.tags, encoded.as_ref());
        let envelope = sealed.with_marks(ticket.marks());
        let times = Times::new(span, None, clock::now());
        let entry = [(self.names.entry(&want.key), envelope)];
        let _stored_or_missed = self.store.put(&entry, span.kept).await;
        let encoded = (sealed.checksum, sealed.length());
        self.keep_here((&want.key, times), value, ticket, encoded);
    }

    /// They stay for ever: how long what depends on them is kept, nobody knows.
    pub(super) fn stamps_of_tags(&self, tags: &[Box<str>]) -> Vec<StampFor> {
        let stamp = |tag: &str| StampFor::ever(self.names.stamp_of_tag(tag));
        tags.iter().map(AsRef::as_ref).map(stamp).collect()
    }

    fn stamp_of_key(&self, key: &str, ttl: Duration) -> StampFor {
        StampFor {
            name: self.names.stamp_of_key(key),
            ttl: Some(stamp_ttl(ttl)),
        }
    }

    /// After stamps were bumped, or Redis could not be told: this process knows at least.
    pub(super) fn changed<R: Default>(
        &self,
        stamps: &[StampFor],
        told: Result<R, Error>,
    ) -> Result<R, Error> {
        if told.is_err() && keeps(Rule::DebtsRemembered) {
            // Before this process asks Redis again, which does not know of it.
            let first = self.debts.add();
            if let (true, Err(error)) = (first, &told) {
                self.observers.publish(Event::CacheBumpMissed {
                    cause: error.to_string().into(),
                });
            }
            self.wake.notify_one();
        }
        for stamp in stamps.iter().filter(|_| keeps(Rule::OwnChangesKnown)) {
            self.board.changed(tag_of(&stamp.name));
        }
        self.observers.cache_counts().bumped();
        match told {
            Err(error) if error.kind() == ErrorKind::Closed => Err(error),
            Err(_remembered) => Ok(R::default()),
            told => told,
        }
    }
}

/// For how long a value is fresh and kept.
fn span_of(ttl: Duration, options: &CacheOptions) -> Span {
    let stale = options.stale().min(TTL_MAX.saturating_sub(ttl));
    Span::new(ttl, stale)
}

/// By how much of it at most a time is shortened.
const JITTER: f64 = 0.1;

/// From 0 to 1.
fn chance() -> f64 {
    let some = u32::try_from(clock::random() >> 32).unwrap_or(0);
    f64::from(some) / f64::from(u32::MAX)
}

pub(super) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the cache was shut down")
}
