//! Whether calls may go to a host at present.
//!
//! A host that fails most calls gets none for a while: callers are told at once instead of each
//! finding out for itself, and the host has time to recover. One [`Breaker`] stands before each way
//! to a host. Its states:
//!
//! - *Closed*: every call may be made. → *Open* when of the calls of the last ten seconds too many
//!   failed or were slow, or when several in a row met no host at all.
//! - *Open*: no call may be made; each opening without a rest between lasts twice as long as the one
//!   before. → *Half-open* when a probe was answered. Users' calls are not spent on finding out.
//! - *Half-open*: one call at a time; after it succeeded three; after those succeeded → *Closed*.
//!   One that fails → *Open*.
//! - *Forced open* and *Disabled*: an operator's word, until the operator takes it back.
//!
//! Only the host's faults count ([`fault`]): a statement that violates a constraint was answered.
//! What a call is slow against is what calls usually take there, and that is learned.
//!
//! The last host is never taken away: who has no other is held back rather than refused, for as long
//! as waiting may help ([`Breaker::permit_of_last`]), and any answer that it gets half-opens the
//! breaker, whatever is left of the wait.
//!
//! While it is closed a call costs some atomic reads and one addition, and no lock; all else is
//! behind one. Invariants, which the tests try in all sequences up to a length and in random ones:
//! no more calls than places are under way in the half-open state, except one each second for those
//! that do not come back; a permit of an earlier state changes nothing in a later one; from every
//! state but the operator's, probes alone lead back to *Closed*.
//!
//! ```
//! use std::time::{Duration, Instant};
//! use aquifer_core::breaker::{Breaker, Fault, Limits, Outcome, State};
//!
//! let now = Instant::now();
//! let breaker = Breaker::new(Limits::default(), 7, now);
//! for _ in 0..3 {
//!     let permit = Breaker::permit(&breaker, now).expect("it is closed");
//!     permit.record(Outcome::Failed(Fault::Cut), now);
//! }
//! let refused = Breaker::permit(&breaker, now).expect_err("it is open");
//! assert!(refused.retry_after <= Some(Duration::from_millis(500)));
//! breaker.probed(true, now);
//! assert_eq!(breaker.state(), State::HalfOpen);
//! ```

mod fault;
mod limits;
mod machine;
mod report;
mod window;

use std::fmt;
use std::ops::Deref;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub use self::fault::{Fault, fault};
pub use self::limits::Limits;
use self::machine::Machine;
pub use self::report::{Change, Reason, Refused, Snapshot, State};
use self::window::{Usual, Window};

#[cfg(test)]
mod tests;

/// What an operator may say to a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a caller must tell them all apart")]
pub enum Order {
    /// Let nothing through until further notice, whatever becomes of it.
    ForceOpen,
    /// Let everything through until further notice, whatever becomes of it.
    Disable,
    /// Go by what happens, from now on and without a past.
    Reset,
}

/// How a call ended, as far as it concerns the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a caller must tell them all apart")]
pub enum Outcome {
    /// The host answered, be it that it refuses the statement.
    Answered,
    /// The host answered after this time, to a call of which all others are like.
    AnsweredIn(Duration),
    /// The host is at fault.
    Failed(Fault),
}

/// Decides whether calls may go to a host at present. Shared by all who call it.
#[derive(Debug)]
pub struct Breaker {
    /// The state, and how many changes there were before: see [`Gate`].
    gate: AtomicU64,
    window: Window,
    usual: Usual,
    /// Calls and probes in a row that met no host.
    cuts: AtomicU32,
    refused: AtomicU64,
    limits: Limits,
    machine: Mutex<Machine>,
}

/// The state and the number of changes before it, in one word: what was permitted under one gate is
/// told from all that was permitted under others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Gate(u64);

impl Gate {
    const STATE_BITS: u32 = 3;

    /// The gate after this one.
    fn next(self, state: State) -> Self {
        let changes = (self.0 >> Self::STATE_BITS) + 1;
        Self(changes << Self::STATE_BITS | state as u64)
    }

    fn is(self, state: State) -> bool {
        self.0 & ((1 << Self::STATE_BITS) - 1) == state as u64
    }
}

impl Breaker {
    /// A closed breaker. `seed` is any number that differs between breakers, for the waits.
    #[must_use]
    pub fn new(limits: Limits, seed: u64, now: Instant) -> Self {
        let machine = Machine::new(limits, seed, now);
        let gate = Gate(0).next(machine.state());
        Self {
            gate: AtomicU64::new(gate.0),
            window: Window::new(now),
            usual: Usual::default(),
            cuts: AtomicU32::new(0),
            refused: AtomicU64::new(0),
            limits,
            machine: Mutex::new(machine),
        }
    }

    /// The right to make one call, for who could also call another host. `breaker` is a reference, or
    /// an `Arc` where the permit outlives the borrow.
    ///
    /// # Errors
    /// When it is open, or half-open with enough calls under way.
    #[inline]
    pub fn permit<B: Deref<Target = Self>>(breaker: B, now: Instant) -> Result<Permit<B>, Refused> {
        Self::admit(breaker, None, now).map_err(|(_breaker, refused)| refused)
    }

    /// The right to make one call, for who has no other host to call.
    ///
    /// It is refused only after the breaker has not been closed for `patience`: a caller who would
    /// wait that long for a connection waits for that of an outage which is younger, and is told at
    /// once of one which has outlasted others like it.
    ///
    /// # Errors
    /// When it has been open for `patience`, or an operator opened it.
    #[inline]
    pub fn permit_of_last<B: Deref<Target = Self>>(
        breaker: B,
        patience: Duration,
        now: Instant,
    ) -> Result<Permit<B>, Refused> {
        Self::permit_of_last_or_back(breaker, patience, now).map_err(|(_breaker, refused)| refused)
    }

    /// As [`permit_of_last`](Self::permit_of_last), for who needs `breaker` back with a refusal.
    ///
    /// # Errors
    /// As there.
    #[inline]
    pub fn permit_of_last_or_back<B: Deref<Target = Self>>(
        breaker: B,
        patience: Duration,
        now: Instant,
    ) -> Result<Permit<B>, (B, Refused)> {
        Self::admit(breaker, Some(patience), now)
    }

    #[inline]
    fn admit<B: Deref<Target = Self>>(
        breaker: B,
        patience: Option<Duration>,
        now: Instant,
    ) -> Result<Permit<B>, (B, Refused)> {
        let gate = breaker.gate();
        let (gate, has_place) = if gate.is(State::Closed) {
            (gate, false)
        } else {
            match breaker.admit_guarded(patience, now) {
                Ok(admitted) => admitted,
                Err(refused) => return Err((breaker, refused)),
            }
        };
        Ok(Permit {
            breaker,
            gate,
            has_place,
        })
    }

    #[cold]
    fn admit_guarded(
        &self,
        patience: Option<Duration>,
        now: Instant,
    ) -> Result<(Gate, bool), Refused> {
        let mut machine = self.machine();
        let admitted = machine.admit(patience, now);
        if admitted.is_err() {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        admitted.map(|has_place| (self.gate(), has_place))
    }

    /// Whether a call might be permitted now; takes no place, so that a router can ask all hosts.
    #[must_use]
    #[inline]
    pub fn allows(&self, now: Instant) -> bool {
        self.gate().is(State::Closed) || self.machine().may_admit(now)
    }

    /// Whether it waits for a probe, and long enough has passed since the last one.
    #[must_use]
    pub fn probe_due(&self, now: Instant) -> bool {
        !self.gate().is(State::Closed) && self.machine().probe_due(now)
    }

    /// A probe was answered, or failed by the host's fault; so was or did the opening of a connection.
    pub fn probed(&self, answered: bool, now: Instant) -> Option<Change> {
        let gate = self.gate();
        if !gate.is(State::Closed) {
            return self.change(|machine| machine.probed(answered, now), now);
        }
        if answered {
            self.met_host();
            return None;
        }
        self.cut(gate, now)
    }

    /// Carries out an operator's word.
    pub fn order(&self, order: Order, now: Instant) -> Option<Change> {
        let change = self.change(|machine| machine.order(order, now), now);
        if order == Order::Reset {
            self.forget(now);
        }
        change
    }

    /// What it lets through.
    #[must_use]
    pub fn state(&self) -> State {
        self.machine().state()
    }

    /// How it stands.
    #[must_use]
    pub fn snapshot(&self, now: Instant) -> Snapshot {
        let machine = self.machine();
        let counts = self.window.counts(now);
        Snapshot {
            state: machine.state(),
            reason: machine.reason(),
            state_for: machine.state_for(now),
            calls: counts.calls,
            failures: counts.failures,
            slow: counts.slow,
            refused: self.refused.load(Ordering::Relaxed),
            openings: machine.openings(),
            usual: self.usual.get(),
            retry_after: machine.retry_after(now),
        }
    }

    #[inline]
    fn record(
        &self,
        gate: Gate,
        has_place: bool,
        outcome: Outcome,
        now: Instant,
    ) -> Option<Change> {
        // What nearly every call comes to stands apart, so that it is done in place.
        match outcome {
            Outcome::AnsweredIn(elapsed)
                if gate.is(State::Closed)
                    && self.gate() == gate
                    && elapsed <= self.limits.slow_min =>
            {
                self.answered_in(elapsed, now);
                None
            }
            outcome => self.record_any(gate, has_place, outcome, now),
        }
    }

    fn record_any(
        &self,
        gate: Gate,
        has_place: bool,
        outcome: Outcome,
        now: Instant,
    ) -> Option<Change> {
        if !gate.is(State::Closed) {
            return self.record_guarded(gate, has_place, outcome, now);
        }
        if self.gate() != gate {
            return None;
        }
        match outcome {
            Outcome::Answered => {
                self.window.add_answer(now);
                self.met_host();
                None
            }
            Outcome::AnsweredIn(elapsed) if self.is_slow(elapsed) => {
                self.met_host();
                self.slow(gate, now)
            }
            Outcome::AnsweredIn(elapsed) => {
                self.answered_in(elapsed, now);
                None
            }
            Outcome::Failed(fault) => self.failed(gate, fault, now),
        }
    }

    #[inline]
    fn answered_in(&self, elapsed: Duration, now: Instant) {
        if self.window.add_answer(now) {
            self.usual.learn(elapsed);
        }
        self.met_host();
    }

    /// A call ended that was made while the breaker was not closed.
    #[cold]
    fn record_guarded(
        &self,
        gate: Gate,
        has_place: bool,
        outcome: Outcome,
        now: Instant,
    ) -> Option<Change> {
        let answered = !matches!(outcome, Outcome::Failed(_));
        let record = |machine: &mut Machine| {
            // Else it was made under an earlier state, of which nothing is left.
            if self.gate() == gate {
                machine.record(has_place, answered, now);
            }
        };
        self.change(record, now)
    }

    fn give_back(&self, gate: Gate) {
        let mut machine = self.machine();
        if self.gate() == gate {
            machine.give_back();
        }
    }

    #[cold]
    fn failed(&self, gate: Gate, fault: Fault, now: Instant) -> Option<Change> {
        self.window.add_failure(now);
        let changed = match fault {
            Fault::Cut => self.cut(gate, now),
            Fault::Silent => None,
            Fault::Ill => {
                self.met_host();
                None
            }
        };
        if changed.is_some() {
            return changed;
        }
        let (counts, limits) = (self.window.counts(now), &self.limits);
        let (failed, calls) = (counts.failures, counts.calls);
        let reason = Reason::Failures { failed, calls };
        limits
            .is_reached(limits.failure_percent, failed, calls)
            .then(|| self.open(gate, reason, now))?
    }

    #[cold]
    fn slow(&self, gate: Gate, now: Instant) -> Option<Change> {
        self.window.add_slow(now);
        let (counts, limits) = (self.window.counts(now), &self.limits);
        let (slow, calls, limit) = (counts.slow, counts.calls, self.slow_limit()?);
        let reason = Reason::Slow { slow, calls, limit };
        limits
            .is_reached(limits.slow_percent, slow, calls)
            .then(|| self.open(gate, reason, now))?
    }

    /// A call or a probe met no host.
    fn cut(&self, gate: Gate, now: Instant) -> Option<Change> {
        let cuts = self.cuts.fetch_add(1, Ordering::Relaxed) + 1;
        if cuts < self.limits.cuts_max {
            return None;
        }
        self.open(gate, Reason::Cuts(cuts), now)
    }

    #[inline]
    fn met_host(&self) {
        // Looked at first: what all callers write, all callers wait for.
        if self.cuts.load(Ordering::Relaxed) != 0 {
            self.cuts.store(0, Ordering::Relaxed);
        }
    }

    fn is_slow(&self, elapsed: Duration) -> bool {
        elapsed > self.limits.slow_min && self.slow_limit().is_some_and(|limit| elapsed > limit)
    }

    /// `None` while nobody knows what is usual.
    fn slow_limit(&self) -> Option<Duration> {
        let limit = self.usual.get()?.saturating_mul(self.limits.slow_factor);
        Some(limit.max(self.limits.slow_min))
    }

    fn open(&self, gate: Gate, reason: Reason, now: Instant) -> Option<Change> {
        let open = |machine: &mut Machine| {
            // Else somebody was quicker.
            if self.gate() == gate {
                machine.open(reason, now);
            }
        };
        self.change(open, now)
    }

    /// Lets something happen to the state, and lets all callers see what it became.
    fn change(&self, happen: impl FnOnce(&mut Machine), now: Instant) -> Option<Change> {
        let mut machine = self.machine();
        let from = machine.state();
        let was_slow = machine.opened_as_slow();
        happen(&mut machine);
        let to = machine.state();
        if from == to {
            return None;
        }
        if to == State::Closed {
            self.forget(now);
            if was_slow {
                // What it takes now is what it takes: nothing must stay closed to callers for that.
                self.usual.forget();
            }
        }
        self.gate.store(self.gate().next(to).0, Ordering::Release);
        let reason = machine.reason();
        Some(Change { from, to, reason })
    }

    /// Forgets what calls came to.
    fn forget(&self, now: Instant) {
        self.window.clear(now);
        self.cuts.store(0, Ordering::Relaxed);
    }

    #[inline]
    fn gate(&self) -> Gate {
        Gate(self.gate.load(Ordering::Acquire))
    }

    fn machine(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to make one call. Recorded once; dropped without that, it is given back and counts for
/// nothing, as the call of a user who went away should.
#[must_use]
pub struct Permit<B: Deref<Target = Breaker>> {
    breaker: B,
    gate: Gate,
    /// It takes one of the places of the half-open state.
    has_place: bool,
}

impl<B: Deref<Target = Breaker>> Permit<B> {
    /// What it was asked of.
    pub fn breaker(&self) -> &B {
        &self.breaker
    }

    /// Tells how the call ended; hands back the change of state that follows from it, if one does.
    #[inline]
    pub fn record(self, outcome: Outcome, now: Instant) -> Option<Change> {
        let mut changed = None;
        self.record_and(outcome, now, |_breaker, change| changed = Some(change));
        changed
    }

    /// As [`record`](Self::record), but hands a change of state to `tell`, with the breaker.
    #[inline]
    pub fn record_and(mut self, outcome: Outcome, now: Instant, tell: impl FnOnce(&B, Change)) {
        let has_place = std::mem::take(&mut self.has_place);
        if let Some(change) = self.breaker.record(self.gate, has_place, outcome, now) {
            tell(&self.breaker, change);
        }
    }
}

impl<B: Deref<Target = Breaker>> Drop for Permit<B> {
    #[inline]
    fn drop(&mut self) {
        if self.has_place {
            self.breaker.give_back(self.gate);
        }
    }
}

impl<B: Deref<Target = Breaker>> fmt::Debug for Permit<B> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Permit")
            .field("has_place", &self.has_place)
            .finish_non_exhaustive()
    }
}
