//! A pool of numbers, what is asked of it, and what must hold after each step.

use crate::slots::*;

pub(super) const SPAN: Span = Span {
    lifetime: Duration::from_secs(1000),
    keepalive: Duration::from_secs(500),
};

/// Longer than any wait that is predicted here.
pub(super) const LEFT: Duration = Duration::from_secs(3600 * 24);

fn limits(capacity: usize) -> Limits {
    let mut limits = Limits::new(capacity, 2);
    limits.minimum = 1;
    // One short tick is no idleness, two are.
    limits.check_after = Duration::from_millis(100);
    limits
}

/// All that callers, the opener, upkeep and time can do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Checkout,
    Release,
    Lose,
    LoseByHost,
    Answered,
    PassOn,
    Open,
    OpenAhead,
    Opened,
    OpenFailed,
    FirstLeaves,
    LastLeaves,
    Poll,
    Expire,
    Ask,
    Shrink,
    Grow,
    Lend,
    GiveBack,
    Pause,
    Resume,
    Close,
    /// More than CoDel's target, twice of it more than its limit.
    ShortTick,
    /// A whole interval of CoDel's.
    Interval,
    /// A lifetime.
    Lifetime,
}

pub(super) const STEPS: [Step; 25] = [
    Step::Checkout,
    Step::Release,
    Step::Lose,
    Step::LoseByHost,
    Step::Answered,
    Step::PassOn,
    Step::Open,
    Step::OpenAhead,
    Step::Opened,
    Step::OpenFailed,
    Step::FirstLeaves,
    Step::LastLeaves,
    Step::Poll,
    Step::Expire,
    Step::Ask,
    Step::Shrink,
    Step::Grow,
    Step::Lend,
    Step::GiveBack,
    Step::Pause,
    Step::Resume,
    Step::Close,
    Step::ShortTick,
    Step::Interval,
    Step::Lifetime,
];

#[derive(Clone)]
pub(super) struct World {
    pub(super) slots: Slots<u32, u32>,
    pub(super) start: Instant,
    pub(super) now: Instant,
    next: u32,
    pub(super) permits: Vec<(Permit, u32)>,
    openings: Vec<Opening>,
    /// Who should be waiting, in order.
    pub(super) line: Vec<(u32, Ticket)>,
    capacity: usize,
}

impl World {
    pub(super) fn new(capacity: usize) -> Self {
        let now = Instant::now();
        Self {
            slots: Slots::new(limits(capacity), now),
            start: now,
            now,
            next: 0,
            permits: Vec::new(),
            openings: Vec::new(),
            line: Vec::new(),
            capacity,
        }
    }

    pub(super) fn claimed(&mut self, claimed: Claimed<u32>) {
        let old = claimed.permit.0.generation < self.slots.generation;
        assert!(claimed.doubtful || !old, "an old one must answer first");
        self.permits.push((claimed.permit, claimed.connection));
    }

    fn take(&mut self, (placed, shed): (Placed<u32, u32>, Shed<u32>)) {
        self.shed(shed);
        match placed {
            Placed::HandedOver(waiter, claimed) => {
                assert_eq!(self.line.remove(0).0, waiter, "first come, first served");
                self.claimed(claimed);
            }
            Placed::Idle => assert!(self.line.is_empty(), "somebody waits for it"),
            Placed::Surplus(_closed) => {}
        }
    }

    pub(super) fn shed(&mut self, shed: Shed<u32>) {
        for waiter in shed {
            assert_eq!(self.line.remove(0).0, waiter, "the one who waited longest");
        }
    }

    fn leave(&mut self, index: Option<usize>) {
        if let Some(index) = index.filter(|index| *index < self.line.len()) {
            let (waiter, ticket) = self.line.remove(index);
            assert_eq!(self.slots.leave(ticket, self.now), Some(waiter));
            assert_eq!(self.slots.leave(ticket, self.now), None);
        }
    }

    pub(super) fn checkout(&mut self) {
        if let Some(claimed) = self.slots.claim(self.now) {
            assert!(self.line.is_empty(), "nobody is overtaken");
            self.claimed(claimed);
            return;
        }
        self.next += 1;
        match self.slots.wait(self.next, LEFT, self.now) {
            Ok(ticket) => self.line.push((self.next, ticket)),
            Err(Refusal::Full) => assert_eq!(self.line.len(), 2),
            Err(refusal) => assert_eq!(refusal, Refusal::Closed),
        }
    }

    /// What is done to a connection in use; it is the one given out last.
    fn step_in_use(&mut self, step: Step) {
        let Some((mut permit, connection)) = self.permits.pop() else {
            return;
        };
        match step {
            Step::Release => {
                let placed = self.slots.release(permit, connection, self.now);
                self.take(placed);
            }
            Step::PassOn => {
                let claimed = Claimed {
                    permit,
                    connection,
                    doubtful: true,
                };
                let placed = self.slots.pass_on(claimed, self.now);
                self.take(placed);
            }
            Step::Answered => {
                permit.answered(self.slots.generation());
                self.permits.push((permit, connection));
            }
            Step::LoseByHost => {
                self.slots.doubt();
                self.slots.lost(permit);
            }
            _ => self.slots.lost(permit),
        }
    }

    fn step_opening(&mut self, step: Step) {
        match step {
            Step::Open => {
                let wanted = self.line.len() > self.openings.len();
                let may_open = self.slots.may_open();
                let opening = self.slots.open();
                assert_eq!(may_open, opening.is_some());
                assert!(wanted || opening.is_none(), "nobody waits for it");
                self.openings.extend(opening);
            }
            Step::OpenAhead => {
                let minimum = self.slots.limits.minimum;
                let missing = self.slots.total() < minimum;
                let opening = self.slots.open_ahead();
                assert!(missing || opening.is_none(), "so many are not kept");
                self.openings.extend(opening);
            }
            Step::Opened => {
                if let Some(opening) = self.openings.pop() {
                    self.next += 1;
                    let placed = self.slots.opened(opening, self.next, SPAN, self.now);
                    self.take(placed);
                }
            }
            _ => {
                if let Some(opening) = self.openings.pop() {
                    self.slots.open_failed(opening);
                }
            }
        }
    }

    pub(super) fn step(&mut self, step: Step) {
        match step {
            Step::Checkout => self.checkout(),
            Step::Release | Step::PassOn | Step::Answered | Step::Lose | Step::LoseByHost => {
                self.step_in_use(step);
            }
            Step::Open | Step::OpenAhead | Step::Opened | Step::OpenFailed => {
                self.step_opening(step);
            }
            Step::FirstLeaves => self.leave(Some(0)),
            Step::LastLeaves => self.leave(self.line.len().checked_sub(1)),
            Step::Poll => {
                let shed = self.slots.poll(self.now);
                self.shed(shed);
            }
            Step::Expire => drop(self.slots.expire(self.now)),
            Step::Ask => drop(self.slots.ask(true, self.now).count()),
            Step::Shrink => drop(self.slots.resize(1)),
            Step::Grow => drop(self.slots.resize(self.capacity)),
            Step::Lend => {
                // With more places than that there is nothing new, and far more to try.
                if self.capacity == 1 && self.slots.counts().lent == 0 {
                    let open = self.slots.state == State::Open;
                    assert_eq!(self.slots.lend(), open);
                }
            }
            Step::GiveBack => {
                let lent = self.slots.counts().lent;
                let closed = self.slots.give_back();
                assert_eq!(closed.is_some(), lent > 0);
                // What could not be closed yet is in use, and keeps its place until it is back.
                let counts = self.slots.counts();
                assert!(self.slots.has_room() || counts.idle == 0, "{counts:?}");
            }
            Step::Pause => drop(self.slots.pause()),
            Step::Resume => self.slots.resume(self.now),
            Step::Close => {
                let (_idle, waiters) = self.slots.close();
                let line = std::mem::take(&mut self.line);
                assert!(line.into_iter().map(|(waiter, _)| waiter).eq(waiters));
            }
            Step::ShortTick => self.now += Duration::from_millis(60),
            Step::Interval => self.now += Duration::from_secs(2),
            Step::Lifetime => self.now += Duration::from_secs(1000),
        }
    }

    pub(super) fn assert_sound(&self) {
        let counts = self.slots.counts();
        assert!(self.slots.check(), "{counts:?}");
        assert_eq!(counts.in_use, self.permits.len());
        assert_eq!(counts.opening, self.openings.len());
        assert_eq!(counts.waiting, self.line.len());
        // Nobody waits for what will never come.
        let nothing_comes = counts.in_use + counts.opening == 0;
        if counts.waiting > 0 && nothing_comes && !counts.paused {
            let mut slots = self.slots.clone();
            assert!(slots.open().is_some(), "{counts:?}");
        }
        // Whoever waits in a queue that is served is looked at again.
        assert!(counts.waiting == 0 || self.slots.due(self.now).is_some());
    }

    /// What the next steps depend on: states that are alike in this are one.
    pub(super) fn shape(&self) -> String {
        let age = |age: &Age| {
            let idle = self.now.saturating_duration_since(age.idle_since);
            (
                age.generation < self.slots.generation,
                idle.min(Duration::from_millis(101)),
                age.is_expired(self.now),
                self.now >= age.ask_at,
                self.now >= age.idle_end(&self.slots.limits),
            )
        };
        let idle: Vec<_> = self.slots.idle.iter().map(|(a, _)| age(a)).collect();
        let used: Vec<_> = self.permits.iter().map(|(p, _)| age(&p.0)).collect();
        let opening = self.openings.iter().map(|opening| opening.generation);
        let opening: Vec<_> = opening
            .map(|g| (g < self.slots.generation, g < self.slots.paused_at))
            .collect();
        let mut queue = self.slots.queue.clone();
        let waits: Vec<_> = std::iter::from_fn(|| queue.pop())
            .map(|(_, since)| (self.now - since).min(Duration::from_millis(101)))
            .collect();
        let codel = self.slots.codel.shape(self.now);
        let (state, capacity) = (self.slots.state, self.slots.limits.capacity);
        let lent = self.slots.lent;
        format!("{state:?} {capacity} {lent} {idle:?} {used:?} {opening:?} {waits:?} {codel:?}")
    }
}
