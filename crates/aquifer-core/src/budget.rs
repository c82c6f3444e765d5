//! Whether callers together can afford another attempt.
//!
//! Retries help against single failures and do harm when everything fails, for then they multiply
//! the load. So all callers of a host share one [`Budget`]: every first attempt pays in a share of
//! a retry, every retry takes out a whole one, and both are forgotten after ten seconds. A floor
//! lets quiet services retry too. The scheme is that of Finagle's `RetryBudget`.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// For how many slots of [`SLOT`] each payments and withdrawals count.
const SLOTS: usize = 10;

/// The length of a slot.
const SLOT: Duration = Duration::from_secs(1);

/// What one retry costs; a payment is a number of hundredths of it.
const RETRY: i64 = 100;

/// A balance of retries that first attempts pay for.
///
/// Its invariant: whenever a retry is granted, the retries of the last ten seconds are at most
/// `percent` of their first attempts, plus the floor.
///
/// ```
/// use std::time::Instant;
/// use aquifer_core::budget::Budget;
///
/// let now = Instant::now();
/// let mut budget = Budget::new(20, 0, now);
/// for _ in 0..5 {
///     budget.deposit(now);
/// }
/// assert!(budget.withdraw(now));
/// assert!(!budget.withdraw(now));
/// ```
#[derive(Clone, Debug)]
pub struct Budget {
    /// What a first attempt pays.
    payment: i64,
    /// What may be overdrawn: the floor of all slots together.
    reserve: i64,
    /// When the last slot ends.
    slot_end: Instant,
    /// Payments less withdrawals, the oldest slot first.
    slots: [i64; SLOTS],
}

impl Budget {
    /// A budget of `percent` retries for each hundred first attempts, and of `floor` retries per
    /// second besides; 20 and 10 suit most.
    #[must_use]
    pub fn new(percent: u32, floor: u32, now: Instant) -> Self {
        Self {
            payment: i64::from(percent),
            reserve: i64::from(floor) * RETRY * SLOTS as i64,
            slot_end: now + SLOT,
            slots: [0; SLOTS],
        }
    }

    /// Pays for one first attempt.
    pub fn deposit(&mut self, now: Instant) {
        self.enter(self.payment, now);
    }

    /// Takes out one retry; `false` means that callers can't afford it, so it must not be made.
    #[must_use]
    pub fn withdraw(&mut self, now: Instant) -> bool {
        let granted = self.balance(now) > 0;
        if granted {
            self.enter(-RETRY, now);
        }
        granted
    }

    /// How many retries could be taken out now.
    #[must_use]
    pub fn balance(&mut self, now: Instant) -> u64 {
        self.advance(now);
        let paid = self.slots.iter().sum::<i64>();
        u64::try_from(paid.saturating_add(self.reserve) / RETRY).unwrap_or(0)
    }

    fn enter(&mut self, amount: i64, now: Instant) {
        self.advance(now);
        let [.., current] = &mut self.slots;
        *current += amount;
    }

    /// Forgets what is too old. A time before the current slot counts as in it: callers read the
    /// clock before they come here, and may overtake each other.
    fn advance(&mut self, now: Instant) {
        // A comparison only, for nearly every call: it is made before each of them.
        if now < self.slot_end {
            return;
        }
        let passed = (now - self.slot_end).as_secs() + 1;
        self.slot_end += Duration::from_secs(passed);
        let expired = usize::try_from(passed).map_or(SLOTS, |passed| passed.min(SLOTS));
        self.slots.rotate_left(expired);
        self.slots
            .iter_mut()
            .rev()
            .take(expired)
            .for_each(|slot| *slot = 0);
    }
}

/// So many payments are entered together.
const TOGETHER: u32 = 8;

/// A [`Budget`] that many callers share.
///
/// A first attempt costs one addition, and only each eighth takes the lock: so of payments that are not
/// entered yet, seven at most, some may count as of a later time than their own.
#[derive(Debug)]
pub struct SharedBudget {
    payments: AtomicU32,
    budget: Mutex<Budget>,
}

impl SharedBudget {
    /// Shares `budget`.
    #[must_use]
    pub fn new(budget: Budget) -> Self {
        Self {
            payments: AtomicU32::new(0),
            budget: Mutex::new(budget),
        }
    }

    /// Pays for one first attempt.
    #[inline]
    pub fn deposit(&self, now: Instant) {
        let payments = self.payments.fetch_add(1, Ordering::Relaxed) + 1;
        if payments.is_multiple_of(TOGETHER) {
            drop(self.enter(now));
        }
    }

    /// Takes out one retry; `false` means that callers can't afford it, so it must not be made.
    #[must_use]
    pub fn withdraw(&self, now: Instant) -> bool {
        self.enter(now).withdraw(now)
    }

    #[cold]
    fn enter(&self, now: Instant) -> MutexGuard<'_, Budget> {
        let mut budget = self.budget.lock().unwrap_or_else(PoisonError::into_inner);
        let payments = self.payments.swap(0, Ordering::Relaxed);
        let paid = budget.payment * i64::from(payments);
        budget.enter(paid, now);
        budget
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn grants(budget: &mut Budget, now: Instant) -> usize {
        (0..1000).take_while(|_| budget.withdraw(now)).count()
    }

    #[test]
    fn payments_of_many_callers_are_all_there_when_a_retry_is_asked_for() {
        let now = Instant::now();
        let shared = SharedBudget::new(Budget::new(20, 0, now));
        assert!(!shared.withdraw(now));
        for _ in 0..25 {
            shared.deposit(now);
        }
        let granted = (0..1000).take_while(|_| shared.withdraw(now)).count();
        assert_eq!(granted, 5);
    }

    #[test]
    fn five_first_attempts_pay_for_one_retry() {
        let now = Instant::now();
        let mut budget = Budget::new(20, 0, now);
        for attempts in 1..=100_u64 {
            budget.deposit(now);
            assert_eq!(budget.balance(now), attempts / 5);
        }
        assert_eq!(grants(&mut budget, now), 20);
        assert_eq!(budget.balance(now), 0);
    }

    #[test]
    fn the_floor_is_there_without_payment() {
        let now = Instant::now();
        let mut budget = Budget::new(20, 10, now);
        assert_eq!(grants(&mut budget, now), 100);
        assert!(!budget.withdraw(now + Duration::from_secs(9)));
        assert_eq!(grants(&mut budget, now + Duration::from_secs(10)), 100);
    }

    #[test]
    fn payments_expire_after_ten_seconds() {
        let start = Instant::now();
        let mut budget = Budget::new(100, 0, start);
        budget.deposit(start);
        budget.deposit(start + Duration::from_secs(5));
        assert_eq!(budget.balance(start + Duration::from_millis(9_999)), 2);
        assert_eq!(budget.balance(start + Duration::from_secs(10)), 1);
        assert_eq!(budget.balance(start + Duration::from_secs(15)), 0);
        assert_eq!(budget.balance(start + Duration::from_secs(1_000_000)), 0);
    }

    #[test]
    fn a_time_that_lies_back_counts_as_now() {
        let start = Instant::now();
        let mut budget = Budget::new(100, 0, start);
        assert_eq!(budget.balance(start + Duration::from_secs(60)), 0);
        budget.deposit(start);
        assert_eq!(budget.balance(start + Duration::from_secs(60)), 1);
    }

    proptest! {
        /// A model that keeps every event.
        #[test]
        fn retries_stay_within_share_and_floor(
            percent in 0..200_u32,
            floor in 0..4_u32,
            events in prop::collection::vec((0..1500_u64, any::<bool>()), 0..300),
        ) {
            let start = Instant::now();
            let mut budget = Budget::new(percent, floor, start);
            let mut millis = 0;
            let (mut attempts, mut retries) = (Vec::new(), Vec::new());
            for (pause, is_retry) in events {
                millis += pause;
                let now = start + Duration::from_millis(millis);
                let in_window = |seconds: &&u64| **seconds + 10 > millis / 1000;
                let paid = i64::from(percent) * attempts.iter().filter(in_window).count() as i64;
                let taken = 100 * retries.iter().filter(in_window).count() as i64;
                let affordable = paid + i64::from(floor) * 1000 - taken >= 100;
                if is_retry {
                    prop_assert_eq!(budget.withdraw(now), affordable);
                    if affordable {
                        retries.push(millis / 1000);
                    }
                } else {
                    budget.deposit(now);
                    attempts.push(millis / 1000);
                }
            }
        }
    }
}
