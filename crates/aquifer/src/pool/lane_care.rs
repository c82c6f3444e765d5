//! Lanes age like other connections, and are asked for a sign of life while nothing is under way.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use aquifer_core::slots::Span;
use aquifer_wire::Client;
use tokio::time::Instant;

use super::Inner;
use crate::clock;
use crate::deadline::Deadline;

/// How long the reads on a lane that is replaced may take to end; later ones are run again elsewhere.
const LAST_READS: Duration = Duration::from_secs(10);

/// The dates of the lanes there are.
#[derive(Debug, Default)]
pub(super) struct LaneCare(Mutex<Vec<Dates>>);

#[derive(Debug)]
struct Dates {
    lane: Weak<Client>,
    expires: Instant,
    keepalive: Duration,
    ask_at: Instant,
}

impl LaneCare {
    /// Which of `lanes` are to be asked and which, at most one, has lived for long enough; and when
    /// to look again.
    fn due(&self, lanes: &[Arc<Client>], draw: impl Fn() -> Span, time: Instant) -> Due {
        let mut dates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        dates.retain(|dates| lanes.iter().any(|lane| dates.is_of(lane)));
        let mut due = Due::default();
        for lane in lanes {
            let known = dates.iter_mut().find(|dates| dates.is_of(lane));
            let Some(known) = known else {
                dates.push(Dates::new(lane, draw(), time));
                continue;
            };
            if time >= known.expires && due.expired.is_none() {
                due.expired = Some(Arc::clone(lane));
            } else if time >= known.ask_at {
                known.ask_at = time + known.keepalive;
                due.asked.push(Arc::clone(lane));
            }
        }
        due.next = dates
            .iter()
            .map(|dates| dates.expires.min(dates.ask_at))
            .min();
        due
    }
}

#[derive(Default)]
struct Due {
    asked: Vec<Arc<Client>>,
    expired: Option<Arc<Client>>,
    next: Option<Instant>,
}

impl Dates {
    fn new(lane: &Arc<Client>, span: Span, time: Instant) -> Self {
        Self {
            lane: Arc::downgrade(lane),
            expires: time + span.lifetime,
            keepalive: span.keepalive,
            ask_at: time + span.keepalive,
        }
    }

    fn is_of(&self, lane: &Arc<Client>) -> bool {
        std::ptr::eq(self.lane.as_ptr(), Arc::as_ptr(lane))
    }
}

impl Inner {
    /// Does what is due to lanes, all of them if there is doubt; says when to look again.
    pub(super) fn care_for_lanes(
        self: &Arc<Self>,
        doubtful: bool,
        time: Instant,
    ) -> Option<Instant> {
        let lanes = self.lanes.list();
        let due = self.lane_care.due(&lanes, || self.span(), time);
        let asked = if doubtful { &lanes } else { &due.asked };
        // Where something is under way, its own deadline tells; and the question would wait for it.
        for lane in asked.iter().filter(|lane| lane.in_flight() == 0) {
            let answer = self.ask(lane, self.limits.keepalive_timeout());
            self.tasks.spawn(answer);
        }
        if let Some(lane) = due.expired {
            self.lanes.remove(&lane);
            self.opener.tell();
            self.tasks.spawn(async move {
                // Answers come in order. Whether they came in time or not, the lane is closed.
                let ended = Deadline::after(LAST_READS).run(lane.barrier());
                drop(ended.await);
                lane.close();
            });
        }
        due.next
    }

    /// How long a new connection lives, and how often it is asked.
    pub(super) fn span(&self) -> Span {
        let limits = &self.limits;
        let (lifetime, keepalive) = (limits.lifetime_max, limits.keepalive_interval);
        Span::drawn(lifetime, keepalive, clock::random())
    }
}
