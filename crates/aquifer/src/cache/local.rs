//! L1: values as they are used, in the memory of this process.

use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError};

use aquifer_core::stamps::Proof;
use quick_cache::Weighter;
use quick_cache::sync::{Cache, DefaultLifecycle};
use tokio::time::Instant;

use super::key::KeyHash;
use super::times::Times;

/// Larger values, as they are encoded, are not kept here: a few of them would take the place of all
/// others.
const LENGTH_MAX: usize = 256 << 10;

/// What a value takes besides itself: its key, the proof, the cells of its tags, its place in the
/// tables.
const OVERHEAD: usize = 520;

/// How many values there is room for to begin with is told by their usual weight.
const WEIGHT_USUAL: u64 = 1 << 10;

/// A value that is kept.
pub(super) struct Kept {
    /// None if it is known that there is none.
    pub(super) value: Option<Arc<dyn Any + Send + Sync>>,
    pub(super) proof: Proof,
    pub(super) times: Times,
    /// Until when no load is begun for it, after one that failed.
    pub(super) held_off: Mutex<Option<Instant>>,
    /// Of its encoding: whether what is in Redis under the same stamps is the same value.
    pub(super) checksum: u64,
    /// Of its encoding, in bytes.
    pub(super) length: usize,
}

impl Kept {
    /// The value, or the knowledge that there is none, unless it is of another type.
    #[inline]
    pub(super) fn value_as<T: Send + Sync + 'static>(&self) -> Option<Option<Arc<T>>> {
        Some(match &self.value {
            None => None,
            Some(value) => Some(Arc::clone(value).downcast::<T>().ok()?),
        })
    }

    pub(super) fn is_held_off(&self, now: Instant) -> bool {
        let until = self.held_off.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| now < until)
    }

    pub(super) fn hold_off(&self, until: Instant) {
        *self.held_off.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
    }
}

#[derive(Clone, Debug)]
pub(super) struct Weigh;

impl Weighter<Box<str>, Arc<Kept>> for Weigh {
    fn weight(&self, key: &Box<str>, kept: &Arc<Kept>) -> u64 {
        u64::try_from(key.len() + kept.length + OVERHEAD).unwrap_or(u64::MAX)
    }
}

/// All values that are kept, by key.
pub(super) struct Local(Cache<Box<str>, Arc<Kept>, Weigh, KeyHash>);

impl Local {
    /// Keeps values of about so many bytes together.
    pub(super) fn new(bytes: u64) -> Self {
        let values = usize::try_from(bytes / WEIGHT_USUAL).unwrap_or(usize::MAX);
        Self(Cache::with(
            values,
            bytes,
            Weigh,
            KeyHash::new(),
            DefaultLifecycle::default(),
        ))
    }

    pub(super) fn get(&self, key: &str) -> Option<Arc<Kept>> {
        self.0.get(key)
    }

    pub(super) fn keep(&self, key: &str, kept: Kept) {
        if kept.length > LENGTH_MAX {
            self.remove(key);
        } else {
            self.0.insert(key.into(), Arc::new(kept));
        }
    }

    pub(super) fn remove(&self, key: &str) {
        drop(self.0.remove(key));
    }

    pub(super) fn clear(&self) {
        self.0.clear();
    }

    /// How many values there are, and about how many bytes they take.
    pub(super) fn size(&self) -> (usize, u64) {
        (self.0.len(), self.0.weight())
    }
}
