//! Values and stamps in this process, for programs without Redis: what Redis would do, and no more.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aquifer_core::stamps::Stamp;
use quick_cache::{UnitWeighter, Weighter, unsync};
use tokio::time::Instant;

use super::TTL_MAX;
use super::envelope::{Opened, is_later};
use super::key::KeyHash;
use super::remote::not_a_counter;
use super::store::{Entry, StampFor, Stored};
use super::times::Span;
use crate::{Error, clock};

/// How many stamps are kept. One that was dropped for others makes the values that depend on it misses.
const STAMPS_MAX: usize = 100_000;

/// What an entry takes besides its bytes.
const OVERHEAD: usize = 200;

/// How many entries there is room for to begin with is told by their usual weight.
const WEIGHT_USUAL: u64 = 1 << 10;

pub(super) struct Process(Mutex<State>);

struct State {
    entries: unsync::Cache<Box<str>, Held, Weigh, KeyHash>,
    stamps: unsync::Cache<Box<str>, Stamp, UnitWeighter, KeyHash>,
}

#[derive(Clone)]
struct Held {
    bytes: Vec<u8>,
    expires: Option<Instant>,
}

#[derive(Clone)]
struct Weigh;

impl Weighter<Box<str>, Held> for Weigh {
    fn weight(&self, name: &Box<str>, held: &Held) -> u64 {
        u64::try_from(name.len() + held.bytes.len() + OVERHEAD).unwrap_or(u64::MAX)
    }
}

impl Process {
    /// Holds entries of about so many bytes together.
    pub(super) fn new(bytes: u64) -> Self {
        let entries = usize::try_from(bytes / WEIGHT_USUAL).unwrap_or(usize::MAX);
        Self(Mutex::new(State {
            entries: unsync::Cache::with(
                entries,
                bytes,
                Weigh,
                KeyHash::new(),
                unsync::DefaultLifecycle::default(),
            ),
            stamps: unsync::Cache::with(
                STAMPS_MAX,
                STAMPS_MAX as u64,
                UnitWeighter,
                KeyHash::new(),
                unsync::DefaultLifecycle::default(),
            ),
        }))
    }

    pub(super) fn read(&self, entries: &[String], stamps: &[String]) -> Stored {
        let state = self.lock();
        let now = clock::now();
        let stamp = |name: &String| state.stamps.get(name.as_str()).copied();
        let stamps = stamps.iter().map(stamp).collect();
        let entry = |name: &String| {
            let held = state.held(name, now)?;
            Some(Entry {
                left: held.expires.map(|expires| expires - now),
                bytes: held.bytes.clone(),
            })
        };
        let entries = entries.iter().map(entry).collect();
        Stored { entries, stamps }
    }

    pub(super) fn ensure(&self, stamps: &[StampFor]) -> Vec<Stamp> {
        let mut state = self.lock();
        stamps
            .iter()
            .map(|stamp| state.stamp(&stamp.name))
            .collect()
    }

    pub(super) fn bump(&self, stamps: &[StampFor]) -> Vec<Stamp> {
        let mut state = self.lock();
        let bump = |stamp: &StampFor| state.bump(&stamp.name);
        stamps.iter().map(bump).collect()
    }

    pub(super) fn bump_present(&self, stamps: &[StampFor]) {
        let mut state = self.lock();
        for stamp in stamps {
            if state.stamps.get(&*stamp.name).is_some() {
                state.bump(&stamp.name);
            }
        }
    }

    pub(super) fn put(&self, entries: &[(String, Vec<u8>)], ttl: Duration) {
        let mut state = self.lock();
        let now = clock::now();
        for (name, bytes) in entries {
            let held = state.held(name, now);
            if held.is_some_and(|held| is_later(&held.bytes, bytes)) {
                continue;
            }
            let held = Held {
                bytes: bytes.clone(),
                expires: Some(now + ttl),
            };
            state.entries.insert(name.as_str().into(), held);
        }
    }

    pub(super) fn delete(&self, entries: &[String], stamps: &[StampFor]) -> u64 {
        let mut state = self.lock();
        let now = clock::now();
        for stamp in stamps {
            state.bump(&stamp.name);
        }
        let there = |name: &&String| {
            let was = state.held(name, now).is_some();
            drop(state.entries.remove(name.as_str()));
            was
        };
        let removed = entries.iter().filter(there).count();
        u64::try_from(removed).unwrap_or(u64::MAX)
    }

    pub(super) fn expire(&self, entry: &str, _stamp: &str, ttl: Duration) -> bool {
        let mut state = self.lock();
        let now = clock::now();
        let Some(mut held) = state.held(entry, now).cloned() else {
            return false;
        };
        let span = Opened::read(&held.bytes).map(|opened| opened.span);
        let stale = span.map_or(Duration::ZERO, Span::stale);
        held.expires = Some(now + ttl.saturating_add(stale).min(TTL_MAX));
        state.entries.insert(entry.into(), held);
        true
    }

    pub(super) fn add(&self, entry: &str, number: i64) -> Result<i64, Error> {
        let mut state = self.lock();
        let now = clock::now();
        let (was, expires) = match state.held(entry, now) {
            None => (0, None),
            Some(held) => {
                let text = std::str::from_utf8(&held.bytes).ok();
                let number = text.and_then(|text| text.parse::<i64>().ok());
                (number.ok_or_else(not_a_counter)?, held.expires)
            }
        };
        let is = was.checked_add(number).ok_or_else(not_a_counter)?;
        let bytes = is.to_string().into_bytes();
        state.entries.insert(entry.into(), Held { bytes, expires });
        Ok(is)
    }

    pub(super) fn renew(&self, name: &str, stamp: Stamp) {
        self.lock().stamps.insert(name.into(), stamp);
    }

    /// All entries are of the one namespace that there is.
    pub(super) fn sweep(&self, _prefix: &str) {
        self.lock().entries.clear();
    }

    pub(super) fn discard(&self, entry: &str, bytes: &[u8]) {
        let mut state = self.lock();
        let held = state.held(entry, clock::now());
        if held.is_some_and(|held| held.bytes == bytes) {
            drop(state.entries.remove(entry));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn held(&self, name: &str, now: Instant) -> Option<&Held> {
        let held = self.entries.get(name)?;
        let expired = held.expires.is_some_and(|expires| expires <= now);
        (!expired).then_some(held)
    }

    fn stamp(&mut self, name: &str) -> Stamp {
        if let Some(stamp) = self.stamps.get(name) {
            return *stamp;
        }
        let first = Stamp::first(clock::random());
        self.stamps.insert(name.into(), first);
        first
    }

    fn bump(&mut self, name: &str) -> Stamp {
        let next = self.stamp(name).next(0);
        self.stamps.insert(name.into(), next);
        next
    }
}
