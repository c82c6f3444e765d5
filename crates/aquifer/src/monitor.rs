//! How the services do that the layer depends on, watched from outside of any call.

mod board;
mod listening;
mod probe;
mod report;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::task::AbortHandle;

use self::board::Board;
pub use self::listening::Listening;
use self::probe::Probe;
pub use self::probe::{Finding, HealthProbe, Measurement, ProbeFuture, ServiceHealth};
pub use self::report::HealthResponse;
use crate::deadline::Deadline;
use crate::observe::{Event, Events, Observers, Service, Status};
use crate::tasks::Tasks;
use crate::{Error, ErrorKind, clock, wait};

/// Watches the services that a [`Db`](crate::Db) depends on, and tells when one does better or worse.
///
/// Made by [`Db::monitor`](crate::Db::monitor); cheap to clone.
/// [`DatabaseManager::initialize`](crate::DatabaseManager::initialize) starts it, else
/// [`start`](Self::start) does. It asks each service every `health_interval` (30 s), at once when a
/// connection is lost, and every `health_interval_alarm` (1 s) while one is not up. Three bad answers
/// in a row are an outage, two good ones its end; the last 100 of each are kept.
///
/// ```no_run
/// # use aquifer::{Config, Db, Error, Service};
/// # async fn example(db: &Db) -> Result<(), Error> {
/// let monitor = db.monitor();
/// monitor.start();
/// let listening = monitor.on_health_change(|service, from, to, evidence| {
///     println!("{service}: {from:?} -> {to:?}, {evidence}");
/// });
/// monitor.check_health().await;
/// assert!(monitor.is_healthy());
/// assert_eq!(monitor.health_history(Service::Postgres).len(), 1);
/// # drop(listening);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct ConnectionMonitor(Arc<Inner>);

struct Inner {
    watched: Mutex<Vec<Watched>>,
    pace: Pace,
    tasks: Arc<Tasks>,
    observers: Observers,
    watching: Mutex<Option<AbortHandle>>,
    /// The service is going down: it must get no more requests.
    leaving: AtomicBool,
}

type Watched = (Probe, Board);

/// How often and how long services are asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) interval: Duration,
    pub(crate) interval_alarm: Duration,
    pub(crate) timeout: Duration,
}

impl ConnectionMonitor {
    pub(crate) fn new(
        probe: impl HealthProbe,
        pace: Pace,
        tasks: Arc<Tasks>,
        observers: Observers,
    ) -> Self {
        let board = Board::of(&probe);
        let probe = Probe::new(probe);
        Self(Arc::new(Inner {
            watched: Mutex::new(vec![(probe, board)]),
            pace,
            tasks,
            observers,
            watching: Mutex::default(),
            leaving: AtomicBool::new(false),
        }))
    }

    /// Begins to watch, with a first look at once; while it watches already it does nothing.
    ///
    /// It ends by [`stop`](Self::stop), by a shutdown, and when the last handle on the `Db` is gone;
    /// the monitor is one, so while it is held, connections stay open.
    /// Call it within a tokio runtime; elsewhere it does nothing.
    pub fn start(&self) {
        let mut watching = self.0.watching();
        if watching.as_ref().is_none_or(AbortHandle::is_finished) {
            *watching = self.0.tasks.spawn(watch(Arc::downgrade(&self.0)));
        }
    }

    /// Ends watching; what was found stays. Without watching it does nothing.
    pub fn stop(&self) {
        if let Some(task) = self.0.watching().take() {
            task.abort();
        }
    }

    /// Whether it watches.
    #[must_use]
    pub fn is_watching(&self) -> bool {
        let watching = self.0.watching();
        watching.as_ref().is_some_and(|task| !task.is_finished())
    }

    /// Watches one more service, by a probe of the user's.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] when a service of that name is watched already.
    pub fn register(&self, probe: impl HealthProbe) -> Result<(), Error> {
        let board = Board::of(&probe);
        let probe = Probe::new(probe);
        let mut watched = self.0.watched();
        if watched
            .iter()
            .any(|(_, known)| known.service == board.service)
        {
            let text = format!(
                "`{}` is watched already; give the probe's service a name of its own",
                board.service
            );
            return Err(Error::new(ErrorKind::Usage, text));
        }
        watched.push((probe, board));
        Ok(())
    }

    /// Asks each service how it does, all at once, each within `health_timeout`.
    ///
    /// It returns what was found just now; [`current_health`](Self::current_health) says what the
    /// findings so far amount to.
    ///
    /// # Cancel safety
    /// Nothing is noted.
    #[doc(alias = "checkHealth")]
    pub async fn check_health(&self) -> Vec<ServiceHealth> {
        self.0.check().await
    }

    /// How each service does, by what was found so far; empty before the first look.
    #[must_use]
    #[doc(alias = "getCurrentHealth")]
    pub fn current_health(&self) -> Vec<ServiceHealth> {
        let watched = self.0.watched();
        watched
            .iter()
            .filter_map(|(_, board)| board.current())
            .collect()
    }

    /// What was found about one service, the latest last, at most 100 findings.
    #[must_use]
    #[doc(alias = "getHealthHistory")]
    pub fn health_history(&self, service: Service) -> Vec<ServiceHealth> {
        self.0.of(service, Board::history).unwrap_or_default()
    }

    /// Whether every required service is up, by what was found so far; false before the first look.
    #[must_use]
    #[doc(alias = "isHealthy")]
    pub fn is_healthy(&self) -> bool {
        let watched = self.0.watched();
        watched
            .iter()
            .all(|(_, board)| !board.required || board.status() == Some(Status::Up))
    }

    /// How often in a row the service was found down.
    #[must_use]
    pub fn consecutive_failures(&self, service: Service) -> u32 {
        self.0.of(service, |board| board.failures).unwrap_or(0)
    }

    /// For how long the service has been found down; `None` while it is not.
    #[must_use]
    pub fn away(&self, service: Service) -> Option<Duration> {
        let now = clock::now();
        self.0.of(service, |board| board.away(now)).flatten()
    }

    /// All events from now on, as a stream.
    #[must_use]
    pub fn events(&self) -> Events {
        self.0.observers.events()
    }

    /// Calls `listener` with each event until the [`Listening`] is dropped.
    ///
    /// It is called on a thread of its own time, one event after another: it may block, and delays
    /// nobody but itself. One that falls behind by more than 256 events misses the oldest.
    pub fn on_event(&self, listener: impl FnMut(&Event) + Send + 'static) -> Listening {
        listening::listen(self.events(), listener)
    }

    /// Calls `listener` with a service, its status before, its status now, and the evidence.
    pub fn on_health_change(
        &self,
        mut listener: impl FnMut(Service, Status, Status, &str) + Send + 'static,
    ) -> Listening {
        self.on_event(move |event| {
            if let Event::HealthChange {
                service,
                from,
                to,
                evidence,
            } = event
            {
                listener(*service, *from, *to, evidence);
            }
        })
    }

    /// Calls `listener` with a service that could not be reached, and why.
    pub fn on_connection_error(
        &self,
        mut listener: impl FnMut(Service, &str) + Send + 'static,
    ) -> Listening {
        self.on_event(move |event| {
            if let Event::ConnectionError { service, error, .. } = event {
                listener(*service, error);
            }
        })
    }

    /// Calls `listener` with a service that answers again.
    pub fn on_connection_recovery(
        &self,
        mut listener: impl FnMut(Service) + Send + 'static,
    ) -> Listening {
        self.on_event(move |event| {
            if let Event::ConnectionRecovery { service, .. } = event {
                listener(*service);
            }
        })
    }

    /// Calls `listener` with a service, the host that took its writes, if any, and the one that does
    /// now.
    pub fn on_failover(
        &self,
        mut listener: impl FnMut(Service, Option<&str>, &str) + Send + 'static,
    ) -> Listening {
        self.on_event(move |event| {
            if let Event::Failover {
                service, from, to, ..
            } = event
            {
                listener(*service, from.as_deref(), to);
            }
        })
    }

    /// For `/livez`: whether the process works. It asks no service, and never fails: who gets no
    /// answer knows enough.
    #[must_use]
    pub fn liveness(&self) -> HealthResponse {
        HealthResponse::new(Status::Up, &[], &[])
    }

    /// For `/readyz`: whether the service should get requests. By what was found so far, so it never
    /// waits.
    ///
    /// 503 before the first look, from the beginning of a shutdown on, and while a required service
    /// is down; 200 with `warn` while one is degraded, or an optional one is down.
    #[must_use]
    pub fn readiness(&self) -> HealthResponse {
        let (status, notes) = self.readiness_status();
        HealthResponse::new(status, &notes, &[])
    }

    /// For `/health`: as [`readiness`](Self::readiness), with a check for each service.
    #[must_use]
    pub fn health(&self) -> HealthResponse {
        let (status, notes) = self.readiness_status();
        HealthResponse::new(status, &notes, &self.current_health())
    }

    fn readiness_status(&self) -> (Status, Vec<&'static str>) {
        if self.0.leaving.load(Ordering::Acquire) {
            return (Status::Down, vec!["the service is shutting down"]);
        }
        let watched = self.0.watched();
        let mut worst = Status::Up;
        for (_, board) in watched.iter() {
            let status = match (board.status(), board.required) {
                (None, true) => return (Status::Down, vec!["not every service was asked yet"]),
                (None, false) => Status::Up,
                (Some(status), true) => status,
                (Some(status), false) => status.min(Status::Degraded),
            };
            worst = worst.max(status);
        }
        (worst, Vec::new())
    }

    /// Makes [`readiness`](Self::readiness) fail from now on, so that no more requests come. A
    /// shutdown does so first of all; call it some seconds before where a load balancer looks only
    /// so often.
    pub fn refuse_requests(&self) {
        self.0.leaving.store(true, Ordering::Release);
    }
}

impl Inner {
    async fn check(&self) -> Vec<ServiceHealth> {
        let probes: Vec<_> = {
            let watched = self.watched();
            let ready = watched.iter();
            ready
                .map(|(probe, board)| (probe.clone(), board.service, board.required))
                .collect()
        };
        let asked = probes
            .into_iter()
            .map(|(probe, service, required)| async move {
                let (finding, latency) = probe.ask(self.pace.timeout, &self.tasks).await;
                ServiceHealth::found(service, required, finding, latency)
            });
        let found = wait::all(asked).await;
        let now = clock::now();
        let mut events = Vec::new();
        {
            let mut watched = self.watched();
            for health in &found {
                let board = watched
                    .iter_mut()
                    .find(|(_, board)| board.service == health.service);
                events.extend(
                    board
                        .into_iter()
                        .flat_map(|(_, board)| board.note(health, now)),
                );
            }
            for (_, board) in watched.iter() {
                if let Some(status) = board.status() {
                    self.observers.found(board.service, status);
                }
            }
        }
        for event in events {
            self.observers.publish(event);
        }
        found
    }

    fn of<T>(&self, service: Service, read: impl FnOnce(&Board) -> T) -> Option<T> {
        let watched = self.watched();
        let (_, board) = watched.iter().find(|(_, board)| board.service == service)?;
        Some(read(board))
    }

    fn is_alarming(&self) -> bool {
        self.watched().iter().any(|(_, board)| board.is_alarming())
    }

    fn watched(&self) -> MutexGuard<'_, Vec<Watched>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watching(&self) -> MutexGuard<'_, Option<AbortHandle>> {
        self.watching.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks again and again, until nobody holds the monitor any more.
async fn watch(monitor: Weak<Inner>) {
    loop {
        let Some(inner) = monitor.upgrade() else {
            return;
        };
        let suspicion = inner.observers.suspicion();
        inner.check().await;
        let (pace, alarming) = (inner.pace, inner.is_alarming());
        drop(inner);
        let least = pace.interval_alarm.min(pace.interval);
        tokio::time::sleep(least).await;
        if !alarming {
            let rest = Deadline::after(pace.interval.saturating_sub(least));
            // A lost connection is reason enough to look at once.
            drop(rest.run(suspicion.notified()).await);
        }
    }
}

impl fmt::Debug for ConnectionMonitor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ConnectionMonitor")
            .field("watching", &self.is_watching())
            .field("healthy", &self.is_healthy())
            .finish_non_exhaustive()
    }
}
