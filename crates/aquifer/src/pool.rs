//! Connections of one database: shared read lanes, and exclusive connections that are checked out.
//!
//! Who owns what is decided by [`Slots`]; here it is carried out. Callers wait only for a
//! connection, never for their own connect: a background task ([`opener`]) opens them.

mod checkout;
mod connector;
mod drain;
mod holders;
mod lanes;
mod lineage;
mod opener;

use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use aquifer_core::slots::{Counts, Handover, Permit, Refusal, Slots};
use aquifer_wire::Catalog;
use aquifer_wire::Client;
use tokio::sync::{Notify, oneshot};
use tokio::task::AbortHandle;

pub(crate) use self::checkout::Checkout;
pub(crate) use self::connector::Connector;
pub use self::holders::Holder;
use self::holders::Holders;
use self::lanes::Lanes;
pub(crate) use self::lineage::XID;
use crate::deadline::Deadline;
use crate::error::Lineage;
use crate::observe::Observers;
use crate::tasks::Tasks;
use crate::{Error, ErrorKind};

/// Checked limits of one pool.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// Shared lanes, within `connections_max`.
    pub(crate) lanes: usize,
    pub(crate) connections_max: usize,
    pub(crate) acquire_timeout: Duration,
    pub(crate) waiters_max: usize,
}

/// A handle on the connections of one database; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Pool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    slots: Mutex<Slots<Connection, oneshot::Sender<Checkout>>>,
    lanes: Lanes,
    connector: Connector,
    limits: Limits,
    tasks: Arc<Tasks>,
    observers: Observers,
    /// Told when connections are wanted.
    wanted: Arc<Notify>,
    /// The task that opens them.
    opener: Mutex<Option<AbortHandle>>,
    last_failure: Mutex<Option<String>>,
    holders: Holders,
    closed: AtomicBool,
    /// Told when a connection comes back after the pool was closed.
    came_back: Notify,
    /// How many came back since.
    closed_late: AtomicUsize,
}

/// One exclusive connection.
#[derive(Debug)]
struct Connection {
    client: Arc<Client>,
    /// The session's settings may differ from their defaults.
    dirty: AtomicBool,
    /// `None` within when the server does not tell.
    lineage: OnceLock<Option<Lineage>>,
}

/// How many connections a pool has, and what they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStatus {
    /// Most connections at once, shared and exclusive together.
    pub connections_max: usize,
    /// Of these, shared read lanes; the others are exclusive.
    pub lanes_max: usize,
    /// Shared read lanes that are open.
    pub lanes: usize,
    /// Requests under way on the shared lanes.
    pub lane_requests: usize,
    /// Exclusive connections that are free.
    pub idle: usize,
    /// Exclusive connections being opened.
    pub connecting: usize,
    /// Exclusive connections in use.
    pub in_use: usize,
    /// Callers that wait for an exclusive connection.
    pub waiting: usize,
}

impl Pool {
    /// Opens the first connection, so that a wrong address or password shows at once, and starts
    /// the task that opens the others when they are wanted.
    pub(crate) async fn start(
        connector: Connector,
        limits: Limits,
        tasks: &Arc<Tasks>,
        observers: Observers,
    ) -> Result<Self, Error> {
        let exclusive = limits.connections_max - limits.lanes;
        let inner = Arc::new(Inner {
            slots: Mutex::new(Slots::new(exclusive, limits.waiters_max)),
            lanes: Lanes::new(limits.lanes),
            connector,
            limits,
            tasks: Arc::clone(tasks),
            observers,
            wanted: Arc::new(Notify::new()),
            opener: Mutex::default(),
            last_failure: Mutex::default(),
            holders: Holders::default(),
            closed: AtomicBool::new(false),
            came_back: Notify::new(),
            closed_late: AtomicUsize::new(0),
        });
        let opening = inner.slots().open_ahead();
        if let Some(opening) = opening {
            let client = opener::open(&inner, false).await?;
            inner.opened(opening, client);
        }
        inner.want();
        Ok(Self(inner))
    }

    /// The shared lane with the fewest requests; `None` while none is open.
    pub(crate) fn lane(&self) -> Option<Arc<Client>> {
        self.0.lanes.least_busy()
    }

    /// A lane turned out to have ended: no other caller is sent there.
    pub(crate) fn lane_ended(&self) {
        self.0.lanes.prune();
        self.0.want();
    }

    /// An exclusive connection, in the order of asking.
    ///
    /// Cancellation: a connection that was handed over to a dropped future goes back by itself.
    pub(crate) async fn checkout(
        &self,
        deadline: Deadline,
        location: &'static Location<'static>,
    ) -> Result<Checkout, Error> {
        let deadline = deadline.at_most(self.0.limits.acquire_timeout);
        loop {
            let receiver = match self.0.claim_or_wait()? {
                Claim::Now(permit, connection) => {
                    return Ok(Checkout::new(&self.0, permit, connection, location));
                }
                Claim::Wait(receiver) => receiver,
            };
            self.0.want();
            match deadline.run(receiver).await {
                // It may have ended on the way; then line up again.
                Ok(Ok(checkout)) if checkout.client().ended().is_some() => drop(checkout),
                Ok(Ok(mut checkout)) => {
                    checkout.set_location(location);
                    return Ok(checkout);
                }
                Ok(Err(_closed)) => return Err(closed()),
                Err(_elapsed) => return Err(self.0.timed_out(deadline)),
            }
        }
    }

    /// As [`checkout`](Self::checkout), but of a connection that answers: for a caller who has just
    /// seen one end, since it rarely ends alone and its neighbours' end may not be noticed yet.
    ///
    /// Cancellation: as `checkout`.
    pub(crate) async fn checkout_answering(
        &self,
        deadline: Deadline,
        location: &'static Location<'static>,
    ) -> Result<Checkout, Error> {
        // At most so many can have ended; whoever ends new ones as well is left to the caller.
        for _ in 0..self.0.limits.connections_max {
            let checkout = self.checkout(deadline, location).await?;
            match deadline.run(checkout.client().barrier()).await {
                Ok(Ok(())) => return Ok(checkout),
                // It has ended; dropping it makes room for a new one.
                Ok(Err(_ended)) => drop(checkout),
                Err(_elapsed) => return Err(self.0.timed_out(deadline)),
            }
        }
        self.checkout(deadline, location).await
    }

    pub(crate) fn status(&self) -> PoolStatus {
        let counts = self.0.counts();
        let (lanes, lane_requests) = self.0.lanes.counts();
        PoolStatus {
            connections_max: self.0.limits.connections_max,
            lanes_max: self.0.limits.lanes,
            lanes,
            lane_requests,
            idle: counts.idle,
            connecting: counts.opening,
            in_use: counts.in_use,
            waiting: counts.waiting,
        }
    }

    pub(crate) fn catalog(&self) -> &Arc<Catalog> {
        self.0.connector.catalog()
    }

    /// Who holds exclusive connections now, the longest first.
    pub(crate) fn holders(&self) -> Vec<Holder> {
        self.0.holders.list()
    }

    /// Whether both handles are of one pool.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

enum Claim {
    Now(Permit, Connection),
    Wait(oneshot::Receiver<Checkout>),
}

impl Inner {
    fn slots(&self) -> MutexGuard<'_, Slots<Connection, oneshot::Sender<Checkout>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How it stands, without those who have given up waiting.
    fn counts(&self) -> Counts {
        let mut slots = self.slots();
        slots.retain_waiters(|waiter| !waiter.is_closed());
        slots.counts()
    }

    /// Wakes the task that opens connections, or starts it anew: the runtime on which it ran may
    /// have ended.
    fn want(self: &Arc<Self>) {
        self.wanted.notify_one();
        let mut opener = self.opener.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.is_closed() && opener.as_ref().is_none_or(AbortHandle::is_finished) {
            *opener = self.tasks.spawn(opener::run(Arc::downgrade(self)));
        }
    }

    /// Stops opening connections, and gives up the one that is being opened.
    fn stop_opener(&self) {
        let opener = self
            .opener
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(opener) = opener {
            opener.abort();
        }
    }

    fn claim_or_wait(&self) -> Result<Claim, Error> {
        let mut slots = self.slots();
        while let Some((permit, connection)) = slots.claim() {
            if connection.client.ended().is_none() {
                return Ok(Claim::Now(permit, connection));
            }
            slots.lost(permit);
        }
        slots.retain_waiters(|waiter| !waiter.is_closed());
        let (sender, receiver) = oneshot::channel();
        match slots.wait(sender) {
            Ok(()) => Ok(Claim::Wait(receiver)),
            Err(Refusal::Full) => {
                let counts = slots.counts();
                drop(slots);
                Err(self.queue_full(counts))
            }
            Err(_) => Err(closed()),
        }
    }

    /// A new connection goes to the first waiter, else it is idle.
    fn opened(self: &Arc<Self>, opening: aquifer_core::slots::Opening, client: Client) {
        let connection = Connection {
            client: Arc::new(client),
            dirty: AtomicBool::new(false),
            lineage: OnceLock::new(),
        };
        let handover = self.slots().opened(opening, connection);
        self.hand_over(handover);
    }

    /// A connection in good order goes to the first waiter, else it is idle.
    fn release(self: &Arc<Self>, permit: Permit, connection: Connection) {
        let handover = self.slots().release(permit, connection);
        self.hand_over(handover);
        if self.is_closed() {
            self.closed_late.fetch_add(1, Ordering::Relaxed);
            self.came_back.notify_waiters();
        }
    }

    /// A connection in use is gone; somebody may want another one.
    fn lost(&self, permit: Permit) {
        self.slots().lost(permit);
        self.wanted.notify_one();
        self.came_back.notify_waiters();
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn hand_over(
        self: &Arc<Self>,
        handover: Option<Handover<Connection, oneshot::Sender<Checkout>>>,
    ) {
        let mut next = handover;
        while let Some(Handover {
            waiter,
            permit,
            connection,
            ..
        }) = next.take()
        {
            let checkout = Checkout::new(self, permit, connection, Location::caller());
            // Whoever waited has gone: the next one gets it.
            if let Err(checkout) = waiter.send(checkout)
                && let Some((permit, connection)) = checkout.dissolve()
            {
                next = self.slots().release(permit, connection);
            }
        }
    }

    fn queue_full(&self, counts: Counts) -> Error {
        let text = format!(
            "{} callers wait for a connection already (waiters_max){}. Raise `connections_max`, \
             find what holds connections with `Db::holders()`, or shed load earlier",
            counts.waiting,
            self.failure_text(),
        );
        Error::new(ErrorKind::Acquire, text)
    }

    fn timed_out(&self, deadline: Deadline) -> Error {
        let counts = self.counts();
        let text = format!(
            "no connection became free within {:.1} s (connections_max {}, of which {} are shared \
             lanes: {} in use, {} idle, {} connecting; {} waiting{}). Find what holds connections \
             with `Db::holders()`, or raise `connections_max` or `acquire_timeout`",
            deadline.elapsed().as_secs_f64(),
            self.limits.connections_max,
            self.limits.lanes,
            counts.in_use,
            counts.idle,
            counts.opening,
            counts.waiting,
            self.failure_text(),
        );
        Error::new(ErrorKind::Acquire, text)
    }

    fn failure_text(&self) -> String {
        let failure = self
            .last_failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        failure
            .as_ref()
            .map(|text| format!("; last connect error: {text}"))
            .unwrap_or_default()
    }
}

fn closed() -> Error {
    Error::new(
        ErrorKind::Closed,
        "the pool was shut down; no call can be made on this handle any more",
    )
}
