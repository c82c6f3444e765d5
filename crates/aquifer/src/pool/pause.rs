//! Holding callers back while the server behind the pool is switched over.

use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use aquifer_wire::Client;
use tokio::time::Instant;

use super::{Inner, Pool, close_all, now};
use crate::deadline::Deadline;
use crate::wait::unless;
use crate::{Error, ErrorKind, Retry, clock};

impl Pool {
    /// Gives out no connection, and waits until none is used; `hold_max` from now all that ends by
    /// itself.
    ///
    /// Cancellation: the pool is resumed.
    pub(crate) async fn pause(&self, hold_max: Duration) -> Result<(), Error> {
        if self.0.is_closed() {
            return Err(super::closed());
        }
        self.come_to_rest(hold_max).await
    }

    /// As [`pause`](Self::pause), also of a pool that is closed: then it waits for the end of what is
    /// under way there.
    ///
    /// Cancellation: the pool is resumed.
    pub(super) async fn come_to_rest(&self, hold_max: Duration) -> Result<(), Error> {
        let deadline = Deadline::after(hold_max);
        let pausing = Pausing(Some(&self.0));
        *self.0.paused_until() = Some(clock::now() + deadline.left());
        let idle = self.0.desk.lock().pause();
        close_all(idle);
        self.0.upkeep.tell();
        let lanes = self.0.lanes.retire_all();
        let all_back = pin!(self.0.all_back(&lanes));
        let Ok(ended) = deadline.run(unless(all_back, self.0.is_drained())).await else {
            let text = format!(
                "calls were under way for longer than {hold_max:?}, so the pool was not paused and \
                 goes on. Find them with `Db::holders()`, or pause for longer",
            );
            return Err(Error::new(ErrorKind::Timeout, text).with_retry(Retry::Safe));
        };
        ended.ok_or_else(super::closed)?;
        pausing.done();
        Ok(())
    }

    /// Pauses a pool that nobody uses yet.
    pub(crate) fn hold(&self, until: Instant) {
        *self.0.paused_until() = Some(until);
        close_all(self.0.desk.lock().pause());
        self.0.want();
    }

    /// Gives out connections again, all of them new.
    pub(crate) fn resume(&self) {
        self.0.resume();
    }
}

/// Resumes, unless the pause has begun.
struct Pausing<'a>(Option<&'a Arc<Inner>>);

impl Pausing<'_> {
    fn done(mut self) {
        self.0 = None;
    }
}

impl Drop for Pausing<'_> {
    fn drop(&mut self) {
        if let Some(inner) = self.0.take() {
            inner.resume();
        }
    }
}

impl Inner {
    pub(super) fn paused_until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.paused_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_paused(&self) -> bool {
        self.paused_until().is_some()
    }

    pub(super) fn resume(self: &Arc<Self>) {
        if self.paused_until().take().is_none() {
            return;
        }
        // One that was being opened when the pause began is of before it.
        for lane in self.lanes.retire() {
            lane.close();
        }
        self.desk.lock().resume(now());
        self.want();
    }

    /// Waits until a shutdown begins.
    async fn is_drained(&self) {
        loop {
            let mut told = pin!(self.came_back.notified());
            told.as_mut().enable();
            if self.draining.load(Ordering::Acquire) {
                return;
            }
            told.await;
        }
    }

    /// Waits until nothing is under way any more, on these lanes either.
    pub(super) async fn all_back(&self, lanes: &[Arc<Client>]) {
        for lane in lanes {
            // Answers come in order: what was asked before is answered before. An error means that
            // the lane has ended, and so has what was on it.
            drop(lane.barrier().await);
            lane.close();
        }
        loop {
            let mut came_back = pin!(self.came_back.notified());
            came_back.as_mut().enable();
            // A listener may be held for ever by somebody who does not look at it.
            let in_use = self.counts().in_use;
            if in_use <= self.holders.listening().len() {
                return;
            }
            came_back.await;
        }
    }
}
