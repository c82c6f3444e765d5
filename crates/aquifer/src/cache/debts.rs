use std::sync::atomic::{AtomicU64, Ordering};

/// Changes that Redis was not told of. While there are some, nothing that is stored there can be
/// believed; a new stamp of the namespace makes up for all of them.
#[derive(Debug, Default)]
pub(super) struct Debts {
    made: AtomicU64,
    paid: AtomicU64,
}

impl Debts {
    /// Returns whether it is the first.
    pub(super) fn add(&self) -> bool {
        let before = self.made.fetch_add(1, Ordering::AcqRel);
        before == self.paid.load(Ordering::Acquire)
    }

    /// How many were made, if some are not paid.
    pub(super) fn due(&self) -> Option<u64> {
        let made = self.made.load(Ordering::Acquire);
        (made != self.paid.load(Ordering::Acquire)).then_some(made)
    }

    /// All of the first so many are made up for.
    pub(super) fn pay(&self, made: u64) {
        self.paid.fetch_max(made, Ordering::AcqRel);
    }
}
