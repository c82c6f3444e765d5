//! One load for all who miss the same key at the same time.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aquifer_core::stamps::Noted;
use tokio::sync::watch;
use tokio::time::Instant;

use super::link::LEASE;
use super::load::Absence;
use super::rules::{Rule, keeps};
use crate::clock;

/// What a load gives: a value, the knowledge that there is none, or its error.
pub(super) type Outcome<T, E> = Result<Option<Arc<T>>, E>;

/// What became of a load, as soon as it is done.
pub(super) type Landed<T, E> = watch::Receiver<Option<Outcome<T, E>>>;

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
    sender: watch::Sender<Option<Outcome<T, E>>>,
    flights: Arc<Flights>,
    place: Place,
    number: u64,
}

impl Flights {
    /// Joins the load of this key that is under way; else begins one, which the caller carries out.
    ///
    /// Nobody joins a load that began before a change which the caller may know of: one made by this
    /// process, or by another one longer ago than values may be stale: `holds` says that none was told, and
    /// would have been.
    pub(super) fn join<T, E>(
        self: &Arc<Self>,
        (key, absence): (&str, Absence),
        holds: impl FnOnce(&Noted) -> bool,
        note: impl FnOnce() -> Noted,
    ) -> Boarding<T, E>
    where
        T: Send + Sync + 'static,
        E: Send + Sync + 'static,
    {
        let now = clock::now();
        let place = (Box::from(key), absence, TypeId::of::<Flight<T, E>>());
        let mut state = self.lock();
        let present = state.flying.get(&place);
        let present = present.and_then(|(_, flight)| flight.downcast_ref::<Flight<T, E>>());
        if let Some(flight) = present {
            let recent = now - flight.begun < LEASE && flight.noted.is_unchanged();
            if recent || holds(&flight.noted) || !keeps(Rule::FlightsLeave) {
                return (flight.landed.clone(), None);
            }
        }
        let (sender, landed) = watch::channel(None);
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
        self.sender.send_replace(Some(outcome));
    }
}

/// Also of one that was given up.
impl<T, E> Drop for Landing<T, E> {
    fn drop(&mut self) {
        let mut state = self.flights.lock();
        let present = state.flying.get(&self.place);
        if present.is_some_and(|(number, _)| *number == self.number) {
            drop(state.flying.remove(&self.place));
        }
    }
}
