//! How a cache does.

use std::time::Duration;

use super::Inner;
use super::link::LEASE;
use crate::clock;
use crate::observe::CacheFigures;

/// How a cache does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheStatus {
    /// Whether other processes are told of changes, and tell of theirs.
    pub is_shared: bool,
    /// Whether values in memory are used without asking Redis: every master tells of changes.
    pub is_linked: bool,
    /// Whether there are changes that Redis was not told of yet.
    pub has_missed_bumps: bool,
    /// Whether it was told to load nothing: see [`Cache::set_cache_only`](crate::Cache::set_cache_only).
    pub is_cache_only: bool,
    /// How long ago it was known for certain that this process had heard of every change: at most a
    /// second while values in memory are used without asking. None where nobody tells.
    pub verified_age: Option<Duration>,
    /// How many values are in memory.
    pub values: usize,
    /// About how many bytes they take.
    pub bytes: u64,
}

impl Inner {
    pub(super) fn status(&self) -> CacheStatus {
        let (values, bytes) = self.local.size();
        CacheStatus {
            is_shared: self.redis().is_some(),
            is_linked: self.board.is_linked(),
            has_missed_bumps: self.debts.due().is_some(),
            is_cache_only: self.is_cache_only(),
            verified_age: self.lease.extended_ago(clock::now(), LEASE),
            values,
            bytes,
        }
    }

    /// As the figures have it.
    pub(super) fn figures(&self) -> CacheFigures {
        let status = self.status();
        CacheFigures {
            is_linked: status.is_shared.then_some(status.is_linked),
            verified_age: status.verified_age,
            values: u64::try_from(status.values).unwrap_or(u64::MAX),
            bytes: status.bytes,
        }
    }
}
