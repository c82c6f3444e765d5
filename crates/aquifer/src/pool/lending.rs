//! Lanes' places lent to exclusive connections, and given back.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aquifer_core::slots::lending::{Advice, LOOK, Lending, Seen};
use aquifer_wire::Client;
use tokio::time::Instant;

use super::{Inner, close_all};
use crate::clock;
use crate::deadline::Deadline;

/// How long a lane whose place is lent may take to answer what was under way.
const LAST_READS: Duration = Duration::from_secs(2);

/// What was seen lately.
#[derive(Debug)]
pub(super) struct Looks(Mutex<Lending>);

impl Looks {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Lending::new(clock::now().into_std())))
    }
}

impl Inner {
    /// Lends a lane's place or has one given back, if that is due; says when to look again.
    pub(super) fn look_at_places(self: &Arc<Self>, time: Instant) -> Option<Instant> {
        if !self.lanes.may_lend() {
            return None;
        }
        let (counts, handed_over) = {
            let slots = self.desk.lock();
            (slots.counts(), slots.handed_over())
        };
        let seen = Seen {
            reads: self.lanes.answered(),
            handed_over,
            waiting: counts.waiting > 0,
        };
        let looks = self.looks.0.lock();
        let advice = looks
            .unwrap_or_else(PoisonError::into_inner)
            .look(seen, time.into_std());
        match advice {
            Advice::Keep => {}
            Advice::Lend => {
                if let Some(lane) = self.lanes.lend() {
                    // Made here: a task may be dropped before it has begun.
                    let place = Place(Some(Arc::clone(self)));
                    self.tasks.spawn(lend(place, lane));
                }
            }
            Advice::GiveBack => self.give_back(),
        }
        (counts.waiting > 0 || counts.lent > 0).then(|| time + LOOK)
    }

    /// A lane may be opened in the place as soon as there is room.
    fn give_back(&self) {
        let excess = self.desk.lock().give_back();
        if let Some(excess) = excess {
            close_all(excess);
            self.lanes.given_back();
            self.opener.tell();
        }
    }

    /// Whether a lane is missing and may be opened: none of the places that lanes may have is still
    /// taken by an exclusive connection.
    pub(super) fn lane_may_open(&self) -> bool {
        self.lanes.missing() > 0 && !self.is_paused() && self.desk.lock().has_room()
    }
}

/// Lends the place of a lane that is out of use, once it is closed.
async fn lend(place: Place, lane: Arc<Client>) {
    // Answers come in order; what comes too late is run again elsewhere.
    drop(Deadline::after(LAST_READS).run(lane.barrier()).await);
    lane.close();
    place.lend();
}

/// The place of a closed lane; when it is not lent, for the pool or the runtime ends, lanes have it
/// again.
struct Place(Option<Arc<Inner>>);

impl Place {
    fn lend(mut self) {
        if let Some(pool) = self.0.take_if(|pool| pool.desk.lock().lend()) {
            pool.opener.tell();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(pool) = self.0.take() {
            pool.lanes.given_back();
            pool.opener.tell();
        }
    }
}
