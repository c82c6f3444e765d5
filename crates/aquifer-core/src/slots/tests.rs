//! Every state that can be reached with few connections and callers, and every step from each.

use std::collections::{BTreeSet, VecDeque};

use super::*;

const SPAN: Span = Span {
    lifetime: Duration::from_secs(1000),
    keepalive: Duration::from_secs(500),
};

/// Longer than any wait that is predicted here.
const LEFT: Duration = Duration::from_secs(3600 * 24);

fn limits(capacity: usize) -> Limits {
    let mut limits = Limits::new(capacity, 2);
    limits.minimum = 1;
    // One short tick is no idleness, two are.
    limits.check_after = Duration::from_millis(100);
    limits
}

/// All that callers, the opener, upkeep and time can do.
#[derive(Clone, Copy, Debug)]
enum Step {
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

const STEPS: [Step; 23] = [
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
    Step::Pause,
    Step::Resume,
    Step::Close,
    Step::ShortTick,
    Step::Interval,
    Step::Lifetime,
];

#[derive(Clone)]
struct World {
    slots: Slots<u32, u32>,
    start: Instant,
    now: Instant,
    next: u32,
    permits: Vec<(Permit, u32)>,
    openings: Vec<Opening>,
    /// Who should be waiting, in order.
    line: Vec<(u32, Ticket)>,
    capacity: usize,
}

impl World {
    fn new(capacity: usize) -> Self {
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

    fn claimed(&mut self, claimed: Claimed<u32>) {
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

    fn shed(&mut self, shed: Shed<u32>) {
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

    fn checkout(&mut self) {
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
            Step::Open => self.openings.extend(self.slots.open()),
            Step::OpenAhead => self.openings.extend(self.slots.open_ahead()),
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

    fn step(&mut self, step: Step) {
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

    fn assert_sound(&self) {
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
    fn shape(&self) -> String {
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
        let opening: Vec<_> = opening.map(|g| g < self.slots.generation).collect();
        let mut queue = self.slots.queue.clone();
        let waits: Vec<_> = std::iter::from_fn(|| queue.pop())
            .map(|(_, since)| (self.now - since).min(Duration::from_millis(101)))
            .collect();
        let codel = self.slots.codel.shape(self.now);
        let (state, capacity) = (self.slots.state, self.slots.limits.capacity);
        format!("{state:?} {capacity} {idle:?} {used:?} {opening:?} {waits:?} {codel:?}")
    }
}

#[test]
fn no_step_from_any_reachable_state_breaks_the_accounting() {
    for capacity in 1..=2 {
        let first = World::new(capacity);
        let mut seen = BTreeSet::from([first.shape()]);
        let mut next = VecDeque::from([first]);
        while let Some(world) = next.pop_front() {
            for step in STEPS {
                let mut world = world.clone();
                world.step(step);
                world.assert_sound();
                // After some lifetimes nothing is new any more.
                let recent = world.now - world.start < Duration::from_secs(2500);
                if recent && seen.insert(world.shape()) {
                    next.push_back(world);
                }
            }
        }
        assert!(
            seen.len() > 1000,
            "only {} states: was it tried?",
            seen.len()
        );
    }
}

/// A pool with one connection, which is in use.
fn busy(capacity: usize) -> World {
    let mut world = World::new(capacity);
    for step in [Step::OpenAhead, Step::Opened, Step::Checkout] {
        world.step(step);
    }
    assert_eq!(world.permits.len(), 1);
    world
}

#[test]
fn a_connection_released_after_close_is_handed_back_to_be_closed() {
    let mut world = busy(1);
    let ticket = world.slots.wait(1, LEFT, world.now).expect("room for two");
    world.slots.wait(2, LEFT, world.now).expect("room for two");
    assert_eq!(world.slots.wait(3, LEFT, world.now), Err(Refusal::Full));
    assert_eq!(world.slots.close(), (vec![], vec![1, 2]));
    assert_eq!(world.slots.leave(ticket, world.now), None);
    let (permit, connection) = world.permits.pop().expect("it is in use");
    let (placed, _) = world.slots.release(permit, connection, world.now);
    assert!(matches!(placed, Placed::Surplus(_)), "{placed:?}");
    assert_eq!(world.slots.counts().in_use, 0);
    assert_eq!(world.slots.wait(3, LEFT, world.now), Err(Refusal::Closed));
}

#[test]
fn who_comes_with_less_time_than_the_wait_will_take_is_refused_at_once() {
    let mut world = busy(1);
    world.slots.limits.waiters_max = 100;
    for number in 0..50 {
        world.slots.wait(number, LEFT, world.now).expect("room");
    }
    for _ in 0..20 {
        world.now += Duration::from_millis(10);
        let (permit, connection) = world.permits.pop().expect("it is in use");
        match world.slots.release(permit, connection, world.now) {
            (Placed::HandedOver(_, claimed), shed) if shed.is_empty() => world.claimed(claimed),
            other => panic!("{other:?}"),
        }
    }
    let soon = Duration::from_millis(250);
    let refused = world.slots.wait(100, soon, world.now);
    assert_eq!(
        refused,
        Err(Refusal::Late(Duration::from_millis(310))),
        "thirty wait, 10 ms each"
    );
    assert_eq!(world.slots.counts().waiting, 30);
    let late = Duration::from_millis(400);
    assert!(world.slots.wait(100, late, world.now).is_ok());
}

#[test]
fn a_standing_queue_is_shortened_to_those_who_came_lately() {
    let mut world = busy(1);
    world.slots.limits.waiters_max = usize::MAX;
    let (mut served, mut refused) = (0, 0);
    let mut longest = Duration::ZERO;
    // Three come in the time in which one is served, for five intervals.
    for turn in 0..1000_u32 {
        world.now += Duration::from_millis(10);
        for _ in 0..3 {
            world.checkout();
        }
        let (permit, connection) = world.permits.pop().expect("it is in use");
        let (placed, shed) = world.slots.release(permit, connection, world.now);
        refused += shed.len();
        world.shed(shed);
        let Placed::HandedOver(waiter, claimed) = placed else {
            panic!("{placed:?}");
        };
        served += 1;
        world.line.remove(0);
        world.claimed(claimed);
        if turn >= 500 {
            // Three come in 10 ms, in the order of their numbers.
            let came = (waiter - 2) / 3;
            longest = longest.max(Duration::from_millis(10) * (turn - came));
        }
    }
    assert_eq!(served, 1000, "each turn serves somebody");
    assert!(refused > 1500, "{refused}");
    assert!(longest <= Duration::from_millis(130), "{longest:?}");
    assert!(world.line.len() < 40, "{}", world.line.len());
}

#[test]
fn a_pool_without_any_connection_refuses_nobody_for_waiting() {
    let mut world = World::new(2);
    world.step(Step::Checkout);
    for _ in 0..10 {
        for step in [Step::Interval, Step::Poll] {
            world.step(step);
        }
        assert_eq!(world.line.len(), 1);
    }
    for step in [Step::Open, Step::Opened] {
        world.step(step);
    }
    assert_eq!(world.permits.len(), 1, "it was worth waiting");
}

#[test]
fn all_that_seem_too_old_at_once_go_one_at_a_time_and_not_below_the_minimum() {
    let mut world = World::new(3);
    world.slots.limits.minimum = 2;
    for _ in 0..3 {
        world.slots.limits.minimum += 1;
        for step in [Step::OpenAhead, Step::Opened] {
            world.step(step);
        }
    }
    world.slots.limits.minimum = 2;
    assert_eq!(world.slots.counts().idle, 3);
    assert!(world.slots.expire(world.now).is_none());
    world.now += Duration::from_secs(600);
    assert_eq!(
        world.slots.due(world.now).map(|due| due <= world.now),
        Some(true)
    );
    assert!(world.slots.expire(world.now).is_some());
    assert!(world.slots.expire(world.now).is_none(), "two are kept");
    world.now += Duration::from_secs(400);
    assert!(
        world.slots.expire(world.now).is_some(),
        "a lifetime ends for all"
    );
}
