//! What callers are told who get no connection: whether the pool is exhausted or the database is
//! away, the numbers, and the remedy.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use aquifer_core::slots::{Counts, Refusal};

use super::Inner;
use crate::deadline::Deadline;
use crate::observe::Event;
use crate::{Error, ErrorKind};

const EXHAUSTED: &str = "Find what holds connections with `Db::holders()`, or raise \
    `connections_max` or `acquire_timeout`";

const OVERLOADED: &str = "Send less, make what holds connections shorter (`Db::holders()`), or \
    raise `connections_max` if the server has room";

impl Inner {
    pub(super) fn refused(&self, refusal: Refusal, deadline: Deadline) -> Error {
        let counts = self.counts();
        let waited = rounded(deadline.elapsed());
        let (what, remedy) = match refusal {
            Refusal::Closed => return closed(),
            Refusal::Full => (
                format!(
                    "{} callers wait for a connection already (waiters_max)",
                    counts.waiting
                ),
                OVERLOADED,
            ),
            Refusal::Late(predicted) => (
                format!(
                    "the wait for a connection would take about {:?}, and this call has only {:?} \
                     left",
                    rounded(predicted),
                    rounded(deadline.left()),
                ),
                OVERLOADED,
            ),
            Refusal::Shed => (
                format!(
                    "no connection became free within {waited:?}, and the queue has not emptied \
                     for `queue_interval`: more is asked than the connections can do",
                ),
                OVERLOADED,
            ),
        };
        self.in_vain(counts);
        let text = format!("{what} ({}). {remedy}", self.figures(counts));
        Error::new(ErrorKind::Acquire, text)
    }

    pub(super) fn timed_out(&self, deadline: Deadline) -> Error {
        let counts = self.counts();
        self.in_vain(counts);
        let waited = deadline.limit();
        let figures = self.figures(counts);
        if counts.paused {
            let text = format!(
                "the pool is paused, and was not resumed within {waited:?} ({figures}). Call \
                 `Db::resume()`, or raise `acquire_timeout` above the time of the pause",
            );
            return Error::new(ErrorKind::Acquire, text);
        }
        // Nobody holds any: it is the server that callers wait for.
        if counts.in_use == 0 && counts.idle == 0 {
            let text = format!(
                "no connection to the database could be opened within {waited:?} ({figures}). \
                 Check that the server runs, takes this login and has room for more; opening goes on \
                 in the background",
            );
            return Error::new(ErrorKind::Connection, text);
        }
        let text = format!("no connection became free within {waited:?} ({figures}). {EXHAUSTED}");
        Error::new(ErrorKind::Acquire, text)
    }

    /// Takes down that a caller got no connection; tells that none are to be had, once for all who wait
    /// in the same line.
    fn in_vain(&self, counts: Counts) {
        self.observers.refused();
        // Else it is the server, or somebody who holds all back, that callers wait for.
        let is_exhausted = counts.in_use > 0 && !counts.paused;
        if is_exhausted && !self.exhausted.swap(true, Ordering::Relaxed) {
            self.observers.publish(Event::PoolExhausted {
                host: self.breakers.host(),
                in_use: counts.in_use,
                waiting: counts.waiting,
            });
        }
    }

    /// Somebody got a connection without waiting.
    pub(super) fn is_to_be_had(&self) {
        // Looked at first: what all callers write, all callers wait for.
        if self.exhausted.load(Ordering::Relaxed) {
            self.exhausted.store(false, Ordering::Relaxed);
        }
    }

    fn figures(&self, counts: Counts) -> String {
        let mut text = format!(
            "connections_max {}, of which {} are shared lanes: {} in use, {} idle, {} connecting; \
             {} waiting",
            counts.capacity - counts.lent + self.limits.lanes,
            self.limits.lanes - counts.lent,
            counts.in_use,
            counts.idle,
            counts.opening,
            counts.waiting,
        );
        text.push_str(&self.last_failure_text());
        text
    }

    /// Why the last connection could not be opened, if it could not.
    pub(super) fn last_failure_text(&self) -> String {
        let failure = self.last_failure.lock();
        let failure = failure.unwrap_or_else(PoisonError::into_inner);
        failure
            .as_ref()
            .map(|failure| format!("; last connect error: {failure}"))
            .unwrap_or_default()
    }
}

/// In milliseconds, which is exact enough for a wait.
fn rounded(time: Duration) -> Duration {
    time.saturating_sub(Duration::from_nanos(u64::from(
        time.subsec_nanos() % 1_000_000,
    )))
}

pub(super) fn closed() -> Error {
    Error::new(
        ErrorKind::Closed,
        "the pool was shut down; no call can be made on this handle any more",
    )
}
