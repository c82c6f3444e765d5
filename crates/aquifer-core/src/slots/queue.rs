//! Those who wait, in the order of coming; who leaves costs nobody a walk through the line.

use std::collections::VecDeque;
use std::time::Instant;

/// A place in the line, for leaving it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub(super) struct Queue<W> {
    /// In the order of their tickets; a place whose waiter has left is empty.
    places: VecDeque<Place<W>>,
    waiting: usize,
    next: u64,
}

#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
struct Place<W> {
    ticket: Ticket,
    since: Instant,
    waiter: Option<W>,
}

impl<W> Queue<W> {
    pub(super) fn new() -> Self {
        Self {
            places: VecDeque::new(),
            waiting: 0,
            next: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.waiting
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    pub(super) fn push(&mut self, waiter: W, now: Instant) -> Ticket {
        self.next += 1;
        let ticket = Ticket(self.next);
        self.places.push_back(Place {
            ticket,
            since: now,
            waiter: Some(waiter),
        });
        self.waiting += 1;
        ticket
    }

    /// Who waited longest, and since when.
    pub(super) fn pop(&mut self) -> Option<(W, Instant)> {
        while let Some(place) = self.places.pop_front() {
            if let Some(waiter) = place.waiter {
                self.waiting -= 1;
                self.trim();
                return Some((waiter, place.since));
            }
        }
        None
    }

    /// In the order of their tickets.
    pub(super) fn waiters(&self) -> impl Iterator<Item = &W> {
        self.places.iter().filter_map(|place| place.waiter.as_ref())
    }

    /// Since when the first one waits.
    pub(super) fn oldest(&self) -> Option<Instant> {
        // `trim` keeps the first place taken.
        self.places.front().map(|place| place.since)
    }

    /// The waiter, unless it was served or has left before.
    pub(super) fn leave(&mut self, ticket: Ticket) -> Option<W> {
        let index = self
            .places
            .binary_search_by_key(&ticket, |place| place.ticket)
            .ok()?;
        let waiter = self.places.get_mut(index)?.waiter.take()?;
        self.waiting -= 1;
        self.trim();
        // Somebody patient in front keeps the empty places behind them: those are swept when they
        // are the most, so that each departure pays for a constant number of moves.
        if self.places.len() > 32 + 2 * self.waiting {
            self.places.retain(|place| place.waiter.is_some());
        }
        Some(waiter)
    }

    pub(super) fn drain(&mut self) -> Vec<W> {
        self.waiting = 0;
        self.places
            .drain(..)
            .filter_map(|place| place.waiter)
            .collect()
    }

    fn trim(&mut self) {
        while self
            .places
            .front()
            .is_some_and(|place| place.waiter.is_none())
        {
            self.places.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_stay_are_served_in_order_whoever_leaves() {
        let now = Instant::now();
        for leavers in 0..1_u32 << 6 {
            let mut queue = Queue::new();
            let tickets: Vec<_> = (0..6).map(|number| queue.push(number, now)).collect();
            let leaves = |number: u32| leavers & (1 << number) != 0;
            for number in (0..6).filter(|number| leaves(*number)) {
                assert_eq!(queue.leave(tickets[number as usize]), Some(number));
                assert_eq!(queue.leave(tickets[number as usize]), None);
            }
            let stay: Vec<_> = (0..6).filter(|number| !leaves(*number)).collect();
            assert_eq!(queue.len(), stay.len());
            assert_eq!(queue.oldest().is_some(), !stay.is_empty());
            let served: Vec<_> = std::iter::from_fn(|| queue.pop()).map(|(w, _)| w).collect();
            assert_eq!(served, stay);
            assert!(queue.is_empty());
        }
    }

    #[test]
    fn empty_places_behind_a_patient_waiter_do_not_pile_up() {
        let now = Instant::now();
        let mut queue = Queue::new();
        let patient = queue.push(0, now);
        for number in 1..10_000 {
            let ticket = queue.push(number, now);
            assert_eq!(queue.leave(ticket), Some(number));
            assert!(queue.places.len() < 64);
        }
        assert_eq!(queue.leave(patient), Some(0));
        assert!(queue.places.is_empty());
    }
}
