//! The path of a read: memory, then Redis with its stamps.

use std::any::{Any, TypeId};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aquifer_core::stamps::{Noted, Stamp, Ticket};
use tokio::time::Instant;

use super::cached::{CacheLayer, Cached};
use super::claim::Claim;
use super::envelope::Opened;
use super::key::tag_of;
use super::layout::layout_of;
use super::link::LEASE;
use super::local::Kept;
use super::options::CacheOptions;
use super::rules::{Rule, keeps};
use super::store::{Entry, StampFor};
use super::times::Times;
use super::{CacheValue, Inner};
use crate::{Error, ErrorKind, clock};

/// A key that is looked for, and the tags that its value is thought to have.
#[derive(Clone, Debug)]
pub(super) struct Want {
    pub(super) key: Box<str>,
    pub(super) tags: Vec<Box<str>>,
}

/// What was found.
#[derive(Debug)]
pub(super) enum Seen {
    /// Unchanged, of any layout, and stale only for whoever loads.
    Value(Good),
    /// A whole number, and for how long it is still there.
    Counter(i64, Option<Duration>),
    /// Nothing that is good. With the ticket, if there are stamps, a value can be kept.
    Missing(Option<Ticket>),
}

#[derive(Debug)]
pub(super) struct Good {
    bytes: Vec<u8>,
    pub(super) times: Times,
    /// For how long it is still fresh; for ever if there is no time.
    pub(super) left: Option<Duration>,
    pub(super) ticket: Ticket,
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

/// A value as it was read, and the checksum and the length of its encoding.
type Stale<T> = (Option<Arc<T>>, (u64, usize));

impl Good {
    /// Whether it is the knowledge that there is no value.
    pub(super) fn is_negative(&self) -> bool {
        Opened::read(&self.bytes).is_none_or(|opened| opened.value.is_none())
    }

    /// Whether it has these tags.
    pub(super) fn has_tags(&self, tags: &[Box<str>]) -> bool {
        Opened::read(&self.bytes).is_some_and(|opened| opened.tags == tags)
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
        self.hit_until(key, None, |times| times.fresh)
    }

    /// The value in memory, if it is good without asking anyone, and it is not yet to be asked whether to
    /// load the next one.
    #[inline]
    pub(super) fn hit_before_renewal<T: CacheValue>(
        &self,
        key: &str,
        options: &CacheOptions,
    ) -> Found<T> {
        self.hit_until(key, options.max_staleness, |times| times.early)
    }

    /// The value in memory, else what Redis knows, and where it was.
    pub(super) async fn found_with<T: CacheValue>(
        &self,
        key: &str,
        options: &CacheOptions,
    ) -> Option<Cached<Arc<T>>> {
        let age = || self.local.get(key).map(|kept| kept.times.age(clock::now()));
        let hit = self.hit_until::<T>(key, options.max_staleness, |times| times.fresh);
        let (found, layer) = match hit {
            Some(found) => (found, CacheLayer::Local),
            None => {
                let want = Want {
                    key: key.into(),
                    tags: options.tags.clone(),
                };
                let found = self.fetch(vec![want]).await.pop().flatten().flatten();
                (found, CacheLayer::Remote)
            }
        };
        // What was found has just been kept; counters and large values are not.
        Some(Cached::good(found?, layer, age().unwrap_or_default()))
    }

    /// The value in memory, if it is good without asking anyone and before this time of it.
    #[inline]
    pub(super) fn hit_until<T: CacheValue>(
        &self,
        key: &str,
        max_staleness: Option<Duration>,
        until: impl FnOnce(&Times) -> Instant,
    ) -> Found<T> {
        let kept = self.local.get(key)?;
        let now = clock::now();
        if until(&kept.times) <= now || !self.holds(&kept, (now, max_staleness)) {
            return None;
        }
        let found = kept.value_as::<T>()?;
        self.observers.cache_counts().hit_local();
        Some(found)
    }

    /// Whether what is in memory was not changed, as far as was known at most so long ago.
    #[inline]
    pub(super) fn holds(&self, kept: &Kept, (now, ago): (Instant, Option<Duration>)) -> bool {
        let leased = match ago {
            None => self.lease.holds(now),
            ago => self.lease.holds_within(now, ago, LEASE),
        };
        (leased || !keeps(Rule::LeaseEnds)) && kept.proof.holds(&self.board)
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
        let (_, seen) = self.look_for_load(wants, None).await?;
        let now = clock::now();
        let fresh = |seen| match seen {
            Seen::Value(good) if !good.times.is_fresh(now) => Seen::Missing(None),
            seen => seen,
        };
        Ok(seen.into_iter().map(fresh).collect())
    }

    /// As [`look`](Self::look), and stale values too; after a claim was made for the one key there is,
    /// if nobody else has made it. Returns whether it was.
    pub(super) async fn look_for_load(
        &self,
        wants: &[Want],
        claim: Option<&Claim>,
    ) -> Result<(bool, Vec<Seen>), Error> {
        let mut seen = Vec::with_capacity(wants.len());
        let mut again = Vec::new();
        let (is_ours, looks) = self.look_once(wants, claim).await?;
        for (place, look) in looks.into_iter().enumerate() {
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
            return Ok((is_ours, seen));
        }
        let (places, wants): (Vec<usize>, Vec<Want>) = again.into_iter().unzip();
        let (_, looks) = self.look_once(&wants, None).await?;
        for (place, look) in places.into_iter().zip(looks) {
            // A ticket of these tags is of no use to whoever thinks of others.
            if let (Some(seen), Look::Seen(found @ (Seen::Value(_) | Seen::Counter(..)))) =
                (seen.get_mut(place), look)
            {
                *seen = found;
            }
        }
        Ok((is_ours, seen))
    }

    async fn look_once(
        &self,
        wants: &[Want],
        claim: Option<&Claim>,
    ) -> Result<(bool, Vec<Look>), Error> {
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
        self.believe_servers().await?;
        let (is_ours, stored) = match (claim, entries.as_slice()) {
            (Some(claim), [entry]) => self.store.read_claiming(entry, &names, claim).await?,
            _ => (false, self.store.read(&entries, &names).await?),
        };
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
        Ok((is_ours, looks))
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
                    times: Times::new(opened.span, left, now),
                    left: left.map(|left| opened.span.fresh_left(left)),
                    bytes,
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
    pub(super) fn take<T: CacheValue>(&self, key: &str, good: Good) -> Found<T> {
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
                    let found = kept.value_as::<T>()?;
                    let renewed = Kept {
                        value: kept.value.clone(),
                        proof,
                        times: good.times,
                        held_off: Mutex::default(),
                        checksum: kept.checksum,
                        length: kept.length,
                    };
                    self.local.keep(key, renewed);
                    return Some(found);
                }
                Err(other) => ticket = other,
            }
        }
        let found = self.decoded::<T>(&opened)?;
        let encoded = (opened.checksum, good.bytes.len());
        self.keep_here((key, good.times), found.as_ref(), ticket, encoded);
        Some(found)
    }

    /// What was found as a `T`, without keeping it in memory: it is stale.
    ///
    /// Beside it the checksum and the length of its encoding.
    pub(super) fn read_stale<T: CacheValue>(&self, good: &Good) -> Option<Stale<T>> {
        let opened = Opened::read(&good.bytes)?;
        let found = self.decoded(&opened)?;
        Some((found, (opened.checksum, good.bytes.len())))
    }

    fn decoded<T: CacheValue>(&self, opened: &Opened<'_>) -> Found<T> {
        match opened.value {
            None => Some(None),
            Some(_) if opened.layout != self.layout::<T>() => {
                self.observers.cache_counts().unreadable();
                None
            }
            Some(bytes) => match opened.encoding.read(bytes) {
                Some(value) => Some(Some(Arc::new(value))),
                None => {
                    self.observers.cache_counts().unreadable();
                    None
                }
            },
        }
    }

    /// Keeps a value in memory, whose encoding has this checksum and about so many bytes.
    pub(super) fn keep_here<T: CacheValue>(
        &self,
        (key, times): (&str, Times),
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
            times,
            held_off: Mutex::default(),
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
pub(super) fn as_counter<T: CacheValue>(number: i64) -> Option<Arc<T>> {
    let bytes = rmp_serde::to_vec(&number).ok()?;
    rmp_serde::from_slice(&bytes).ok().map(Arc::new)
}
