//! What is done to a pool now and then, rather than for one caller.

use std::time::{Duration, Instant};

use super::{Shed, Slots, State};

impl<C, W> Slots<C, W> {
    /// No connection is given out until [`resume`](Self::resume); hands back the idle ones. Those
    /// in use are closed as they come back, and if that is later, must answer before they are used;
    /// those that are being opened are closed whenever they are open.
    pub fn pause(&mut self) -> Vec<C> {
        if self.state == State::Open {
            self.state = State::Paused;
            self.doubt();
            self.paused_at = self.generation;
        }
        self.take_idle(|_| true)
    }

    /// Connections are given out again.
    pub fn resume(&mut self, now: Instant) {
        if self.state == State::Paused {
            self.state = State::Open;
            // Who waits has waited for the switch-over, not for too many others.
            self.codel.forgive(now);
            self.pace.start(now);
        }
    }

    /// No connection is given out any more; hands back the idle ones and those who wait.
    pub fn close(&mut self) -> (Vec<C>, Vec<W>) {
        self.state = State::Closed;
        (self.take_idle(|_| true), self.queue.drain())
    }

    /// Changes how many there may be at once, besides those in lent places; hands back the idle ones that are too many.
    ///
    /// Those in use that are too many are closed as they come back.
    pub fn resize(&mut self, capacity: usize) -> Vec<C> {
        self.limits.capacity = capacity + self.lent;
        self.close_excess()
    }

    /// Takes out the idle ones that are too many.
    pub(super) fn close_excess(&mut self) -> Vec<C> {
        let excess = self.total().saturating_sub(self.limits.capacity);
        let excess = excess.min(self.idle.len());
        self.idle
            .drain(..excess)
            .map(|(_age, connection)| connection)
            .collect()
    }

    /// Takes out idle connections that are no longer wanted, for example since they ended.
    pub fn take_idle(&mut self, mut unwanted: impl FnMut(&C) -> bool) -> Vec<C> {
        self.idle
            .extract_if(.., |(_age, connection)| unwanted(connection))
            .map(|(_age, connection)| connection)
            .collect()
    }

    /// Takes out one connection that has lived or been idle for too long.
    ///
    /// One at a time: after a stall of the whole program all may seem idle, and to close them at
    /// once would leave a busy pool empty.
    pub fn expire(&mut self, now: Instant) -> Option<C> {
        let spare = self.total() > self.limits.minimum;
        let limits = self.limits;
        let index = self.idle.iter().position(|(age, _connection)| {
            age.is_expired(now) || spare && now >= age.idle_end(&limits)
        })?;
        let (_age, connection) = self.idle.remove(index);
        Some(connection)
    }

    /// Those idle connections that are due to be asked whether they still answer, each until its
    /// next turn; with `doubtful` also those that somebody would have to ask before use.
    pub fn ask(&mut self, doubtful: bool, now: Instant) -> impl Iterator<Item = &C> {
        let (limits, generation) = (self.limits, self.generation);
        self.idle.iter_mut().filter_map(move |(age, connection)| {
            let unsure = doubtful && age.is_doubtful(&limits, generation, now);
            (unsure || now >= age.ask_at).then(|| {
                age.ask_at = now + age.keepalive;
                &*connection
            })
        })
    }

    /// Refuses those who have waited too long in a queue that does not empty.
    ///
    /// While nobody has a connection they wait for the server, and while the pool is paused for
    /// its resumption: neither is for want of capacity, so nobody is refused.
    pub fn poll(&mut self, now: Instant) -> Shed<W> {
        if self.state != State::Open || self.in_use == 0 {
            self.codel.forgive(now);
            return Vec::new();
        }
        self.shed(now)
    }

    /// When [`poll`](Self::poll), [`expire`](Self::expire) or [`ask`](Self::ask) has something to
    /// do next; `None` while that depends on what callers do.
    #[must_use]
    pub fn due(&self, now: Instant) -> Option<Instant> {
        let spare = self.total() > self.limits.minimum;
        let idle = self.idle.iter().map(|(age, _connection)| {
            let asked = age.ask_at.min(age.expires);
            if spare {
                asked.min(age.idle_end(&self.limits))
            } else {
                asked
            }
        });
        let queue = (!self.queue.is_empty()).then(|| self.queue_due(now));
        idle.chain(queue).min()
    }

    fn queue_due(&self, now: Instant) -> Instant {
        let end = self.codel.end();
        match (self.codel.wait_max(), self.queue.oldest()) {
            // A little later than the limit, since only who has waited longer is refused.
            (Some(wait_max), Some(since)) => {
                (since + wait_max + Duration::from_millis(1)).clamp(now, end.max(now))
            }
            _ => end,
        }
    }
}
