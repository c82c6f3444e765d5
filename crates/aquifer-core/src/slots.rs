//! Who owns which exclusive connection, and who waits for one: pure accounting, changed only by
//! consuming a token.
//!
//! Invariants, asserted by [`Slots::check`]:
//! - `idle + opening + in_use ≤ capacity`, unless the capacity was lowered meanwhile, and then
//!   nothing is idle;
//! - nobody waits while a connection is idle;
//! - lent places are part of the capacity;
//! - nothing is idle while the pool is paused or closed, and nobody waits on a closed one.

mod age;
mod codel;
pub mod lending;
mod pace;
mod queue;
pub mod ramp;
#[cfg(test)]
mod tests;
mod upkeep;

use std::time::{Duration, Instant};

use self::age::Age;
pub use self::age::{Span, is_of_host};
use self::codel::CoDel;
use self::pace::Pace;
use self::queue::Queue;
pub use self::queue::Ticket;

/// How many connections and callers there may be, and how they are treated.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Most connections at once.
    pub capacity: usize,
    /// So many are kept though idle.
    pub minimum: usize,
    /// Most callers in the queue.
    pub waiters_max: usize,
    /// A connection that nobody used for so long is closed, down to `minimum`.
    pub idle_timeout: Duration,
    /// A connection that nobody used for longer must answer before it is used again.
    pub check_after: Duration,
    /// A shortest wait above this, over `queue_interval`, means that there is too much load.
    pub queue_target: Duration,
    /// See `queue_target`.
    pub queue_interval: Duration,
}

impl Limits {
    /// So many connections and waiters, none kept; ten minutes, half a second, 50 ms and 2 s.
    #[must_use]
    pub fn new(capacity: usize, waiters_max: usize) -> Self {
        Self {
            capacity,
            minimum: 0,
            waiters_max,
            idle_timeout: Duration::from_secs(600),
            check_after: Duration::from_millis(500),
            queue_target: Duration::from_millis(50),
            queue_interval: Duration::from_secs(2),
        }
    }
}

/// The right to use one connection. Not `Clone` (except where tests try all that can follow from one
/// state): it is given back or lost exactly once.
#[must_use]
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub struct Permit(Age);

impl Permit {
    /// The connection answered; `generation` is the pool's from before it was asked.
    pub fn answered(&mut self, generation: u64) {
        self.0.generation = self.0.generation.max(generation);
    }
}

/// The right to open one connection.
#[must_use]
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub struct Opening {
    generation: u64,
}

/// A connection for one caller.
#[must_use]
#[derive(Debug)]
#[non_exhaustive]
pub struct Claimed<C> {
    /// The right to use it.
    pub permit: Permit,
    /// The connection.
    pub connection: C,
    /// It must answer before it is used: nobody has used it for a while, or another connection to
    /// the host failed since.
    pub doubtful: bool,
}

/// Where a connection went that nobody uses any more.
#[must_use]
#[derive(Debug)]
#[expect(
    clippy::exhaustive_enums,
    reason = "whoever places one must look at each"
)]
pub enum Placed<C, W> {
    /// To the caller who waited longest, and may have gone away meanwhile.
    HandedOver(W, Claimed<C>),
    /// Nobody waits: it is idle.
    Idle,
    /// Nowhere: it is too old, or the pool has enough, or is paused or closed. It is to be closed.
    Surplus(C),
}

/// Waiters who are told that they waited in vain.
pub type Shed<W> = Vec<W>;

/// Why a caller can't wait, or waits no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "each has a text of its own")]
pub enum Refusal {
    /// The pool is shut down.
    Closed,
    /// The queue is full.
    Full,
    /// The wait, as predicted, exceeds what the caller can wait.
    Late(Duration),
    /// The queue did not empty for an interval, and the caller waited longer than most would.
    Shed,
}

/// How many connections there are in each state, and how many callers wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Most connections at once, those in lent places among them.
    pub capacity: usize,
    /// Places that lanes have lent.
    pub lent: usize,
    /// Open and free.
    pub idle: usize,
    /// Being opened.
    pub opening: usize,
    /// Checked out.
    pub in_use: usize,
    /// Callers in the queue.
    pub waiting: usize,
    /// Whether it gives out nothing at present.
    pub paused: bool,
}

/// Open → Paused → Open, and from both to Closed, where it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Open,
    Paused,
    Closed,
}

/// The exclusive connections of one host and those who wait for one.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub struct Slots<C, W> {
    limits: Limits,
    state: State,
    /// The one used last stands last, and is used next.
    idle: Vec<(Age, C)>,
    queue: Queue<W>,
    codel: CoDel,
    pace: Pace,
    opening: usize,
    in_use: usize,
    /// How many places of `limits.capacity` lanes have lent.
    lent: usize,
    /// How many connections were handed to somebody who waited.
    handed_over: usize,
    /// Raised by each failure that casts doubt on all connections there are.
    generation: u64,
    /// The generation that the last pause began: what was being opened before is not used.
    paused_at: u64,
}

impl<C, W> Slots<C, W> {
    /// No connections yet.
    #[must_use]
    pub fn new(limits: Limits, now: Instant) -> Self {
        Self {
            limits,
            state: State::Open,
            idle: Vec::new(),
            queue: Queue::new(),
            codel: CoDel::new(limits.queue_target, limits.queue_interval, now),
            pace: Pace::new(now),
            opening: 0,
            in_use: 0,
            lent: 0,
            handed_over: 0,
            generation: 0,
            paused_at: 0,
        }
    }

    /// The connection that was used last, if one is idle.
    pub fn claim(&mut self, now: Instant) -> Option<Claimed<C>> {
        let (age, connection) = self.idle.pop()?;
        self.codel.idle();
        Some(self.give(age, connection, now))
    }

    /// Lines up behind those who wait already, for at most `left`.
    ///
    /// # Errors
    /// When that is less than the predicted wait, the queue is full or the pool is closed.
    pub fn wait(&mut self, waiter: W, left: Duration, now: Instant) -> Result<Ticket, Refusal> {
        if self.state == State::Closed {
            return Err(Refusal::Closed);
        }
        if self.queue.len() >= self.limits.waiters_max {
            return Err(Refusal::Full);
        }
        if self.queue.is_empty() {
            self.pace.start(now);
        }
        // While nobody has a connection the queue waits for the server, not for its turn; and while
        // one is being opened it is about to move faster.
        if self.state == State::Open
            && self.in_use > 0
            && self.opening == 0
            && let Some(predicted) = self.pace.predicted(self.queue.len(), now)
            && predicted > left
        {
            return Err(Refusal::Late(predicted));
        }
        Ok(self.queue.push(waiter, now))
    }

    /// Gives up waiting; the waiter, unless it was served or refused before.
    pub fn leave(&mut self, ticket: Ticket, now: Instant) -> Option<W> {
        let waiter = self.queue.leave(ticket)?;
        self.pace.left(now);
        Some(waiter)
    }

    /// The right to open a connection, if more callers wait than connections are being opened, and
    /// there is room for one.
    pub fn open(&mut self) -> Option<Opening> {
        self.begin_opening(self.queue.len() > self.opening)
    }

    /// Whether [`open`](Self::open) would give the right.
    #[must_use]
    pub fn may_open(&self) -> bool {
        self.may_begin_opening(self.queue.len() > self.opening)
    }

    /// The right to open a connection that nobody waits for yet, if there are fewer than are kept.
    pub fn open_ahead(&mut self) -> Option<Opening> {
        self.begin_opening(self.total() < self.limits.minimum)
    }

    /// The right to open a connection that nobody needs, to see whether the host answers, if there is
    /// room for one and none is being opened.
    pub fn open_to_probe(&mut self) -> Option<Opening> {
        self.begin_opening(self.opening == 0)
    }

    fn may_begin_opening(&self, wanted: bool) -> bool {
        self.state == State::Open && wanted && self.total() < self.limits.capacity
    }

    fn begin_opening(&mut self, wanted: bool) -> Option<Opening> {
        if !self.may_begin_opening(wanted) {
            return None;
        }
        self.opening += 1;
        Some(Opening {
            generation: self.generation,
        })
    }

    /// A connection was opened: it goes to the first waiter, else it is idle.
    pub fn opened(
        &mut self,
        opening: Opening,
        connection: C,
        span: Span,
        now: Instant,
    ) -> (Placed<C, W>, Shed<W>) {
        let age = Age::new(span, opening.generation, now);
        self.open_failed(opening);
        if age.generation < self.paused_at {
            // It leads to where the server was before.
            return (Placed::Surplus(connection), Vec::new());
        }
        // From now on the queue moves faster.
        self.pace.start(now);
        self.place(age, connection, now)
    }

    /// A connection could not be opened.
    pub fn open_failed(&mut self, opening: Opening) {
        let Opening { generation: _ } = opening;
        self.opening -= 1;
    }

    /// A connection is free again: it goes to the first waiter, else it is idle.
    pub fn release(
        &mut self,
        permit: Permit,
        connection: C,
        now: Instant,
    ) -> (Placed<C, W>, Shed<W>) {
        let Permit(mut age) = permit;
        age.used(now);
        self.in_use -= 1;
        self.place(age, connection, now)
    }

    /// A connection that was given to a waiter who had gone goes to the next.
    pub fn pass_on(&mut self, claimed: Claimed<C>, now: Instant) -> (Placed<C, W>, Shed<W>) {
        let Permit(age) = claimed.permit;
        self.in_use -= 1;
        self.place(age, claimed.connection, now)
    }

    /// A connection in use is gone.
    pub fn lost(&mut self, permit: Permit) {
        let Permit(_) = permit;
        self.in_use -= 1;
    }

    fn place(&mut self, age: Age, connection: C, now: Instant) -> (Placed<C, W>, Shed<W>) {
        let full = self.total() >= self.limits.capacity;
        if self.state != State::Open || full || age.is_expired(now) {
            return (Placed::Surplus(connection), Vec::new());
        }
        let shed = self.shed(now);
        let Some((waiter, since)) = self.queue.pop() else {
            self.codel.idle();
            self.idle.push((age, connection));
            return (Placed::Idle, shed);
        };
        self.handed_over = self.handed_over.wrapping_add(1);
        self.codel.served(now.saturating_duration_since(since));
        self.pace.left(now);
        let claimed = self.give(age, connection, now);
        (Placed::HandedOver(waiter, claimed), shed)
    }

    fn give(&mut self, age: Age, connection: C, now: Instant) -> Claimed<C> {
        self.in_use += 1;
        Claimed {
            doubtful: age.is_doubtful(&self.limits, self.generation, now),
            permit: Permit(age),
            connection,
        }
    }

    /// Takes out who has waited for longer than a standing queue allows.
    fn shed(&mut self, now: Instant) -> Shed<W> {
        let mut shed = Vec::new();
        // While nobody waits there is no interval to judge, and its end may be long past.
        if self.queue.is_empty() {
            return shed;
        }
        self.codel.advance(now);
        let Some(wait_max) = self.codel.wait_max() else {
            return shed;
        };
        let waited = |since| now.saturating_duration_since(since);
        while self
            .queue
            .oldest()
            .is_some_and(|since| waited(since) > wait_max)
        {
            shed.extend(self.queue.pop().map(|(waiter, _since)| waiter));
            self.pace.left(now);
        }
        shed
    }

    /// The number of failures so far that cast doubt on all connections there were.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// A connection ended, or could not be opened, in a way that casts doubt on all there are: each
    /// must answer before it is used again.
    pub fn doubt(&mut self) {
        self.generation += 1;
    }

    /// Whether each connection that there is or may be opened has somebody who uses it or waits for
    /// it: whoever comes now waits until one is given back.
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        self.in_use + self.queue.len() >= self.limits.capacity
    }

    /// Those who wait, in the order of coming.
    pub fn waiters(&self) -> impl Iterator<Item = &W> {
        self.queue.waiters()
    }

    /// How many there are of each.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            capacity: self.limits.capacity,
            lent: self.lent,
            idle: self.idle.len(),
            opening: self.opening,
            in_use: self.in_use,
            waiting: self.queue.len(),
            paused: self.state == State::Paused,
        }
    }

    /// Whether the invariants hold.
    #[must_use]
    pub fn check(&self) -> bool {
        let fits = self.total() <= self.limits.capacity || self.idle.is_empty();
        let served = self.idle.is_empty() || self.queue.is_empty();
        let ended = match self.state {
            State::Open => true,
            State::Paused => self.idle.is_empty(),
            State::Closed => self.idle.is_empty() && self.queue.is_empty(),
        };
        fits && served && ended && self.lent < self.limits.capacity
    }

    fn total(&self) -> usize {
        self.idle.len() + self.opening + self.in_use
    }
}
