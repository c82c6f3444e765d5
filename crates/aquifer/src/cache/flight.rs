//! One load for all who miss the same key at the same time.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aquifer_core::stamps::Noted;
use tokio::sync::watch;
use tokio::time::Instant;

use super::cached::Marked;
use super::link::LEASE;
use super::load::Absence;
use super::rules::{Rule, keeps};

/// What a load gives: a value, the knowledge that there is none, or its error.
pub(super) type Outcome<T, E> = Result<Marked<T>, E>;

/// What is known of a load, and what became of it.
pub(super) struct Progress<T, E> {
    /// What there is until then.
    pub(super) old: Option<Old<T>>,
    pub(super) outcome: Option<Outcome<T, E>>,
}

/// A value that was found before a load, and that some callers would rather have than wait or fail.
pub(super) struct Old<T> {
    pub(super) found: Marked<T>,
    /// For how long it has not been known to be good, and when that was reckoned; zero if it is good.
    pub(super) over_for: Duration,
    pub(super) at: Instant,
    /// Of a good one, since when changes of it may not have been heard of.
    pub(super) known: Instant,
}

impl<T> Old<T> {
    /// For how long it has not been known to be good. Who joins a load may come later than its value was
    /// found, and sees nothing that may be older than what is in memory.
    pub(super) fn over_for(&self, now: Instant) -> Duration {
        let unknown = now.saturating_duration_since(self.known);
        self.over_for.max(unknown.saturating_sub(LEASE))
    }
}

pub(super) type Landed<T, E> = watch::Receiver<Progress<T, E>>;

/// A place on a load, and the load itself for whoever begins it.
pub(super) type Boarding<T, E> = (Landed<T, E>, Option<Landing<T, E>>);

/// The loads that are under way, by key and by the types of value and error.
#[derive(Default)]
pub(super) struct Flights {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    flying: HashMap<Place, Flying>,
    begun: u64,
}

type Place = (Box<str>, Absence, TypeId);

/// The number of a flight, and the flight.
type Flying = (u64, Arc<dyn Any + Send + Sync>);

struct Flight<T, E> {
    noted: Noted,
    begun: Instant,
    landed: Landed<T, E>,
}

/// Who came first tells the others by this.
pub(super) struct Landing<T, E> {
    sender: watch::Sender<Progress<T, E>>,
    flights: Arc<Flights>,
    place: Place,
    number: u64,
}

impl Flights {
    /// Joins the load of this key that is under way; else begins one, which the caller carries out.
    ///
    /// Nobody joins a load that began before a change which the caller may know of: one made by this
    /// process, or by another one longer ago than values may be stale. Until then it does not matter
    /// what is announced: it may be the echo of a change that was made before the load began. After that
    /// `holds` must say that none was announced, and would have been.
    pub(super) fn join<T, E>(
        self: &Arc<Self>,
        (key, absence): (&str, Absence),
        (holds, now, max_staleness): (impl FnOnce(&Noted) -> bool, Instant, Option<Duration>),
        note: impl FnOnce() -> Noted,
    ) -> Boarding<T, E>
    where
        T: Send + Sync + 'static,
        E: Send + Sync + 'static,
    {
        let place = (Box::from(key), absence, TypeId::of::<Flight<T, E>>());
        let mut state = self.lock();
        let present = state.flying.get(&place);
        let present = present.and_then(|(_, flight)| flight.downcast_ref::<Flight<T, E>>());
        if let Some(flight) = present {
            let stale = max_staleness.map_or(LEASE, |most| most.min(LEASE));
            let recent = now - flight.begun < stale && flight.noted.is_unchanged_here();
            let joins = recent || (stale == LEASE && holds(&flight.noted));
            if joins || !keeps(Rule::FlightsLeave) {
                return (flight.landed.clone(), None);
            }
        }
        let (sender, landed) = watch::channel(Progress {
            old: None,
            outcome: None,
        });
        state.begun += 1;
        let number = state.begun;
        let flight = Flight {
            noted: note(),
            begun: now,
            landed: landed.clone(),
        };
        state
            .flying
            .insert(place.clone(), (number, Arc::new(flight)));
        let landing = Landing {
            sender,
            flights: Arc::clone(self),
            place,
            number,
        };
        (landed, Some(landing))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T, E> Landing<T, E> {
    pub(super) fn land(self, outcome: Outcome<T, E>) {
        // First: who is told, and asks again, is not to be given the same.
        self.leave();
        self.sender
            .send_modify(|progress| progress.outcome = Some(outcome));
    }

    /// Says what there is while the load goes on.
    pub(super) fn offer(&self, old: Old<T>) {
        self.sender.send_modify(|progress| progress.old = Some(old));
    }

    /// What there is, if it is good.
    pub(super) fn good(&self, now: Instant) -> Option<Marked<T>> {
        let progress = self.sender.borrow();
        let old = progress.old.as_ref();
        let old = old.filter(|old| old.over_for(now).is_zero());
        old.map(|old| old.found.clone())
    }

    fn leave(&self) {
        let mut state = self.flights.lock();
        let present = state.flying.get(&self.place);
        if present.is_some_and(|(number, _)| *number == self.number) {
            drop(state.flying.remove(&self.place));
        }
    }
}

/// Also of one that was given up.
impl<T, E> Drop for Landing<T, E> {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use aquifer_core::stamps::Board;

    use super::*;
    use crate::cache::CacheLayer;

    const TAG: u64 = 7;

    fn linked() -> Board {
        let board = Board::new();
        board.link_made();
        board
    }

    fn none() -> Outcome<i32, ()> {
        Ok(Marked::good(None, CacheLayer::Loader, Duration::ZERO))
    }

    /// Whether the caller has to begin a load of its own.
    fn begins(flights: &Arc<Flights>, (board, now): (&Board, Instant)) -> Option<Landing<i32, ()>> {
        let holds = |noted: &Noted| noted.holds(board);
        let note = || board.note([TAG]);
        let at = (holds, now, None);
        flights.join::<i32, ()>(("a", Absence::Counts), at, note).1
    }

    #[test]
    fn what_there_was_before_a_load_is_good_for_no_longer_than_what_is_in_memory() {
        let (flights, board) = (Arc::default(), linked());
        let now = crate::clock::now();
        let landing = begins(&flights, (&board, now)).expect("nobody else loads");
        assert!(landing.good(now).is_none());
        landing.offer(Old {
            found: Marked::good(None, CacheLayer::Local, Duration::ZERO),
            over_for: Duration::ZERO,
            at: now,
            known: now,
        });
        assert!(landing.good(now + LEASE).is_some());
        assert!(
            landing
                .good(now + LEASE + Duration::from_nanos(1))
                .is_none()
        );
    }

    #[test]
    fn a_load_is_joined_unless_it_may_have_missed_a_change_that_the_caller_knows_of() {
        let (flights, board) = (Arc::default(), linked());
        let now = crate::clock::now();
        let first = begins(&flights, (&board, now)).expect("nobody else loads");
        assert!(begins(&flights, (&board, now)).is_none());
        // The echo of an earlier change, or another process's of this moment.
        board.announced(TAG);
        assert!(begins(&flights, (&board, now)).is_none());
        // Its own.
        board.changed(TAG);
        let second = begins(&flights, (&board, now)).expect("it has missed the change");
        assert!(begins(&flights, (&board, now)).is_none());
        // The first is nobody's any more, so its end changes nothing.
        first.land(none());
        assert!(begins(&flights, (&board, now)).is_none());

        let now = now + LEASE;
        assert!(begins(&flights, (&board, now)).is_none());
        board.announced(TAG);
        let third = begins(&flights, (&board, now)).expect("it has missed the change");
        let now = now + LEASE;
        board.link_lost();
        let fourth = begins(&flights, (&board, now)).expect("it may have missed changes");
        assert!(begins(&flights, (&board, now)).is_none());
        for landing in [second, third, fourth] {
            landing.land(none());
        }
        assert!(begins(&flights, (&board, now)).is_some());
    }
}
