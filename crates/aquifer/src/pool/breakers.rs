//! The circuit breakers before one host: one before its lanes, one before its exclusive connections.
//!
//! The pool is taken for the only one there is. So who comes to an open breaker waits for a connection
//! like anybody else, up to their own deadline, and the connection that the opener gets is the probe:
//! a restart costs callers no error that it would not cost without a breaker. Once the outage has
//! lasted for `acquire_timeout`, and [`PATIENCE_MIN`] at least, nobody who came at its beginning waits
//! any more, and who comes now is refused at once. Who can choose among hosts asks
//! [`Pool::breakers_allow`] first.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use aquifer_core::breaker::{self, Breaker, Change, Fault, Order, Outcome, Permit, Refused, State};
use tokio::time::Instant;

use super::{Inner, Pool, Pools, closed, now};
use crate::deadline::Deadline;
use crate::observe::{BreakerState, Event, Service};
use crate::{Error, ErrorKind, clock};

/// How often a breaker that is not closed is probed.
pub(super) const PROBE_INTERVAL: Duration = Duration::from_millis(300);

/// How long a refusal takes, so that a loop of calls leaves time to others.
const REFUSAL: Duration = Duration::from_millis(1);

/// Within this nobody is refused: a server that is restarted is mostly back by then.
const PATIENCE_MIN: Duration = Duration::from_secs(5);

/// The right to make one call on an exclusive connection.
pub(super) type CallPermit = Permit<Arc<Breaker>>;

/// What a circuit breaker guards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BreakerLane {
    /// The shared lanes, on which reads of several callers travel.
    Reads,
    /// The exclusive connections: writes, transactions and all else that has one to itself.
    Writes,
}

impl BreakerLane {
    const ALL: [Self; 2] = [Self::Reads, Self::Writes];

    /// As events name it.
    fn name(self) -> &'static str {
        match self {
            Self::Reads => "reads",
            Self::Writes => "writes",
        }
    }
}

/// Lets others run before a caller is refused whose time is not over, by a wait that holds however often
/// the future is polled: a caller who asks again and again must not keep those from their turn who would
/// give a connection back.
pub(crate) async fn refuse(deadline: Deadline) {
    if deadline.left() > REFUSAL {
        tokio::time::sleep(REFUSAL).await;
    }
}

impl fmt::Display for BreakerLane {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// How a circuit breaker stands.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BreakerStatus {
    /// The host, as in the configuration.
    pub host: Arc<str>,
    /// What of that host it guards.
    pub lane: BreakerLane,
    /// What it lets through.
    pub state: BreakerState,
    /// Whether a call that could go to another host as well might go to this one now.
    pub allows: bool,
    /// Why it is in that state, in words.
    pub reason: Arc<str>,
    /// For how long it has been in that state.
    pub state_for: Duration,
    /// Calls of the last ten seconds that were made while it was closed.
    pub calls: u64,
    /// How many of them failed by the host's fault.
    pub failures: u64,
    /// How many of them took more than ten times what is usual. On lanes only: what is given a
    /// connection of its own may take long because of what it is.
    pub slow: u64,
    /// What a call on a lane usually takes, once that is known.
    pub usual: Option<Duration>,
    /// Calls that it refused, ever.
    pub refused: u64,
    /// How often it opened, ever.
    pub openings: u64,
    /// While it is open: when it is to be probed, or sooner.
    pub retry_after: Option<Duration>,
}

#[derive(Debug)]
pub(super) struct Breakers {
    host: Arc<str>,
    reads: Breaker,
    writes: Arc<Breaker>,
    /// How old an outage must be before who comes is refused.
    patience: Duration,
}

impl Breakers {
    pub(super) fn new(host: String, limits: breaker::Limits, acquire_timeout: Duration) -> Self {
        let breaker = || Breaker::new(limits, clock::random(), now());
        Self {
            host: host.into(),
            reads: breaker(),
            writes: Arc::new(breaker()),
            patience: acquire_timeout.max(PATIENCE_MIN),
        }
    }

    pub(super) fn host(&self) -> Arc<str> {
        Arc::clone(&self.host)
    }

    fn of(&self, lane: BreakerLane) -> &Breaker {
        match lane {
            BreakerLane::Reads => &self.reads,
            BreakerLane::Writes => &self.writes,
        }
    }

    pub(super) fn name(&self) -> &Arc<str> {
        &self.host
    }

    pub(super) fn permit_write(&self, time: std::time::Instant) -> Result<CallPermit, Refused> {
        Breaker::permit_of_last(Arc::clone(&self.writes), self.patience, time)
    }

    /// Whether a probe would tell something.
    pub(super) fn want_probe(&self) -> bool {
        let wants = |breaker: &Breaker| matches!(breaker.state(), State::Open | State::HalfOpen);
        wants(&self.reads) || wants(&self.writes)
    }
}

/// The right to make one call on a lane of the pool; dropped, it is given back.
pub(crate) struct ReadPermit<P: Deref<Target = Pool>>(Permit<Reads<P>>);

/// The breaker before the lanes of a pool.
struct Reads<P>(P);

impl<P: Deref<Target = Pool>> Deref for Reads<P> {
    type Target = Breaker;

    #[inline]
    fn deref(&self) -> &Breaker {
        &self.0.0.breakers.reads
    }
}

impl<P: Deref<Target = Pool>> ReadPermit<P> {
    /// The right to make one call on a lane.
    ///
    /// # Errors
    /// Why there is none, with the pool; see [`Pool::read_refused`].
    #[inline]
    pub(crate) fn of(pool: P, time: Instant) -> Result<Self, (P, Refused)> {
        let patience = pool.0.breakers.patience;
        match Breaker::permit_of_last_or_back(Reads(pool), patience, time.into_std()) {
            Ok(permit) => Ok(Self(permit)),
            Err((Reads(pool), refused)) => Err((pool, refused)),
        }
    }

    /// Whose lanes it is for.
    pub(crate) fn pool(&self) -> &P {
        &self.0.breaker().0
    }

    /// The call was answered, so long after `start`.
    #[inline]
    pub(crate) fn answered(self, start: Instant, elapsed: Duration) {
        // For what second it counts is no matter of milliseconds, and the clock costs as much as this.
        self.record(Outcome::AnsweredIn(elapsed), start.into_std());
    }

    /// The call failed; `None` when that was not the host's fault, though it was answered.
    pub(crate) fn failed(self, pool: &Pool, fault: Option<Fault>) {
        let outcome = fault.map_or(Outcome::Answered, Outcome::Failed);
        // What a shutdown cuts is no fault of the host.
        if !pool.is_closed() {
            self.record(outcome, now());
        }
    }

    #[inline]
    fn record(self, outcome: Outcome, time: std::time::Instant) {
        self.0.record_and(outcome, time, |Reads(pool), change| {
            pool.0.breaker_changed(BreakerLane::Reads, change);
        });
    }
}

impl Pool {
    /// The host, as in the configuration.
    pub(crate) fn name(&self) -> &Arc<str> {
        &self.0.breakers.host
    }

    /// The error of a call on a lane that may not be made.
    pub(crate) async fn read_refused(&self, refused: Refused) -> Error {
        self.0.unavailable(BreakerLane::Reads, refused).await
    }

    /// Whether a call that could go to another host as well should go to this one.
    pub(super) fn breakers_allow(&self) -> bool {
        BreakerLane::ALL.iter().all(|lane| self.allows(*lane))
    }

    fn allows(&self, lane: BreakerLane) -> bool {
        self.0.breakers.of(lane).allows(now())
    }

    /// How the breakers stand.
    pub(super) fn breakers(&self) -> Vec<BreakerStatus> {
        let status = |lane| {
            let snapshot = self.0.breakers.of(lane).snapshot(now());
            BreakerStatus {
                host: Arc::clone(&self.0.breakers.host),
                lane,
                state: snapshot.state.into(),
                allows: self.allows(lane),
                reason: snapshot.reason.to_string().into(),
                state_for: snapshot.state_for,
                calls: snapshot.calls,
                failures: snapshot.failures,
                slow: snapshot.slow,
                usual: snapshot.usual,
                refused: snapshot.refused,
                openings: snapshot.openings,
                retry_after: snapshot.retry_after,
            }
        };
        BreakerLane::ALL.map(status).into()
    }

    /// Carries out an operator's word.
    pub(super) fn order_breaker(&self, lane: BreakerLane, order: Order) {
        if let Some(change) = self.0.breakers.of(lane).order(order, now()) {
            self.0.breaker_changed(lane, change);
        }
    }
}

impl Pools {
    /// How the breakers of all hosts stand that are of use.
    pub(crate) fn breakers(&self) -> Vec<BreakerStatus> {
        match self {
            Self::One(pool, _) => pool.breakers(),
            Self::Many(many) => many.present().flat_map(|pool| pool.breakers()).collect(),
        }
    }

    /// Carries out an operator's word; whether there is such a host.
    pub(crate) fn order_breaker(&self, host: &str, lane: BreakerLane, order: Order) -> bool {
        match self {
            Self::One(pool, _) if *pool.0.breakers.host == *host => {
                pool.order_breaker(lane, order);
                true
            }
            Self::One(..) => false,
            Self::Many(many) => many.order_breaker(host, lane, order),
        }
    }
}

impl Inner {
    /// After the pool was closed: nothing guards that host from now on.
    pub(super) fn forget_breakers(&self) {
        let host = &self.breakers.host;
        self.observers.forget_breakers(Service::Postgres, host);
    }

    pub(super) fn breaker_changed(&self, lane: BreakerLane, change: Change) {
        if self.is_closed() {
            return;
        }
        self.observers.publish(Event::BreakerChange {
            service: Service::Postgres,
            host: Arc::clone(&self.breakers.host),
            lane: lane.name(),
            from: change.from.into(),
            to: change.to.into(),
            reason: change.reason.to_string().into(),
        });
        // It probes what is not closed.
        self.opener.tell();
    }

    /// Records how a call on an exclusive connection ended.
    pub(super) fn record_write(&self, permit: Option<CallPermit>, outcome: Outcome) {
        self.record_write_at(permit, outcome, now());
    }

    /// As [`record_write`](Self::record_write), for who has looked at the clock.
    pub(super) fn record_write_at(
        &self,
        permit: Option<CallPermit>,
        outcome: Outcome,
        time: std::time::Instant,
    ) {
        // What a shutdown cuts is no fault of the host.
        if let Some(permit) = permit
            && !self.is_closed()
            && let Some(change) = permit.record(outcome, time)
        {
            self.breaker_changed(BreakerLane::Writes, change);
        }
    }

    /// A connection was opened, or could not be by the host's fault.
    pub(super) fn probed(&self, answered: bool) {
        for lane in BreakerLane::ALL {
            if let Some(change) = self.breakers.of(lane).probed(answered, now()) {
                self.breaker_changed(lane, change);
            }
        }
    }

    /// The error of a call that may not be made.
    ///
    /// It lets others run first: a caller who asks again and again must not keep those from their turn
    /// who find out that the host is back.
    pub(super) async fn unavailable(&self, lane: BreakerLane, refused: Refused) -> Error {
        tokio::time::sleep(REFUSAL).await;
        if self.is_closed() {
            return closed();
        }
        let host = &self.breakers.host;
        let text = match refused.retry_after {
            None => format!(
                "an operator has opened the circuit breaker of the {lane} of {host}; nothing was \
                 sent. `Db::set_breaker` closes it again",
            ),
            Some(wait) => format!(
                "{host} has been taken for down for {:?}: {}, so the circuit breaker of its {lane} is \
                 open{}; nothing was sent. It goes on being tried; ask again after {wait:?}",
                Duration::from_millis(refused.open_for.as_millis().try_into().unwrap_or(u64::MAX)),
                refused.reason,
                self.last_failure_text(),
            ),
        };
        Error::new(ErrorKind::Unavailable, text).with_retry_after(refused.retry_after)
    }
}
