//! What is counted of each statement, found by its text's hash without a lock.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use aquifer_core::histogram::Histogram;
use aquifer_core::scan;

/// Most statements that are told apart; what comes later is counted together.
pub(crate) const STATEMENTS_MAX: usize = 500;
/// A power of two, so that a part of the hash is an index; twice as many, so that few collide.
const SLOTS: usize = 1024;
/// Most bytes that are kept of a text.
const TEXT_MAX: usize = 2048;

/// One entry for each of the first statements, which stays until the end.
#[derive(Debug)]
pub(crate) struct StatementTable {
    slots: Box<[OnceLock<Box<StatementEntry>>]>,
    used: AtomicUsize,
    other: StatementEntry,
}

/// What is counted of one statement, by all threads at once.
#[derive(Debug)]
pub(crate) struct StatementEntry {
    pub(crate) fingerprint: u64,
    /// Without the values that may stand in it.
    pub(crate) text: Box<str>,
    /// Of the calls that succeeded.
    pub(crate) duration: Histogram,
    pub(crate) errors: AtomicU64,
    pub(crate) rows: AtomicU64,
    /// How long all calls together waited for a connection, in nanoseconds.
    pub(crate) queue: AtomicU64,
    /// How long the reading of all rows took that was measured, in nanoseconds.
    pub(crate) decode: AtomicU64,
}

impl Default for StatementTable {
    fn default() -> Self {
        Self {
            slots: (0..SLOTS).map(|_| OnceLock::new()).collect(),
            used: AtomicUsize::new(0),
            other: StatementEntry::new(0, "_other"),
        }
    }
}

impl StatementTable {
    /// The entry of a statement, made when it is seen first.
    #[inline]
    pub(crate) fn entry(&self, fingerprint: u64, sql: &str) -> &StatementEntry {
        // Nearly always it stands where its hash points to.
        match self.slots.get(start(fingerprint)).and_then(OnceLock::get) {
            Some(entry) if entry.fingerprint == fingerprint => entry,
            _ => self.find(fingerprint, sql),
        }
    }

    fn find(&self, fingerprint: u64, sql: &str) -> &StatementEntry {
        let start = start(fingerprint);
        let (before, from) = self.slots.split_at_checked(start).unwrap_or_default();
        for slot in from.iter().chain(before) {
            let entry = match slot.get() {
                Some(entry) => entry,
                None if self.used.load(Ordering::Relaxed) >= STATEMENTS_MAX => break,
                None => slot.get_or_init(|| self.first(fingerprint, sql)),
            };
            if entry.fingerprint == fingerprint {
                return entry;
            }
        }
        &self.other
    }

    #[cold]
    fn first(&self, fingerprint: u64, sql: &str) -> Box<StatementEntry> {
        self.used.fetch_add(1, Ordering::Relaxed);
        Box::new(StatementEntry::new(fingerprint, &shown(sql)))
    }

    /// All entries, that of the others last.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &StatementEntry> {
        let slots = self.slots.iter().filter_map(OnceLock::get);
        slots.map(AsRef::as_ref).chain([&self.other])
    }
}

impl StatementEntry {
    fn new(fingerprint: u64, text: &str) -> Self {
        Self {
            fingerprint,
            text: text.into(),
            duration: Histogram::new(),
            errors: AtomicU64::new(0),
            rows: AtomicU64::new(0),
            queue: AtomicU64::new(0),
            decode: AtomicU64::new(0),
        }
    }

    pub(crate) fn reset(&self) {
        self.duration.reset();
        for counter in [&self.errors, &self.rows, &self.queue, &self.decode] {
            counter.store(0, Ordering::Relaxed);
        }
    }
}

/// Where the search for a statement begins.
#[expect(
    clippy::cast_possible_truncation,
    reason = "any part of the hash will do"
)]
fn start(fingerprint: u64) -> usize {
    fingerprint as usize % SLOTS
}

/// Adds a duration to a sum in nanoseconds; zero costs nothing.
pub(super) fn add(sum: &AtomicU64, duration: Duration) {
    if duration > Duration::ZERO {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        sum.fetch_add(nanoseconds, Ordering::Relaxed);
    }
}

fn shown(sql: &str) -> String {
    let mut text = scan::masked(sql);
    if text.len() > TEXT_MAX {
        let end = (0..=TEXT_MAX).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or(0));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::{STATEMENTS_MAX, StatementTable, TEXT_MAX, shown};

    #[test]
    fn a_statement_has_one_entry_however_its_hash_collides() {
        let table = StatementTable::default();
        // The same start for all.
        for number in 0..20_u64 {
            let entry = table.entry(number << 32, "select 1");
            entry.rows.fetch_add(number + 1, Ordering::Relaxed);
        }
        for number in 0..20_u64 {
            let entry = table.entry(number << 32, "select 1");
            assert_eq!(entry.rows.load(Ordering::Relaxed), number + 1);
        }
        assert_eq!(table.entries().count(), 21);
    }

    #[test]
    fn what_comes_after_the_most_is_counted_together() {
        let table = StatementTable::default();
        for number in 0..STATEMENTS_MAX as u64 + 7 {
            table
                .entry(number * 31, "select $1")
                .errors
                .fetch_add(1, Ordering::Relaxed);
        }
        let entries: Vec<_> = table.entries().collect();
        assert_eq!(entries.len(), STATEMENTS_MAX + 1);
        let other = entries.last().unwrap();
        assert_eq!(&*other.text, "_other");
        assert_eq!(other.errors.load(Ordering::Relaxed), 7);
    }

    #[test]
    fn a_text_is_kept_without_values_and_cut() {
        assert_eq!(shown("select 'canary'"), "select ?");
        let long = format!("select {}", "ä, ".repeat(TEXT_MAX));
        assert!(shown(&long).len() <= TEXT_MAX + '…'.len_utf8());
    }
}
