//! Places that shared lanes do not need, lent to those who wait for an exclusive connection.
//!
//! Lanes and exclusive connections share one maximum. While nobody reads on the lanes and callers
//! queue for connections of their own, a lane's place is worth more there: more writes commit at
//! once, and a commit of several costs the disk one wait. A lane's place is lent after that lane was
//! closed, and a lane is opened again only after the place was [given back](Slots::give_back) and is
//! [free](Slots::has_room), so both together never exceed the maximum.

use std::time::{Duration, Instant};

use super::{Slots, State};

/// How often it is looked what is needed where.
pub const LOOK: Duration = Duration::from_millis(100);

/// Lanes with fewer reads in one look are not needed, but for one of them.
const QUIET: usize = 10;

/// Lanes with more reads in one look are needed.
const BUSY: usize = 50;

/// With fewer connections handed to waiters in one look the queue stands, for some are held for long:
/// one more would be held as well.
const MOVING: usize = 10;

/// Looks before a place is lent.
const LOOKS_MIN: u32 = 2;

/// A lent place for which nobody has waited for so long goes back.
const UNUSED: Duration = Duration::from_secs(5);

/// What was seen at one look; both numbers count up from the beginning.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::exhaustive_structs,
    reason = "whoever looks must see all of it"
)]
pub struct Seen {
    /// Reads that were answered on the lanes.
    pub reads: usize,
    /// Connections that were handed to somebody who waited.
    pub handed_over: usize,
    /// Somebody waits.
    pub waiting: bool,
}

/// What follows from a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "each must be carried out")]
pub enum Advice {
    /// All is well.
    Keep,
    /// One lane's place would be worth more to those who wait.
    Lend,
    /// The lanes want their places back, or nobody waits any more.
    GiveBack,
}

/// Decides when places are lent, and when they go back.
#[derive(Clone, Copy, Debug)]
pub struct Lending {
    looked_at: Instant,
    reads: usize,
    handed_over: usize,
    /// Looks in a row at which a place would have been worth more elsewhere.
    wanted: u32,
    /// When somebody was seen waiting last.
    waited_at: Instant,
}

impl Lending {
    /// Nothing was seen yet.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            looked_at: now,
            reads: 0,
            handed_over: 0,
            wanted: 0,
            waited_at: now,
        }
    }

    /// Takes a look, unless the last one was less than [`LOOK`] before.
    pub fn look(&mut self, seen: Seen, now: Instant) -> Advice {
        if now.saturating_duration_since(self.looked_at) < LOOK {
            return Advice::Keep;
        }
        // A lane that was closed takes its count along.
        let reads = seen.reads.saturating_sub(self.reads);
        let handed_over = seen.handed_over.saturating_sub(self.handed_over);
        self.looked_at = now;
        self.reads = seen.reads;
        self.handed_over = seen.handed_over;
        if seen.waiting {
            self.waited_at = now;
        }
        let wanted = seen.waiting && handed_over >= MOVING && reads < QUIET;
        self.wanted = if wanted { self.wanted + 1 } else { 0 };
        if self.wanted >= LOOKS_MIN {
            self.wanted = 0;
            return Advice::Lend;
        }
        let unused = now.saturating_duration_since(self.waited_at) >= UNUSED;
        if reads > BUSY || unused {
            return Advice::GiveBack;
        }
        Advice::Keep
    }
}

impl<C, W> Slots<C, W> {
    /// A lane was closed: its place is for one connection more. Whether it was taken.
    pub fn lend(&mut self) -> bool {
        let open = self.state == State::Open;
        if open {
            self.lent += 1;
            self.limits.capacity += 1;
        }
        open
    }

    /// Gives a lent place back, if there is one: hands back the connection that is to be closed for
    /// it, if one is idle; else one in use is closed as it comes back, and until then there is no
    /// [room](Self::has_room).
    pub fn give_back(&mut self) -> Option<Vec<C>> {
        self.lent = self.lent.checked_sub(1)?;
        self.limits.capacity -= 1;
        Some(self.close_excess())
    }

    /// Whether there are no more connections than there may be, so that what was given back is free.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.total() <= self.limits.capacity
    }

    /// Connections that were handed to somebody who waited, so far.
    #[must_use]
    pub fn handed_over(&self) -> usize {
        self.handed_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is advised at looks that see so many more reads and hand-overs each.
    fn advised(looks: usize, reads: usize, handed_over: usize, waiting: bool) -> Vec<Advice> {
        let start = Instant::now();
        let mut lending = Lending::new(start);
        let mut now = start;
        (1..=looks)
            .map(|look| {
                now += LOOK;
                let seen = Seen {
                    reads: reads * look,
                    handed_over: handed_over * look,
                    waiting,
                };
                lending.look(seen, now)
            })
            .collect()
    }

    #[test]
    fn a_place_is_lent_while_callers_queue_and_nobody_reads() {
        use Advice::{Keep, Lend};
        assert_eq!(advised(4, 0, 500, true), [Keep, Lend, Keep, Lend]);
        assert_eq!(advised(4, 20, 500, true), [Keep; 4], "somebody reads");
        assert_eq!(advised(4, 0, 500, false), [Keep; 4], "nobody waits");
        assert_eq!(advised(4, 0, 1, true), [Keep; 4], "all are held for long");
    }

    #[test]
    fn a_place_goes_back_when_lanes_are_busy_or_nobody_has_waited_for_long() {
        assert_eq!(advised(2, 1_000, 500, true), [Advice::GiveBack; 2]);
        let idle = advised(100, 0, 0, false);
        assert!(idle[..49].iter().all(|advice| *advice == Advice::Keep));
        assert!(idle[49..].iter().all(|advice| *advice == Advice::GiveBack));
    }

    #[test]
    fn looking_more_often_changes_nothing() {
        let start = Instant::now();
        let mut lending = Lending::new(start);
        for look in 0..99 {
            let seen = Seen {
                reads: look * 1_000,
                handed_over: look * 100,
                waiting: true,
            };
            let now = start + Duration::from_millis(1) * u32::try_from(look).unwrap_or(0);
            assert_eq!(lending.look(seen, now), Advice::Keep);
        }
    }
}
