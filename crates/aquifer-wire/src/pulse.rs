use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::ended::Reason;
use crate::shared::Shared;

/// How a connection gets on, for whoever looks after it without making requests.
///
/// Unlike a [`Client`](crate::Client), it does not close the connection when it is dropped.
#[derive(Clone, Debug)]
pub struct Pulse(Arc<Shared>);

impl Pulse {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self(Arc::clone(shared))
    }

    /// Requests that were taken in and not answered.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.0.in_flight()
    }

    /// Requests that were answered so far: as long as it stands still, nobody got an answer.
    #[must_use]
    pub fn answered(&self) -> usize {
        self.0.answered.load(Ordering::Acquire)
    }

    /// Whether the connection has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.0.queue().ended.is_some()
    }

    /// Wakes all who wait for an answer, so that each can look at the time.
    pub fn wake_callers(&self) {
        // What a waker does is not done under the lock.
        let slots = self.0.queue().slots.list();
        for slot in slots {
            slot.wake();
        }
    }

    /// The shortest time in which reads that share, or a barrier, were answered; `None` while nobody
    /// knows it.
    #[must_use]
    pub fn way(&self) -> Option<Duration> {
        self.0.queue().way()
    }

    /// Closes the connection now; requests that wait are told so.
    pub fn close(&self) {
        self.0.queue().close(Reason::ByUs);
    }
}
