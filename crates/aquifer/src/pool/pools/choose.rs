//! Which of several hosts a call goes to, and waiting for one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::super::{closed, refuse};
use super::many::Many;
use super::{Chosen, Destination};
use crate::deadline::Deadline;
use crate::topology::{Consistency, View};
use crate::{Error, ErrorKind, clock};

/// After a switch so many of those who were held go on at once; of the others each a bit later, so
/// that the new primary does not get all of them in the same moment.
const AT_ONCE: usize = 16;
const APART: Duration = Duration::from_micros(250);
const RAMP_MAX: Duration = Duration::from_millis(200);

impl Many {
    pub(crate) async fn choose(
        self: &Arc<Self>,
        destination: Destination,
        deadline: Deadline,
    ) -> Result<Chosen<'_>, Error> {
        if let Destination::Replica { at_least, avoid } = destination
            && let Some(chosen) = self.replica(at_least, avoid, deadline).await
        {
            return Ok(chosen);
        }
        match self.main() {
            Some(chosen) => Ok(chosen),
            // Boxed: it is rare, and would be a part of each call's future.
            None => Box::pin(self.hold(deadline)).await,
        }
    }

    /// Waits for a host that takes calls which ask for none in particular.
    ///
    /// Cancellation: nothing is lost.
    async fn hold(self: &Arc<Self>, deadline: Deadline) -> Result<Chosen<'_>, Error> {
        let held = self.held_until(deadline).await;
        if held.is_err() {
            // A caller who asks again and again must not keep those from their turn who ask the hosts.
            refuse(deadline).await;
        }
        held
    }

    async fn held_until(self: &Arc<Self>, deadline: Deadline) -> Result<Chosen<'_>, Error> {
        let held = Held::new(self)?;
        self.topology.ensure();
        let look = |_view: &View| {
            if self.is_closed() {
                return Some(Err(closed()));
            }
            if let Some(chosen) = self.main() {
                return Some(Ok(chosen));
            }
            (!self.topology.may_wait()).then(|| Err(self.topology.no_host()))
        };
        let outcome = self.topology.find(deadline, look).await;
        let chosen = outcome.unwrap_or_else(|_elapsed| Err(self.topology.no_host()))?;
        let pause = held.pause();
        drop(held);
        if !pause.is_zero() {
            tokio::time::sleep(pause.min(deadline.left())).await;
        }
        Ok(chosen)
    }

    /// A replica for a read that need not be of this moment, by turns.
    async fn replica(
        &self,
        at_least: Option<Consistency>,
        avoid: Option<usize>,
        deadline: Deadline,
    ) -> Option<Chosen<'static>> {
        let (chosen, may_wait) = {
            let view = self.topology.view();
            let wanted = at_least.map(Consistency::position);
            if wanted.is_some_and(|wanted| view.is_unheard(wanted)) {
                // Somebody else has met a new primary before this process did.
                self.topology.fault();
            }
            let may_wait = wanted.is_some_and(|wanted| view.may_reach(wanted));
            (self.pick(&view, at_least, avoid), may_wait)
        };
        if chosen.is_some() || !may_wait {
            return chosen;
        }
        // Boxed: it happens to reads that follow a write closely.
        Box::pin(self.catch_up(at_least, avoid, deadline)).await
    }

    /// Waits a moment for a replica that has replayed so much.
    async fn catch_up(
        &self,
        at_least: Option<Consistency>,
        avoid: Option<usize>,
        deadline: Deadline,
    ) -> Option<Chosen<'static>> {
        let limit = self.plan.catchup_timeout.min(deadline.left());
        let look = |view: &View| {
            if self.is_closed() {
                return Some(None);
            }
            let others = || view.readable.iter().filter(|host| Some(**host) != avoid);
            if others().next().is_none() {
                return Some(None);
            }
            let chosen = self.pick(view, at_least, avoid);
            if chosen.is_none() {
                for host in others() {
                    self.topology.ask(*host);
                }
            }
            chosen.map(Some)
        };
        let found = self.topology.find(Deadline::after(limit), look).await;
        found.ok().flatten()
    }

    /// A replica that has replayed so much, by turns.
    pub(super) fn pick(
        &self,
        view: &View,
        at_least: Option<Consistency>,
        avoid: Option<usize>,
    ) -> Option<Chosen<'static>> {
        let count = view.readable.len();
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        let by_turns = (0..count).filter_map(|step| {
            let index = first.wrapping_add(step).checked_rem(count)?;
            view.readable.get(index).copied()
        });
        by_turns
            .filter(|host| Some(*host) != avoid)
            .filter(|host| at_least.is_none_or(|token| view.has(*host, token.position())))
            .filter_map(|host| self.seat(host))
            .find(|pool| pool.breakers_allow())
    }
}

/// A caller that waits for a host.
struct Held<'a> {
    count: &'a AtomicUsize,
    /// How many waited before.
    place: usize,
}

impl<'a> Held<'a> {
    fn new(many: &'a Many) -> Result<Self, Error> {
        let place = many.held.fetch_add(1, Ordering::Relaxed);
        let held = Self {
            count: &many.held,
            place,
        };
        let most = many.plan.limits.waiters_max();
        if place >= most {
            let text = format!(
                "{most} callers wait for a primary already (waiters_max). Send less while there is \
                 none, or raise `waiters_max`"
            );
            return Err(Error::new(ErrorKind::Acquire, text));
        }
        Ok(held)
    }

    /// How long to wait once there is a host.
    fn pause(&self) -> Duration {
        let behind = self.place.saturating_sub(AT_ONCE);
        let most = APART
            .saturating_mul(u32::try_from(behind).unwrap_or(u32::MAX))
            .min(RAMP_MAX);
        let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(clock::random().checked_rem(micros).unwrap_or_default())
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}
