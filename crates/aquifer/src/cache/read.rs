//! The path of a read: memory, then Redis with its stamps.

use std::any::{Any, TypeId};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use aquifer_core::stamps::{Noted, Stamp, Ticket};
use tokio::time::Instant;

use super::envelope::Opened;
use super::key::tag_of;
use super::layout::layout_of;
use super::local::Kept;
use super::rules::{Rule, keeps};
use super::store::{Entry, StampFor};
use super::{CacheValue, Inner};
use crate::{Error, ErrorKind, clock};

/// Longest time for which a value is kept in memory, whatever Redis says.
const LOCAL_MAX: Duration = Duration::from_secs(24 * 3_600);

/// A key that is looked for, and the tags that its value is thought to have.
#[derive(Clone, Debug)]
pub(super) struct Want {
    pub(super) key: Box<str>,
    pub(super) tags: Vec<Box<str>>,
}

/// What was found.
#[derive(Debug)]
pub(super) enum Seen {
    /// Good, and of any layout.
    Value(Good),
    /// A whole number, and for how long it is still there.
    Counter(i64, Option<Duration>),
    /// Nothing that is good. With the ticket, if there are stamps, a value can be kept.
    Missing(Option<Ticket>),
}

#[derive(Debug)]
pub(super) struct Good {
    bytes: Vec<u8>,
    expires: Instant,
    pub(super) left: Option<Duration>,
    ticket: Ticket,
}

/// What one look said.
enum Look {
    Seen(Seen),
    /// The value has these tags, whose stamps were not read.
    Tags(Vec<Box<str>>),
    /// What is there can't be read.
    Garbage(Vec<u8>, Option<Ticket>),
}

/// `Some(None)` is the knowledge that there is no value.
pub(super) type Found<T> = Option<Option<Arc<T>>>;

impl Good {
    /// Whether it is the knowledge that there is no value.
    pub(super) fn is_negative(&self) -> bool {
        Opened::read(&self.bytes).is_none_or(|opened| opened.value.is_none())
    }
}

impl Want {
    pub(super) fn untagged(key: &str) -> Self {
        let tags = Vec::new();
        Self {
            key: key.into(),
            tags,
        }
    }
}

impl Inner {
    /// The value in memory, if it is good without asking anyone.
    #[inline]
    pub(super) fn hit<T: CacheValue>(&self, key: &str) -> Found<T> {
        let kept = self.local.get(key)?;
        let now = clock::now();
        let leased = self.lease.holds(now) || !keeps(Rule::LeaseEnds);
        if kept.expires <= now || !leased || !kept.proof.holds(&self.board) {
            return None;
        }
        let found = match &kept.value {
            None => None,
            Some(value) => Some(Arc::clone(value).downcast::<T>().ok()?),
        };
        self.observers.cache_counts().hit_local();
        Some(found)
    }

    /// What Redis knows; without Redis nothing.
    pub(super) async fn fetch<T: CacheValue>(&self, wants: Vec<Want>) -> Vec<Found<T>> {
        let seen = match self.look(&wants).await {
            Ok(seen) => seen,
            Err(_away) => return wants.iter().map(|_| None).collect(),
        };
        let found = |(want, seen): (&Want, Seen)| self.taken::<T>(&want.key, seen);
        wants.iter().zip(seen).map(found).collect()
    }

    /// What was found, as a `T`.
    pub(super) fn taken<T: CacheValue>(&self, key: &str, seen: Seen) -> Found<T> {
        let found = match seen {
            Seen::Value(good) => self.take(key, good),
            Seen::Counter(number, _) => as_counter(number).map(Some),
            Seen::Missing(_) => None,
        };
        match &found {
            Some(_) => self.observers.cache_counts().hit_remote(),
            None => self.observers.cache_counts().missed(),
        }
        found
    }

    /// What is stored under these keys, with its stamps.
    pub(super) async fn look(&self, wants: &[Want]) -> Result<Vec<Seen>, Error> {
        let mut seen = Vec::with_capacity(wants.len());
        let mut again = Vec::new();
        for (place, look) in self.look_once(wants).await?.into_iter().enumerate() {
            seen.push(match look {
                Look::Seen(seen) => seen,
                Look::Garbage(_, ticket) => Seen::Missing(ticket),
                Look::Tags(tags) => {
                    let key = wants.get(place).map(|want| want.key.clone());
                    let key = key.unwrap_or_default();
                    again.push((place, Want { key, tags }));
                    Seen::Missing(None)
                }
            });
        }
        if again.is_empty() {
            return Ok(seen);
        }
        let (places, wants): (Vec<usize>, Vec<Want>) = again.into_iter().unzip();
        for (place, look) in places.into_iter().zip(self.look_once(&wants).await?) {
            // A ticket of these tags is of no use to whoever thinks of others.
            if let (Some(seen), Look::Seen(found @ (Seen::Value(_) | Seen::Counter(..)))) =
                (seen.get_mut(place), look)
            {
                *seen = found;
            }
        }
        Ok(seen)
    }

    async fn look_once(&self, wants: &[Want]) -> Result<Vec<Look>, Error> {
        self.links.begun().await;
        let is_in_debt = self.debts.due().is_some() && keeps(Rule::DebtorsBelieveNothing);
        if is_in_debt || self.fence.is_in_doubt() {
            let text = "Redis may not know of some changes yet, so what it holds is not used";
            return Err(Error::new(ErrorKind::Connection, text));
        }
        let entries: Vec<String> = wants
            .iter()
            .map(|want| self.names.entry(&want.key))
            .collect();
        let mut names = Vec::with_capacity(2 * wants.len());
        let mut noted = Vec::with_capacity(wants.len());
        for want in wants {
            let of_this = self.names.stamps_of(&want.key, &want.tags);
            noted.push(self.note(&of_this));
            names.extend(of_this);
        }
        let now = clock::now();
        self.know_servers().await?;
        let stored = self.store.read(&entries, &names).await?;
        if !self.knows_servers() {
            self.wake.notify_one();
            let text = "other servers of Redis than those of before answer, which may have forgotten changes";
            return Err(Error::new(ErrorKind::Connection, text));
        }
        if !keeps(Rule::NotedFirst) {
            let note = |want: &Want| self.note(&self.names.stamps_of(&want.key, &want.tags));
            noted = wants.iter().map(note).collect();
        }
        for (name, stamp) in names.iter().zip(&stored.stamps) {
            if stamp.is_none() {
                // Whoever makes it again may hide that from this process.
                self.board.announced(tag_of(name));
            }
        }
        let mut stamps = stored.stamps.as_slice();
        let mut looks = Vec::with_capacity(wants.len());
        for ((want, noted), entry) in wants.iter().zip(noted).zip(stored.entries) {
            let (of_this, rest) = stamps
                .split_at_checked(2 + want.tags.len())
                .unwrap_or_default();
            stamps = rest;
            let of_this: Option<Vec<Stamp>> = of_this.iter().copied().collect();
            let ticket = of_this.and_then(|stamps| noted.with(&stamps));
            looks.push(self.judge(want, entry, ticket, now));
        }
        for (entry, look) in entries.iter().zip(&looks) {
            if let Look::Garbage(bytes, _) = look {
                // What is in the way of the next value; if it stays, it is in nobody's way.
                let _gone_or_not = self.store.discard(entry, bytes).await;
            }
        }
        Ok(looks)
    }

    fn judge(
        &self,
        want: &Want,
        entry: Option<Entry>,
        ticket: Option<Ticket>,
        now: Instant,
    ) -> Look {
        let Some(Entry { bytes, left }) = entry else {
            return Look::Seen(Seen::Missing(ticket));
        };
        if let Some(number) = number(&bytes) {
            return Look::Seen(Seen::Counter(number, left));
        }
        let Some(opened) = Opened::read(&bytes) else {
            self.observers.cache_counts().unreadable();
            return Look::Garbage(bytes, ticket);
        };
        if opened.tags != want.tags && keeps(Rule::TagsCompared) {
            return Look::Tags(opened.tags);
        }
        match ticket {
            Some(ticket) if opened.has_marks(ticket.marks()) || !keeps(Rule::MarksCompared) => {
                Look::Seen(Seen::Value(Good {
                    expires: now + left.unwrap_or(LOCAL_MAX).min(LOCAL_MAX),
                    bytes,
                    left,
                    ticket,
                }))
            }
            ticket => {
                self.observers.cache_counts().found_stale();
                Look::Seen(Seen::Missing(ticket))
            }
        }
    }

    /// Reads what is good as a `T`, and keeps it in memory; nothing if it is of another layout.
    fn take<T: CacheValue>(&self, key: &str, good: Good) -> Found<T> {
        let opened = Opened::read(&good.bytes)?;
        let kept = self.local.get(key);
        let mut ticket = good.ticket;
        if let Some(kept) = &kept
            && kept.checksum == opened.checksum
            && kept.value.as_ref().is_none_or(|value| value.is::<T>())
        {
            // It need not be read again: only whether it is still the one was in doubt.
            match kept.proof.renewed(ticket) {
                Ok(proof) => {
                    let value = kept.value.clone();
                    let found = match &value {
                        None => None,
                        Some(value) => Some(Arc::clone(value).downcast::<T>().ok()?),
                    };
                    let renewed = Kept {
                        value,
                        proof,
                        expires: good.expires,
                        checksum: kept.checksum,
                        length: kept.length,
                    };
                    self.local.keep(key, renewed);
                    return Some(found);
                }
                Err(other) => ticket = other,
            }
        }
        let found: Option<Arc<T>> = match opened.value {
            None => None,
            Some(_) if opened.layout != self.layout::<T>() => {
                self.observers.cache_counts().unreadable();
                return None;
            }
            Some(bytes) => match rmp_serde::from_slice(bytes) {
                Ok(value) => Some(Arc::new(value)),
                Err(_of_another_layout) => {
                    self.observers.cache_counts().unreadable();
                    return None;
                }
            },
        };
        let encoded = (opened.checksum, good.bytes.len());
        self.keep_here((key, good.expires), found.as_ref(), ticket, encoded);
        Some(found)
    }

    /// Keeps a value in memory, whose encoding has this checksum and about so many bytes.
    pub(super) fn keep_here<T: CacheValue>(
        &self,
        (key, expires): (&str, Instant),
        value: Option<&Arc<T>>,
        ticket: Ticket,
        (checksum, length): (u64, usize),
    ) {
        let value = value.map(|value| {
            let value: Arc<dyn Any + Send + Sync> = Arc::<T>::clone(value);
            value
        });
        let kept = Kept {
            value,
            proof: ticket.proof(),
            expires,
            checksum,
            length,
        };
        self.local.keep(key, kept);
    }

    /// A ticket where there were no stamps: they are made.
    pub(super) async fn ticket(&self, want: &Want, ttl: Duration) -> Result<Ticket, Error> {
        let names = self.names.stamps_of(&want.key, &want.tags);
        let stamps = self.stamps_for(&names, ttl);
        let noted = self.note(&names);
        let made = self.ensure_unannounced(&stamps).await;
        if let Some(ticket) = made.and_then(|stamps| noted.with(&stamps)) {
            return Ok(ticket);
        }
        self.store.ensure(&stamps).await?;
        // That they were made is told to everybody, so it is noted only now.
        let noted = self.note(&names);
        let stored = self.store.read(&[], &names).await?;
        let stamps: Option<Vec<Stamp>> = stored.stamps.into_iter().collect();
        let ticket = stamps.and_then(|stamps| noted.with(&stamps));
        ticket.ok_or_else(|| Error::new(ErrorKind::Redis, "a stamp of the cache is gone"))
    }

    pub(super) fn note(&self, stamps: &[String]) -> Noted {
        self.board.note(stamps.iter().map(|stamp| tag_of(stamp)))
    }

    /// The stamp of a key or a row may go when every value that depends on it has gone; the others stay.
    pub(super) fn stamps_for(&self, names: &[String], ttl: Duration) -> Vec<StampFor> {
        let stamp = |(place, name): (usize, &String)| StampFor {
            name: name.clone(),
            ttl: (place == 0 || self.names.is_of_row(name)).then_some(stamp_ttl(ttl)),
        };
        names.iter().enumerate().map(stamp).collect()
    }

    /// The layout of a type, which is found out once.
    pub(super) fn layout<T: CacheValue>(&self) -> u64 {
        let of = TypeId::of::<T>();
        let known = self.layouts.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(layout) = known.get(&of) {
            return *layout;
        }
        drop(known);
        let layout = layout_of::<T>();
        let mut known = self.layouts.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(of, layout);
        layout
    }
}

/// For how long the stamp of a key is kept whose value is kept for `ttl`.
pub(super) fn stamp_ttl(ttl: Duration) -> Duration {
    ttl.saturating_mul(2)
        .saturating_add(Duration::from_secs(10))
}

/// What INCRBY counts.
pub(super) fn number(bytes: &[u8]) -> Option<i64> {
    // Envelopes are longer, and begin with a letter.
    let text = std::str::from_utf8(bytes.get(..bytes.len().min(21))?).ok()?;
    (text.len() == bytes.len()).then(|| text.parse().ok())?
}

/// A counter as whatever type can hold it.
fn as_counter<T: CacheValue>(number: i64) -> Option<Arc<T>> {
    let bytes = rmp_serde::to_vec(&number).ok()?;
    rmp_serde::from_slice(&bytes).ok().map(Arc::new)
}
