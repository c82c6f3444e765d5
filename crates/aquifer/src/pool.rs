//! Connections of one database: shared read lanes, and exclusive connections that are checked out.
//!
//! Who owns what is decided by [`Slots`]; here it is carried out. Callers wait only for a
//! connection, never for their own connect: a background task ([`opener`]) opens them, and another
//! one ([`upkeep`]) keeps them in good order.

mod background;
mod breakers;
mod checkout;
mod desk;
mod drain;
mod holders;
mod lane_care;
mod lanes;
mod lending;
mod limits;
mod lineage;
mod opener;
mod pause;
mod pools;
mod refusal;
mod upkeep;

use std::future::poll_fn;
use std::panic::Location;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use aquifer_core::slots::{Claimed, Counts, Opening, Permit, Slots};
use aquifer_wire::Catalog;
use aquifer_wire::Client;
use tokio::sync::Notify;
use tokio::time::Instant;

use self::background::Background;
use self::breakers::Breakers;
pub use self::breakers::{BreakerLane, BreakerStatus};
pub(crate) use self::breakers::{ReadPermit, refuse};
pub(crate) use self::checkout::Checkout;
use self::desk::{Claim, Desk};
pub use self::holders::Holder;
use self::holders::Holders;
use self::lane_care::LaneCare;
use self::lanes::Lanes;
pub(crate) use self::lanes::{Lane, TICK};
use self::lending::Looks;
pub(crate) use self::limits::Limits;
pub(crate) use self::lineage::XID;
pub(crate) use self::pools::{Chosen, Destination, Many, Plan, Pools};
pub use self::pools::{HostStatus, ReplicaLag};
use self::refusal::closed;
use crate::deadline::{Deadline, Timer};
use crate::error::Lineage;
use crate::observe::Observers;
use crate::statement::Prepared;
use crate::tasks::Tasks;
use crate::topology::{Connector, Reports};
use crate::{Error, clock};

/// A handle on the connections of one database; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Pool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    desk: Desk<Connection>,
    lanes: Lanes,
    lane_care: LaneCare,
    breakers: Breakers,
    looks: Looks,
    connector: Connector,
    limits: Limits,
    tasks: Arc<Tasks>,
    observers: Observers,
    reports: Reports,
    opener: Background,
    upkeep: Background,
    last_failure: Mutex<Option<String>>,
    /// In microseconds; `u64::MAX` while none was opened.
    fastest_opening: AtomicU64,
    holders: Holders,
    /// An idle connection did not answer, so the others are asked.
    doubts: AtomicBool,
    /// When the pause ends by itself, if there is one.
    paused_until: Mutex<Option<Instant>>,
    closed: AtomicBool,
    /// It was closed by a shutdown.
    draining: AtomicBool,
    /// Nothing may go to the host any more, not even what was under way.
    cut: AtomicBool,
    /// Told when a connection comes back, or is lost, after the pool was closed or paused.
    came_back: Notify,
    /// How many came back since it was closed.
    closed_late: AtomicUsize,
    /// It was told that no connection is to be had.
    exhausted: AtomicBool,
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
///
/// With several hosts, the sums over all of them; [`Db::hosts`](crate::Db::hosts) tells them apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStatus {
    /// Most connections at once, shared and exclusive together.
    pub connections_max: usize,
    /// Of these, shared read lanes; the others are exclusive. Fewer than configured while callers
    /// queue for exclusive connections and hardly anybody reads on the lanes: all but one then lend
    /// their places.
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
    /// Nothing is given out at present: see [`Db::pause`](crate::Db::pause).
    pub paused: bool,
}

impl Pool {
    /// A pool that opens nothing before somebody wants it.
    pub(crate) fn new(
        connector: Connector,
        limits: Limits,
        tasks: &Arc<Tasks>,
        observers: Observers,
        reports: Reports,
    ) -> Self {
        Self(Arc::new(Inner {
            desk: Desk::new(Slots::new(limits.slots(), now())),
            lanes: Lanes::new(limits.lanes, limits.lane_requests_max),
            lane_care: LaneCare::default(),
            breakers: Breakers::new(connector.host(), limits.breaker, limits.acquire_timeout),
            looks: Looks::new(),
            connector,
            limits,
            tasks: Arc::clone(tasks),
            observers,
            reports,
            opener: Background::default(),
            upkeep: Background::default(),
            last_failure: Mutex::default(),
            fastest_opening: AtomicU64::new(u64::MAX),
            holders: Holders::default(),
            doubts: AtomicBool::new(false),
            paused_until: Mutex::default(),
            closed: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            cut: AtomicBool::new(false),
            came_back: Notify::new(),
            closed_late: AtomicUsize::new(0),
            exhausted: AtomicBool::new(false),
        }))
    }

    /// Opens the first connection, so that a wrong address or password shows at once, and starts
    /// the tasks that open the others when they are wanted and keep all in order.
    pub(crate) async fn start(&self) -> Result<(), Error> {
        let inner = &self.0;
        let opening = inner.desk.lock().open_ahead();
        if let Some(opening) = opening {
            let client = opener::open(inner, false).await?;
            inner.opened(opening, client);
        }
        inner.want();
        Ok(())
    }

    /// Somebody is about to need connections.
    pub(crate) fn want(&self) {
        self.0.want();
    }

    /// The shared lane with the fewest requests; `None` while none is open, or all are full and an
    /// exclusive connection is to be had.
    ///
    /// Where none is, a full lane is quicker still: the queue for exclusive connections moves by one
    /// call at a time, and whoever came later and found room on a lane would overtake those in it.
    pub(crate) fn lane(&self) -> Option<Lane> {
        let lanes = &self.0.lanes;
        lanes.least_busy(|| self.0.desk.lock().is_exhausted())
    }

    /// Whether an exclusive connection is to be had without waiting.
    pub(crate) fn is_any_idle(&self) -> bool {
        self.0.desk.lock().counts().idle > 0
    }

    /// How long one statement may run on a lane.
    pub(crate) fn lane_timeout(&self) -> Duration {
        self.0.connector.lane_timeout()
    }

    /// What must stand in front of each read on a lane, where its session does not promise it.
    pub(crate) fn lane_guard(&self) -> Option<Prepared<'_>> {
        self.0.connector.lane_guard()
    }

    /// Whether a pooler stands between, so that no session lasts longer than a transaction.
    pub(crate) fn is_pooled(&self) -> bool {
        self.0.connector.is_pooled()
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
        self.checkout_if(false, deadline, location).await
    }

    /// As [`checkout`](Self::checkout), with the timer that the caller goes on to use.
    ///
    /// Cancellation: as `checkout`.
    pub(crate) async fn checkout_timed(
        &self,
        deadline: Deadline,
        location: &'static Location<'static>,
        timer: Timer<'_>,
    ) -> Result<Checkout, Error> {
        self.take(false, deadline, location, timer).await
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
        self.checkout_if(true, deadline, location).await
    }

    async fn checkout_if(
        &self,
        answering: bool,
        deadline: Deadline,
        location: &'static Location<'static>,
    ) -> Result<Checkout, Error> {
        let timer = pin!(None);
        self.take(answering, deadline, location, Timer::new(timer))
            .await
    }

    /// Each lap waits, or finds a connection that has ended and is rid of it then.
    async fn take(
        &self,
        answering: bool,
        deadline: Deadline,
        location: &'static Location<'static>,
        mut timer: Timer<'_>,
    ) -> Result<Checkout, Error> {
        let mut time = clock::now();
        let deadline = deadline.at_most_after(time, self.0.limits.acquire_timeout);
        loop {
            let pass_on = |claimed| self.0.pass_on(claimed);
            let call = match self.0.breakers.permit_write(time.into_std()) {
                Ok(call) => call,
                Err(refused) => {
                    // Boxed: it is rare, and would be a part of each call's future.
                    return Err(Box::pin(self.0.unavailable(BreakerLane::Writes, refused)).await);
                }
            };
            let left = deadline.left_at(time);
            let claim = self.0.desk.claim_or_wait(left, time.into_std(), pass_on);
            let outcome = match claim {
                Ok(Claim::Now(claimed)) => {
                    self.0.is_to_be_had();
                    Ok(claimed)
                }
                Ok(Claim::Wait(waiting)) => {
                    // Else there is nothing to be done about it but wait, and waking a task for
                    // that would cost each of many callers more than waiting does.
                    if waiting.is_first || waiting.may_open {
                        self.0.want();
                    }
                    if waiting.is_first {
                        // From now on the queue must be looked at.
                        self.0.upkeep.tell();
                    }
                    let mut waiting = pin!(waiting);
                    let wait = poll_fn(|context| {
                        let outcome = waiting.as_mut().poll(context);
                        if outcome.is_pending() {
                            self.0.want_if_left();
                        }
                        outcome
                    });
                    let outcome = timer.run(deadline, pin!(wait)).await;
                    let asked = std::mem::replace(&mut time, clock::now());
                    self.0.observers.waited(time - asked);
                    match outcome {
                        Ok(outcome) => outcome,
                        Err(_elapsed) => return Err(self.0.timed_out(deadline)),
                    }
                }
                Err(refusal) => Err(refusal),
            };
            let claimed = outcome.map_err(|refusal| self.0.refused(refusal, deadline))?;
            let holder = (location, time);
            let Some(mut checkout) = Checkout::of(&self.0, claimed, call, holder) else {
                time = clock::now();
                continue;
            };
            if !answering && !checkout.is_doubtful() {
                return Ok(checkout);
            }
            // Boxed: it is rare, and would be a part of each call's future.
            match Box::pin(deadline.run(checkout.answers())).await {
                Ok(true) => return Ok(checkout),
                Ok(false) => self.0.doubt_all(),
                Err(_elapsed) => return Err(self.0.timed_out(deadline)),
            }
            time = clock::now();
        }
    }

    /// As [`resize`](Self::resize), of a pool that nobody uses yet.
    pub(crate) fn set_size(&self, connections_max: usize) {
        let exclusive = connections_max.saturating_sub(self.0.limits.lanes);
        close_all(self.0.desk.lock().resize(exclusive.max(1)));
    }

    /// Changes how many connections there may be at once; at least one more than lanes.
    pub(crate) fn resize(&self, connections_max: usize) {
        self.set_size(connections_max);
        self.0.want();
    }

    pub(crate) fn status(&self) -> PoolStatus {
        let counts = self.0.counts();
        let (lanes, lane_requests) = self.0.lanes.counts();
        PoolStatus {
            connections_max: counts.capacity - counts.lent + self.0.limits.lanes,
            lanes_max: self.0.limits.lanes - counts.lent,
            lanes,
            lane_requests,
            idle: counts.idle,
            connecting: counts.opening,
            in_use: counts.in_use,
            waiting: counts.waiting,
            paused: counts.paused,
        }
    }

    /// Tells the status whenever it is asked, without keeping the pool; `None` once it is closed.
    pub(crate) fn watch(&self) -> impl Fn() -> Option<PoolStatus> + Send + Sync + use<> {
        let pool = Arc::downgrade(&self.0);
        move || {
            let inner = pool.upgrade().filter(|inner| !inner.is_closed())?;
            Some(Self(inner).status())
        }
    }

    pub(crate) fn catalog(&self) -> &Arc<Catalog> {
        self.0.connector.catalog()
    }

    /// Who holds exclusive connections now, the longest first.
    pub(crate) fn holders(&self) -> Vec<Holder> {
        self.0.holders.list()
    }

    /// Whether it gives out nothing any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

impl Inner {
    fn counts(&self) -> Counts {
        self.desk.lock().counts()
    }

    /// Wakes the tasks of the pool, or starts them anew: the runtime on which they ran may have
    /// ended.
    fn want(self: &Arc<Self>) {
        self.opener.tell();
        if !self.is_closed() {
            self.opener.ensure(self, opener::run);
            self.upkeep.ensure(self, upkeep::run);
        }
    }

    /// For somebody who waits for a connection: begins the tasks anew that ended meanwhile.
    fn want_if_left(self: &Arc<Self>) {
        if self.opener.has_ended() || self.upkeep.has_ended() {
            self.want();
        }
    }

    /// Stops opening connections, and gives up the one that is being opened.
    fn stop_tasks(&self) {
        self.opener.stop();
        self.upkeep.stop();
    }

    /// A new connection goes to the first waiter, else it is idle.
    fn opened(&self, opening: Opening, client: Client) {
        let connection = Connection {
            client: Arc::new(client),
            dirty: AtomicBool::new(false),
            lineage: OnceLock::new(),
        };
        let surplus = self.desk.opened(opening, connection, self.span(), now());
        close_all(surplus);
    }

    /// A connection in good order goes to the first waiter, else it is idle.
    fn release(&self, permit: Permit, connection: Connection, time: std::time::Instant) {
        let surplus = self.desk.release(permit, connection, time);
        self.returned(surplus);
    }

    /// A connection whose waiter has gone goes to the next.
    fn pass_on(&self, claimed: Claimed<Connection>) {
        let surplus = self.desk.pass_on(claimed, now());
        self.returned(surplus);
    }

    /// After a connection has come back, with itself if it is to be closed.
    fn returned(&self, surplus: Option<Connection>) {
        let Some(connection) = surplus else {
            return;
        };
        connection.client.close();
        if self.is_closed() {
            self.closed_late.fetch_add(1, Ordering::Relaxed);
        }
        self.opener.tell();
        self.came_back.notify_waiters();
    }

    /// A connection in use is gone; somebody may want another one.
    fn lost(&self, permit: Permit) {
        self.desk.lock().lost(permit);
        self.opener.tell();
        self.came_back.notify_waiters();
    }

    /// How long a connection may take to answer before it is used.
    fn check_timeout(&self) -> Duration {
        let fastest = self.fastest_opening.load(Ordering::Relaxed);
        self.limits.check_timeout(Duration::from_micros(fastest))
    }

    /// A connection did not answer: the others are asked too, all at once, so that callers need not
    /// find out one after the other.
    fn doubt_all(&self) {
        self.desk.lock().doubt();
        self.doubts.store(true, Ordering::Release);
        self.upkeep.tell();
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

/// The time for the accounting, which knows nothing of tokio.
fn now() -> std::time::Instant {
    clock::now().into_std()
}

fn close_all(connections: impl IntoIterator<Item = Connection>) {
    for connection in connections {
        connection.client.close();
    }
}
