//! Who owns which exclusive connection: pure accounting, changed only by consuming a token.
//!
//! Invariants, asserted by [`Slots::check`]:
//! - `idle + opening + in_use ≤ capacity`, unless the capacity was lowered meanwhile;
//! - nobody waits while a connection is idle.

use std::collections::VecDeque;

/// The right to use one connection. Not `Clone`: it is given back or lost exactly once.
#[must_use]
#[derive(Debug)]
pub struct Permit(());

/// The right to open one connection.
#[must_use]
#[derive(Debug)]
pub struct Opening(());

/// A connection on its way to a waiter, who may have gone away meanwhile.
#[must_use]
#[derive(Debug)]
#[non_exhaustive]
pub struct Handover<C, W> {
    /// Who waited longest.
    pub waiter: W,
    /// The right to use the connection.
    pub permit: Permit,
    /// The connection.
    pub connection: C,
}

/// The exclusive connections of one host and those who wait for one.
#[derive(Debug)]
pub struct Slots<C, W> {
    capacity: usize,
    idle: Vec<C>,
    waiters: VecDeque<W>,
    waiters_max: usize,
    opening: usize,
    in_use: usize,
    closed: bool,
}

/// How many connections there are in each state, and how many callers wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Most connections at once.
    pub capacity: usize,
    /// Open and free.
    pub idle: usize,
    /// Being opened.
    pub opening: usize,
    /// Checked out.
    pub in_use: usize,
    /// Callers in the queue.
    pub waiting: usize,
}

/// Why a caller can't wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The pool is shut down.
    Closed,
    /// The queue is full.
    Full,
}

impl<C, W> Slots<C, W> {
    /// No connections yet, at most `capacity`, at most `waiters_max` in the queue.
    #[must_use]
    pub fn new(capacity: usize, waiters_max: usize) -> Self {
        Self {
            capacity,
            idle: Vec::new(),
            waiters: VecDeque::new(),
            waiters_max,
            opening: 0,
            in_use: 0,
            closed: false,
        }
    }

    /// The connection that was used last, if one is idle.
    pub fn claim(&mut self) -> Option<(Permit, C)> {
        if self.closed {
            return None;
        }
        let connection = self.idle.pop()?;
        self.in_use += 1;
        Some((Permit(()), connection))
    }

    /// Lines up behind those who wait already.
    ///
    /// # Errors
    /// When the queue is full or the pool is closed.
    pub fn wait(&mut self, waiter: W) -> Result<(), Refusal> {
        if self.closed {
            return Err(Refusal::Closed);
        }
        if self.waiters.len() >= self.waiters_max {
            return Err(Refusal::Full);
        }
        self.waiters.push_back(waiter);
        Ok(())
    }

    /// Removes waiters that have gone away.
    pub fn retain_waiters(&mut self, waits: impl FnMut(&W) -> bool) {
        self.waiters.retain(waits);
    }

    /// The right to open a connection, if more callers wait than connections are being opened, and
    /// there is room for one.
    pub fn open(&mut self) -> Option<Opening> {
        let total = self.idle.len() + self.opening + self.in_use;
        let wanted = self.waiters.len() > self.opening;
        if self.closed || !wanted || total >= self.capacity {
            return None;
        }
        self.opening += 1;
        Some(Opening(()))
    }

    /// The right to open a connection that nobody waits for yet, for warming up.
    pub fn open_ahead(&mut self) -> Option<Opening> {
        let total = self.idle.len() + self.opening + self.in_use;
        if self.closed || total >= self.capacity {
            return None;
        }
        self.opening += 1;
        Some(Opening(()))
    }

    /// A connection was opened: it goes to the first waiter, else it is idle.
    pub fn opened(&mut self, opening: Opening, connection: C) -> Option<Handover<C, W>> {
        let Opening(()) = opening;
        self.opening -= 1;
        self.place(connection)
    }

    /// A connection could not be opened.
    pub fn open_failed(&mut self, opening: Opening) {
        let Opening(()) = opening;
        self.opening -= 1;
    }

    /// A connection is free again: it goes to the first waiter, else it is idle.
    ///
    /// When the pool is closed or has shrunk, the connection is dropped here.
    pub fn release(&mut self, permit: Permit, connection: C) -> Option<Handover<C, W>> {
        self.lost(permit);
        self.place(connection)
    }

    /// A connection in use is gone.
    pub fn lost(&mut self, permit: Permit) {
        let Permit(()) = permit;
        self.in_use -= 1;
    }

    fn place(&mut self, connection: C) -> Option<Handover<C, W>> {
        let total = self.idle.len() + self.opening + self.in_use;
        if self.closed || total >= self.capacity {
            return None;
        }
        let Some(waiter) = self.waiters.pop_front() else {
            self.idle.push(connection);
            return None;
        };
        self.in_use += 1;
        Some(Handover {
            waiter,
            permit: Permit(()),
            connection,
        })
    }

    /// No connection is given out any more; hands back the idle ones and those who wait.
    pub fn close(&mut self) -> (Vec<C>, Vec<W>) {
        self.closed = true;
        (
            std::mem::take(&mut self.idle),
            self.waiters.drain(..).collect(),
        )
    }

    /// Takes out idle connections that are no longer wanted, for example since they ended.
    pub fn take_idle(&mut self, mut unwanted: impl FnMut(&C) -> bool) -> Vec<C> {
        self.idle
            .extract_if(.., |connection| unwanted(connection))
            .collect()
    }

    /// How many there are of each.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            capacity: self.capacity,
            idle: self.idle.len(),
            opening: self.opening,
            in_use: self.in_use,
            waiting: self.waiters.len(),
        }
    }

    /// Whether the invariants hold.
    #[must_use]
    pub fn check(&self) -> bool {
        let total = self.idle.len() + self.opening + self.in_use;
        total <= self.capacity && (self.idle.is_empty() || self.waiters.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every step that a caller can take, from every state reachable in so many steps.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        Checkout,
        Release,
        Lose,
        Open,
        Opened,
        OpenFailed,
        WaiterGone,
    }

    const STEPS: [Step; 7] = [
        Step::Checkout,
        Step::Release,
        Step::Lose,
        Step::Open,
        Step::Opened,
        Step::OpenFailed,
        Step::WaiterGone,
    ];

    struct World {
        slots: Slots<u32, u32>,
        permits: Vec<(Permit, u32)>,
        openings: Vec<Opening>,
        next: u32,
        served: Vec<u32>,
    }

    impl World {
        fn new(capacity: usize) -> Self {
            let slots = Slots::new(capacity, 2);
            Self {
                slots,
                permits: Vec::new(),
                openings: Vec::new(),
                next: 0,
                served: Vec::new(),
            }
        }

        fn take(&mut self, handover: Option<Handover<u32, u32>>) {
            if let Some(Handover {
                waiter,
                permit,
                connection,
            }) = handover
            {
                self.served.push(waiter);
                self.permits.push((permit, connection));
            }
        }

        fn step(&mut self, step: Step) {
            self.next += 1;
            match step {
                Step::Checkout => match self.slots.claim() {
                    Some(claimed) => self.permits.push(claimed),
                    None => drop(self.slots.wait(self.next)),
                },
                Step::Release => {
                    if let Some((permit, connection)) = self.permits.pop() {
                        let handover = self.slots.release(permit, connection);
                        self.take(handover);
                    }
                }
                Step::Lose => {
                    if let Some((permit, _)) = self.permits.pop() {
                        self.slots.lost(permit);
                    }
                }
                Step::Open => self.openings.extend(self.slots.open()),
                Step::Opened => {
                    if let Some(opening) = self.openings.pop() {
                        let handover = self.slots.opened(opening, self.next);
                        self.take(handover);
                    }
                }
                Step::OpenFailed => {
                    if let Some(opening) = self.openings.pop() {
                        self.slots.open_failed(opening);
                    }
                }
                Step::WaiterGone => {
                    let mut first = true;
                    self.slots.retain_waiters(|_| !std::mem::take(&mut first));
                }
            }
        }
    }

    #[test]
    fn no_sequence_of_seven_steps_breaks_the_accounting() {
        for capacity in 1..=2 {
            let length = 7;
            for code in 0..STEPS.len().pow(length) {
                let mut world = World::new(capacity);
                let mut code = code;
                for _ in 0..length {
                    world.step(STEPS[code % STEPS.len()]);
                    code /= STEPS.len();
                    let counts = world.slots.counts();
                    assert!(world.slots.check(), "{counts:?}");
                    assert_eq!(counts.in_use, world.permits.len());
                    assert_eq!(counts.opening, world.openings.len());
                }
                assert!(
                    world.served.is_sorted(),
                    "waiters are served in the order they came"
                );
            }
        }
    }

    #[test]
    fn a_connection_released_after_close_is_dropped_and_counted_out() {
        let mut slots: Slots<u32, u32> = Slots::new(1, 1);
        let opening = slots.open_ahead().expect("room for one");
        assert!(slots.opened(opening, 7).is_none());
        let (permit, connection) = slots.claim().expect("one is idle");
        assert_eq!(slots.wait(1), Ok(()));
        assert_eq!(slots.wait(2), Err(Refusal::Full));
        assert_eq!(slots.close(), (vec![], vec![1]));
        assert!(slots.release(permit, connection).is_none());
        assert_eq!(
            slots.counts(),
            Counts {
                capacity: 1,
                ..Counts::default()
            }
        );
        assert_eq!(slots.wait(3), Err(Refusal::Closed));
    }
}
