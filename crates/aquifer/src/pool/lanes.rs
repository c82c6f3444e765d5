use std::ops::Deref;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use aquifer_wire::{Client, Driver, Ended, Pulse};
use arc_swap::ArcSwap;
use tokio::runtime::{self, Handle};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::{Checkout, Pool};
use crate::clock;
use crate::deadline::Deadline;
use crate::wait::unless;

/// How often whoever waits on a lane is woken.
pub(crate) const TICK: Duration = Duration::from_millis(100);

/// A shared connection.
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    client: Arc<Client>,
    /// The runtime that it was opened on.
    home: Option<runtime::Id>,
}

impl Lane {
    /// Whether the calling task is woken every [`TICK`] for as long as it waits on this lane.
    ///
    /// Whoever runs on another runtime can't rely on that: this one's may stand still, or end.
    pub(crate) fn wakes_callers(&self) -> bool {
        self.home.is_some() && self.home == here()
    }

    pub(crate) fn into_client(self) -> Arc<Client> {
        self.client
    }
}

impl Deref for Lane {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

fn here() -> Option<runtime::Id> {
    Handle::try_current().ok().map(|here| here.id())
}

/// Wakes whoever waits on a lane again and again, until it has ended.
///
/// A task of its own: the one that polls the driver may wait for its turn on a thread that is blocked.
pub(super) async fn tick(pulse: Pulse) {
    while !pulse.has_ended() {
        tokio::time::sleep(TICK).await;
        if pulse.in_flight() > 0 {
            pulse.wake_callers();
        }
    }
}

/// The shared connections: autocommit reads of many callers travel on them together.
#[derive(Debug)]
pub(super) struct Lanes {
    state: Mutex<State>,
    /// Those open in `state`, for who takes one: that must not wait for a lock.
    open: ArcSwap<Vec<Lane>>,
    lanes_max: usize,
    requests_max: usize,
    /// Told when one was opened.
    opened: Notify,
}

#[derive(Debug, Default)]
struct State {
    open: Vec<Lane>,
    /// Out of use; on some a read may be under way still.
    leaving: Vec<Weak<Client>>,
    /// How often all were retired.
    retired: u64,
    /// How many places were lent to exclusive connections, or are about to be.
    lent: usize,
    closed: bool,
}

impl State {
    fn leave(&mut self, lane: &Arc<Client>) {
        self.leaving.retain(|lane| lane.strong_count() > 0);
        self.leaving.push(Arc::downgrade(lane));
    }
}

impl Lanes {
    pub(super) fn new(lanes_max: usize, requests_max: usize) -> Self {
        Self {
            state: Mutex::default(),
            open: ArcSwap::default(),
            lanes_max,
            requests_max,
            opened: Notify::new(),
        }
    }

    /// The lane with the fewest requests, the first of equals: so that few lanes carry large groups.
    /// One that has as many as it should have at most is taken only where it `may_be_full`.
    #[inline]
    pub(super) fn least_busy(&self, may_be_full: impl FnOnce() -> bool) -> Option<Lane> {
        let open = self.open.load();
        let lanes = open.iter().map(|lane| (lane.in_flight(), lane));
        let (in_flight, lane) = lanes.min_by_key(|(in_flight, _)| *in_flight)?;
        (in_flight < self.requests_max || may_be_full()).then(|| lane.clone())
    }

    /// Waits until one is opened, if none is open.
    async fn any(&self) {
        let mut opened = pin!(self.opened.notified());
        opened.as_mut().enable();
        if self.lock().open.is_empty() {
            opened.await;
        }
    }

    /// How many should be opened.
    pub(super) fn missing(&self) -> usize {
        let state = self.lock();
        if state.closed {
            0
        } else {
            self.lanes_max.saturating_sub(state.open.len() + state.lent)
        }
    }

    /// How often all lanes were retired so far.
    pub(super) fn retirements(&self) -> u64 {
        self.lock().retired
    }

    /// Adds a lane whose opening began after so many [`retirements`](Self::retirements).
    pub(super) fn add(&self, client: Client, retirements: u64) {
        let mut state = self.lock();
        // It may have ended on the way here, when there was nothing to prune yet.
        if !state.closed && state.retired == retirements && client.ended().is_none() {
            let (client, home) = (Arc::new(client), here());
            state.open.push(Lane { client, home });
            self.show(&state);
            drop(state);
            self.opened.notify_waiters();
        }
    }

    /// Removes lanes that have ended.
    pub(super) fn prune(&self) {
        let mut state = self.lock();
        state.open.retain(|client| client.ended().is_none());
        self.show(&state);
    }

    /// Open lanes, and the requests under way on them.
    pub(super) fn counts(&self) -> (usize, usize) {
        let state = self.lock();
        (
            state.open.len(),
            state.open.iter().map(|client| client.in_flight()).sum(),
        )
    }

    /// The open lanes.
    pub(super) fn list(&self) -> Vec<Arc<Client>> {
        let state = self.lock();
        let clients = state.open.iter().map(|lane| Arc::clone(&lane.client));
        clients.collect()
    }

    /// Takes one lane out of use, so that a new one is opened; what is under way on it goes on.
    pub(super) fn remove(&self, lane: &Arc<Client>) {
        let mut state = self.lock();
        state.open.retain(|open| !Arc::ptr_eq(&open.client, lane));
        state.leave(lane);
        self.show(&state);
    }

    /// Whether there is more than the one lane that never lends its place.
    pub(super) fn may_lend(&self) -> bool {
        self.lanes_max > 1
    }

    /// Takes one lane out of use for good, so that its place may be lent; never the last one, nor
    /// while another one is missing, which may be on its way.
    pub(super) fn lend(&self) -> Option<Arc<Client>> {
        let mut state = self.lock();
        let all_open = state.open.len() + state.lent == self.lanes_max;
        if state.closed || !all_open || state.open.len() <= 1 {
            return None;
        }
        let lane = state.open.pop()?.client;
        state.leave(&lane);
        state.lent += 1;
        self.show(&state);
        Some(lane)
    }

    /// A lane may be opened again in a place that was lent.
    pub(super) fn given_back(&self) {
        let mut state = self.lock();
        state.lent = state.lent.saturating_sub(1);
    }

    /// Requests that were answered so far on the lanes that are open.
    pub(super) fn answered(&self) -> usize {
        let state = self.lock();
        let answered = state.open.iter().map(|client| client.pulse().answered());
        answered.sum()
    }

    /// Takes the lanes there are out of use, so that new ones are opened; what is under way on them
    /// goes on.
    pub(super) fn retire(&self) -> Vec<Arc<Client>> {
        let mut state = self.lock();
        state.retired += 1;
        let retired = std::mem::take(&mut state.open);
        let retired: Vec<_> = retired.into_iter().map(|lane| lane.client).collect();
        for lane in &retired {
            state.leave(lane);
        }
        self.show(&state);
        retired
    }

    /// As [`retire`](Self::retire), but hands back all lanes that have not ended, whenever they were
    /// taken out of use.
    pub(super) fn retire_all(&self) -> Vec<Arc<Client>> {
        // Held until they are listed: the last one who holds a lane closes it.
        let _retired = self.retire();
        let state = self.lock();
        let leaving = state.leaving.iter().filter_map(Weak::upgrade);
        leaving.filter(|lane| lane.ended().is_none()).collect()
    }

    /// Takes all lanes out of use, for good; what is under way on them goes on. Hands back what
    /// [`retire_all`](Self::retire_all) does.
    pub(super) fn close(&self) -> Vec<Arc<Client>> {
        self.lock().closed = true;
        self.retire_all()
    }

    /// Lets callers see which lanes are open; under the lock, after every change of them.
    fn show(&self, state: &State) {
        self.open.store(Arc::new(state.open.clone()));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pool {
    /// What `checkout` gets, for a read that found no lane open; `None` as soon as one is opened, for
    /// whoever holds the exclusive connections may do so for long.
    ///
    /// Cancellation: as that of `checkout`.
    pub(crate) async fn checkout_unless_lane<E>(
        &self,
        checkout: impl Future<Output = Result<Checkout, E>>,
    ) -> Option<Result<Checkout, E>> {
        let checkout = pin!(checkout);
        if self.0.limits.lanes == 0 {
            return Some(checkout.await);
        }
        unless(checkout, self.0.lanes.any()).await
    }
}

/// Polls the driver of a lane until it ends, and retires the lane when nobody on it got an answer for
/// twice `limit` and the time that an answer is on the way; says why it ended, and whether it was
/// retired. Until that time is known it is taken for what the `opening` took, at least two ways.
///
/// The server ends by itself what runs longer than `limit`. That it does not means that it, or the
/// way to it, stands still, or that many statements in one group are nearly as slow. A retired lane
/// is closed at once: those who wait on it are told, and run their reads elsewhere.
pub(super) async fn attend(
    driver: Driver,
    pulse: Pulse,
    limit: Duration,
    opening: Duration,
) -> (Arc<Ended>, bool) {
    let mut driver = pin!(driver);
    let mut watch = Watch::new(clock::now());
    let mut retired = false;
    loop {
        match Deadline::after(limit / 2).run(driver.as_mut()).await {
            Ok(ended) => return (ended, retired),
            Err(_tick) => {
                let standstill = watch.look(&pulse, clock::now());
                if standstill >= limit * 2 + pulse.way().unwrap_or(opening) {
                    retired = true;
                    pulse.close();
                }
            }
        }
    }
}

/// Since when a lane has given no answer.
struct Watch {
    since: Instant,
    answered: usize,
}

impl Watch {
    fn new(now: Instant) -> Self {
        Self {
            since: now,
            answered: 0,
        }
    }

    /// How long requests have waited without any being answered.
    fn look(&mut self, pulse: &Pulse, now: Instant) -> Duration {
        let answered = pulse.answered();
        if pulse.in_flight() == 0 || answered != self.answered {
            self.answered = answered;
            self.since = now;
        }
        now - self.since
    }
}
