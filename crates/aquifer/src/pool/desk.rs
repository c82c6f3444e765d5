//! Where connections and those who wait for one meet: the accounting behind a lock, and the wakers.
//!
//! The one place in the pool where a wake-up could get lost or a connection could go to somebody
//! who has gone. It is small and generic so that all its interleavings are tried by a model checker
//! (`cargo xtask deep shuttle`).

#[cfg(all(test, shuttle))]
use shuttle::sync::{Arc, Mutex, MutexGuard};
use std::fmt;
use std::pin::Pin;
use std::sync::PoisonError;
#[cfg(not(all(test, shuttle)))]
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use aquifer_core::slots::{Claimed, Opening, Permit, Placed, Refusal, Shed, Slots, Span, Ticket};

use super::now;

#[cfg(test)]
mod tests;

/// The accounting of a pool, and everybody who waits for it.
pub(super) struct Desk<C>(Mutex<Accounts<C>>);

/// The accounting; seats stand for those who wait.
pub(super) type Accounts<C> = Slots<C, Arc<Seat<C>>>;

/// Where a connection went, and who is refused.
type Placing<C> = (Placed<C, Arc<Seat<C>>>, Shed<Arc<Seat<C>>>);

/// Where somebody who waits is told how it ended.
pub(super) struct Seat<C>(Mutex<State<C>>);

/// Waiting → Served or Refused → Gone; from each to Gone when the waiter is dropped.
enum State<C> {
    Waiting(Option<Waker>),
    Served(Claimed<C>),
    Refused(Refusal),
    Gone,
}

/// What somebody who asks gets at once.
pub(super) enum Claim<'a, C, F: Fn(Claimed<C>)> {
    Now(Claimed<C>),
    Wait(Waiting<'a, C, F>),
}

/// A place in the line; resolves to a connection, in the order of asking.
///
/// Cancellation: dropping it leaves the line, and a connection that was meant for it is given to
/// `pass_on`.
pub(super) struct Waiting<'a, C, F: Fn(Claimed<C>)> {
    desk: &'a Desk<C>,
    ticket: Ticket,
    seat: Arc<Seat<C>>,
    /// Nobody waited before.
    pub(super) is_first: bool,
    /// There is room for another connection.
    pub(super) may_open: bool,
    pass_on: F,
}

impl<C> Desk<C> {
    pub(super) fn new(slots: Accounts<C>) -> Self {
        Self(Mutex::new(slots))
    }

    /// For steps that concern nobody who waits.
    pub(super) fn lock(&self) -> MutexGuard<'_, Accounts<C>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection that was used last, or a place in the line for at most `left`.
    pub(super) fn claim_or_wait<F: Fn(Claimed<C>)>(
        &self,
        left: Duration,
        time: Instant,
        pass_on: F,
    ) -> Result<Claim<'_, C, F>, Refusal> {
        let mut slots = self.lock();
        if let Some(claimed) = slots.claim(time) {
            return Ok(Claim::Now(claimed));
        }
        let seat = Arc::new(Seat(Mutex::new(State::Waiting(None))));
        let ticket = slots.wait(Arc::clone(&seat), left, time)?;
        let is_first = slots.counts().waiting == 1;
        let may_open = slots.may_open();
        drop(slots);
        Ok(Claim::Wait(Waiting {
            desk: self,
            ticket,
            seat,
            is_first,
            may_open,
            pass_on,
        }))
    }

    /// Places a connection that was opened; it is handed back when it is to be closed.
    pub(super) fn opened(
        &self,
        opening: Opening,
        connection: C,
        span: Span,
        now: Instant,
    ) -> Option<C> {
        let placed = self.lock().opened(opening, connection, span, now);
        self.settle(placed, now)
    }

    /// Places a connection that nobody uses any more; it is handed back when it is to be closed.
    pub(super) fn release(&self, permit: Permit, connection: C, now: Instant) -> Option<C> {
        let placed = self.lock().release(permit, connection, now);
        self.settle(placed, now)
    }

    /// Places a connection that somebody got who has gone; it is handed back when it is to be closed.
    pub(super) fn pass_on(&self, claimed: Claimed<C>, now: Instant) -> Option<C> {
        let placed = self.lock().pass_on(claimed, now);
        self.settle(placed, now)
    }

    /// Refuses those who have waited for too long.
    pub(super) fn poll(&self, now: Instant) {
        let shed = self.lock().poll(now);
        refuse(shed, Refusal::Shed);
    }

    /// Wakes all who wait, so that they look whether anything is left to be done about it.
    pub(super) fn wake_all(&self) {
        let seats: Vec<_> = self.lock().waiters().map(Arc::clone).collect();
        for seat in seats {
            seat.wake();
        }
    }

    /// Gives out nothing any more; hands back what was idle, and says how many were refused.
    pub(super) fn close(&self) -> (Vec<C>, usize) {
        let (idle, waiters) = self.lock().close();
        let refused = waiters.len();
        refuse(waiters, Refusal::Closed);
        (idle, refused)
    }

    /// Tells those whom it concerns, with no lock held.
    fn settle(&self, mut placing: Placing<C>, now: Instant) -> Option<C> {
        loop {
            let (placed, shed) = placing;
            let surplus = match placed {
                Placed::Idle => None,
                Placed::Surplus(connection) => Some(connection),
                // Each lap takes somebody out of the line, so it ends.
                Placed::HandedOver(seat, claimed) => match seat.serve(claimed) {
                    None => None,
                    Some(claimed) => {
                        refuse(shed, Refusal::Shed);
                        placing = self.lock().pass_on(claimed, now);
                        continue;
                    }
                },
            };
            refuse(shed, Refusal::Shed);
            return surplus;
        }
    }
}

fn refuse<C>(seats: Vec<Arc<Seat<C>>>, refusal: Refusal) {
    for seat in seats {
        seat.refuse(refusal);
    }
}

impl<C> Seat<C> {
    fn lock(&self) -> MutexGuard<'_, State<C>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands the connection back if nobody sits there any more.
    fn serve(&self, claimed: Claimed<C>) -> Option<Claimed<C>> {
        self.tell(State::Served(claimed))
            .and_then(|state| match state {
                State::Served(claimed) => Some(claimed),
                _ => None,
            })
    }

    fn refuse(&self, refusal: Refusal) {
        drop(self.tell(State::Refused(refusal)));
    }

    fn wake(&self) {
        let waker = match &*self.lock() {
            State::Waiting(waker) => waker.clone(),
            State::Served(_) | State::Refused(_) | State::Gone => None,
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Hands `outcome` back if nobody waits for it.
    fn tell(&self, outcome: State<C>) -> Option<State<C>> {
        let mut state = self.lock();
        let State::Waiting(waker) = &mut *state else {
            return Some(outcome);
        };
        let waker = waker.take();
        *state = outcome;
        // What a waker does is not ours to know: no lock is held.
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        None
    }
}

impl<C, F: Fn(Claimed<C>)> Future for Waiting<'_, C, F> {
    type Output = Result<Claimed<C>, Refusal>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let waker = context.waker().clone();
        let mut state = self.seat.lock();
        if let State::Waiting(before) = &mut *state {
            let before = before.replace(waker);
            drop(state);
            drop(before);
            return Poll::Pending;
        }
        match std::mem::replace(&mut *state, State::Gone) {
            State::Served(claimed) => Poll::Ready(Ok(claimed)),
            State::Refused(refusal) => Poll::Ready(Err(refusal)),
            // It was polled after its end.
            State::Waiting(_) | State::Gone => Poll::Pending,
        }
    }
}

impl<C, F: Fn(Claimed<C>)> Drop for Waiting<'_, C, F> {
    fn drop(&mut self) {
        let state = std::mem::replace(&mut *self.seat.lock(), State::Gone);
        match state {
            // Somebody may have taken the seat out of the line already; they will find it empty and
            // ask the next.
            State::Waiting(_) => drop(self.desk.lock().leave(self.ticket, now())),
            State::Served(claimed) => (self.pass_on)(claimed),
            State::Refused(_) | State::Gone => {}
        }
    }
}

impl<C> fmt::Debug for Desk<C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Desk({:?})", self.lock().counts())
    }
}
