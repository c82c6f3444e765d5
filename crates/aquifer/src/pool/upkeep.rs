//! The background task that keeps connections in good order: those that are too old or too many are
//! closed, idle ones are asked for a sign of life, a queue that does not empty is shortened, and
//! who holds a connection for too long is named.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::task::{Context, Waker};
use std::time::Duration;

use aquifer_wire::Client;
use tokio::time::Instant;

use super::{Inner, close_all, now};
use crate::clock;
use crate::deadline::Deadline;
use crate::observe::{ConnectionLost, Event};

/// Between the ends of two connections that are too old: a stall of the whole program makes all
/// seem old at once, and a pool must not be emptied for that.
const SPACING: Duration = Duration::from_millis(50);

/// What becomes due meanwhile (a checkout that lasts, a connection that came back) is seen so much
/// later at most, as a share of the shortest time that it may take.
const LATENESS: u32 = 4;

/// Looks after the pool whenever something is due, until the pool is gone.
pub(super) async fn run(pool: Weak<Inner>) {
    loop {
        let Some(inner) = pool.upgrade().filter(|inner| !inner.is_closed()) else {
            return;
        };
        let due = inner.keep_up();
        let told = Arc::clone(&inner.upkeep.told);
        drop(inner);
        drop(Deadline::at(due).run(told.notified()).await);
    }
}

impl Inner {
    /// Does what is due, and says when to look again.
    fn keep_up(self: &Arc<Self>) -> Instant {
        let time = clock::now();
        self.end_pause(time);
        self.desk.poll(now());
        let spaced = self.expire();
        let doubtful = self.doubts.swap(false, Ordering::AcqRel);
        self.ask_idle(doubtful);
        let lane_due = self.care_for_lanes(doubtful, time);
        self.warn_of_leaks();
        let limits = &self.limits;
        let shortest = limits
            .keepalive_interval
            .min(limits.leak_warning_after)
            .min(limits.lifetime_max);
        let mut due = time + shortest / LATENESS;
        if let Some(next) = self.desk.lock().due(now()) {
            due = due.min(Instant::from_std(next));
        }
        if let Some(until) = *self.paused_until() {
            due = due.min(until);
        }
        let next = [lane_due, self.look_at_places(time)];
        due = next.into_iter().flatten().fold(due, Instant::min);
        due.max(time + spaced)
    }

    fn end_pause(self: &Arc<Self>, time: Instant) {
        let over = self.paused_until().is_some_and(|until| until <= time);
        if over {
            self.resume();
        }
    }

    /// Closes one connection that is too old or too many; how long to wait for the next.
    fn expire(&self) -> Duration {
        let expired = self.desk.lock().expire(now());
        if expired.is_none() {
            return Duration::from_millis(1);
        }
        close_all(expired);
        self.opener.tell();
        SPACING
    }

    /// Asks idle connections, and those that listen, whether they still answer; those that don't are
    /// closed.
    ///
    /// They stay where they are meanwhile, so that callers find them.
    fn ask_idle(self: &Arc<Self>, doubtful: bool) {
        // In doubt a caller may be about to try the next one.
        let limit = if doubtful {
            self.check_timeout()
        } else {
            self.limits.keepalive_timeout()
        };
        let mut asked = Vec::new();
        // Nobody else would notice that a connection fell silent on which notifications are awaited.
        let keepalive = if doubtful {
            Duration::ZERO
        } else {
            self.limits.keepalive_interval
        };
        for listener in self.holders.unheard(keepalive) {
            asked.push(self.ask(&listener, self.limits.keepalive_timeout()));
        }
        {
            let mut slots = self.desk.lock();
            for connection in slots.ask(doubtful, now()) {
                asked.push(self.ask(&connection.client, limit));
            }
        }
        for answer in asked {
            self.tasks.spawn(answer);
        }
    }

    /// Asks at once, so that whatever is sent to this connection from now on is sent later; what is
    /// returned waits for the answer.
    pub(super) fn ask(
        self: &Arc<Self>,
        client: &Arc<Client>,
        limit: Duration,
    ) -> impl Future<Output = ()> + Send + 'static + use<> {
        let mut barrier = Box::pin({
            let client = Arc::clone(client);
            async move { client.barrier().await.is_ok() }
        });
        let first = barrier
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        let deadline = Deadline::after(limit);
        let (pool, client) = (Arc::downgrade(self), Arc::clone(client));
        async move {
            if first.is_ready() || deadline.run(barrier).await.is_ok() {
                // One that has ended is taken out by who drives it.
                return;
            }
            if let Some(inner) = pool.upgrade() {
                inner.give_up(&client);
            }
        }
    }

    /// Closes a connection that does not answer.
    pub(super) fn give_up(&self, client: &Client) {
        client.close();
        self.desk.lock().doubt();
        self.observers.connection_lost(&ConnectionLost {
            process_id: Some(client.process_id()),
            cause: "it did not answer in time when it was asked for a sign of life",
        });
    }

    fn warn_of_leaks(&self) {
        for holder in self.holders.overdue(self.limits.leak_warning_after) {
            self.observers.publish(Event::LeakSuspected {
                location: holder.location,
                held: holder.held,
                process_id: holder.process_id,
            });
        }
    }
}
