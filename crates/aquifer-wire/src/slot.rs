use std::pin::Pin;
use std::sync::atomic::{Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use crate::Error;
use crate::ended::Ended;

/// Where the driver leaves the answer to one request, and where its caller waits for it.
///
/// Waiting → Done → Waiting, as new, once the caller has taken the answer. A caller that goes away
/// leaves the slot Abandoned; the driver still passes by it, so that replies never shift to somebody
/// else's request, and leaves it as new.
#[derive(Debug)]
pub(crate) struct Slot(Mutex<State>);

#[derive(Debug)]
enum State {
    Waiting(Option<Waker>),
    Done(Outcome),
    Abandoned,
}

/// How one request ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The frames of the answer, which may hold an ErrorResponse.
    Answered(Bytes),
    /// A neighbour under the same Sync failed first; the server did nothing for this request.
    Skipped,
    /// The connection ended first; `sent` says whether the request had been written.
    Ended { cause: Arc<Ended>, sent: bool },
}

impl State {
    const NEW: Self = Self::Waiting(None);
}

impl Slot {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(State::NEW)))
    }

    /// Leaves the outcome and wakes the caller, if it still waits.
    pub(crate) fn fill(&self, outcome: Outcome) {
        let before = {
            let mut state = self.lock();
            if matches!(*state, State::Abandoned) {
                *state = State::NEW;
                return;
            }
            std::mem::replace(&mut *state, State::Done(outcome))
        };
        if let State::Waiting(Some(waker)) = before {
            waker.wake();
        }
    }

    /// Whether a slot that was filled may serve again: its caller has left it, as new.
    pub(crate) fn is_left(slot: &Arc<Self>) -> bool {
        let is_left = Arc::strong_count(slot) == 1;
        // What its caller did with it came before.
        fence(Ordering::Acquire);
        is_left
    }

    /// Wakes the caller, if it waits, though there is no answer yet.
    pub(crate) fn wake(&self) {
        let waker = match &*self.lock() {
            State::Waiting(waker) => waker.clone(),
            State::Done(_) | State::Abandoned => None,
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The slots of all requests of one connection, wherever these stand.
#[derive(Debug, Default)]
pub(crate) struct Slots(Vec<Weak<Slot>>);

impl Slots {
    /// A slot that did not serve before.
    pub(crate) fn add(&mut self) -> Arc<Slot> {
        if self.0.len() == self.0.capacity() {
            self.0.retain(|slot| slot.strong_count() > 0);
        }
        let slot = Slot::new();
        self.0.push(Arc::downgrade(&slot));
        slot
    }

    /// Those in use.
    pub(crate) fn list(&self) -> Vec<Arc<Slot>> {
        self.0.iter().filter_map(Weak::upgrade).collect()
    }
}

/// The answer to a request that was accepted; dropping it abandons the answer, not the request.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Until the answer was taken.
    slot: Option<Arc<Slot>>,
}

impl Answer {
    pub(crate) fn new(slot: Arc<Slot>) -> Self {
        Self { slot: Some(slot) }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        let Some(slot) = &self.slot else {
            return;
        };
        let mut state = slot.lock();
        *state = match &*state {
            State::Waiting(_) => State::Abandoned,
            // The slot may live on; what the answer holds must not.
            State::Done(_) | State::Abandoned => State::NEW,
        };
    }
}

impl Future for Answer {
    type Output = Result<Option<Bytes>, Error>;

    /// `Ok(None)` means that the request was skipped and may be sent again.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // A future is not polled again after it was ready.
        let Some(slot) = &self.slot else {
            return Poll::Pending;
        };
        let state = {
            let mut state = slot.lock();
            if let State::Waiting(waker) = &mut *state {
                match waker {
                    Some(known) if known.will_wake(context.waker()) => {}
                    _ => *waker = Some(context.waker().clone()),
                }
                return Poll::Pending;
            }
            std::mem::replace(&mut *state, State::NEW)
        };
        self.slot = None;
        match state {
            State::Done(Outcome::Answered(frames)) => Poll::Ready(Ok(Some(frames))),
            State::Done(Outcome::Skipped) => Poll::Ready(Ok(None)),
            State::Done(Outcome::Ended { cause, sent }) => Poll::Ready(Err(cause.error(sent))),
            // Nobody but this future abandons it.
            State::Waiting(_) | State::Abandoned => Poll::Pending,
        }
    }
}
