//! Asking a service how it does.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{Mutex, oneshot};
use tokio::task::AbortHandle;

use crate::clock;
use crate::deadline::Deadline;
use crate::observe::{Service, Status};
use crate::tasks::Tasks;
use crate::wait::unless_panic;

/// Finds out how one service does, for a [`ConnectionMonitor`](crate::ConnectionMonitor).
///
/// PostgreSQL has one already; write one for what else the service can't do without.
///
/// ```
/// use aquifer::{Finding, HealthProbe, ProbeFuture, Service};
///
/// struct Disk;
///
/// impl HealthProbe for Disk {
///     fn service(&self) -> Service {
///         Service::Custom("disk")
///     }
///
///     fn probe(&self) -> ProbeFuture<'_> {
///         Box::pin(async {
///             match std::fs::metadata("/") {
///                 Ok(_) => Finding::up(),
///                 Err(error) => Finding::down(error.to_string()),
///             }
///         })
///     }
/// }
/// ```
pub trait HealthProbe: Send + Sync + 'static {
    /// Which service it asks; its name is unique within one monitor.
    fn service(&self) -> Service;

    /// Asks, in a task of its own. One that does not return within `health_timeout` is dropped, and
    /// the service counts as down; so does one that panics. One that blocks its thread is not asked
    /// again before it has returned; leave what may block to `spawn_blocking`.
    ///
    /// # Cancel safety
    /// It must be safe to drop the future.
    fn probe(&self) -> ProbeFuture<'_>;

    /// Whether the service can't be done without: then readiness fails while it is down. Default:
    /// true.
    fn is_required(&self) -> bool {
        true
    }
}

/// What [`HealthProbe::probe`] returns.
pub type ProbeFuture<'a> = Pin<Box<dyn Future<Output = Finding> + Send + 'a>>;

/// What a probe found.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Finding {
    /// How the service does.
    pub status: Status,
    /// Why it is not up.
    pub cause: Option<String>,
    /// What was measured besides, for the health endpoint.
    pub measurements: Vec<Measurement>,
}

/// A figure about a service, for example its connections in use.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Measurement {
    /// As the draft for `application/health+json` names it: `connections`, `utilization`, `uptime`.
    pub name: &'static str,
    /// How many.
    pub value: f64,
    /// Of what: `percent`, `s`; empty for a mere number.
    pub unit: &'static str,
}

impl Finding {
    /// All is well.
    #[must_use]
    pub fn up() -> Self {
        Self::with(Status::Up, None)
    }

    /// It answers, but not everything works.
    #[must_use]
    pub fn degraded(cause: impl Into<String>) -> Self {
        Self::with(Status::Degraded, Some(cause.into()))
    }

    /// It can't be used.
    #[must_use]
    pub fn down(cause: impl Into<String>) -> Self {
        Self::with(Status::Down, Some(cause.into()))
    }

    /// The same with something that was measured.
    #[must_use]
    pub fn measured(mut self, name: &'static str, value: f64, unit: &'static str) -> Self {
        self.measurements.push(Measurement { name, value, unit });
        self
    }

    fn with(status: Status, cause: Option<String>) -> Self {
        Self {
            status,
            cause,
            measurements: Vec::new(),
        }
    }
}

/// How one service did when it was asked.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ServiceHealth {
    /// Which one.
    pub service: Service,
    /// Whether it can't be done without.
    pub required: bool,
    /// How it does.
    pub status: Status,
    /// How long its answer took; `None` when none came.
    pub latency: Option<Duration>,
    /// Why it is not up.
    pub cause: Option<String>,
    /// What was measured besides.
    pub measurements: Vec<Measurement>,
    /// When it was asked.
    pub checked_at: SystemTime,
}

impl ServiceHealth {
    /// That of a required service that can't even be asked.
    pub(crate) fn unasked(service: Service, cause: String) -> Self {
        Self::found(service, true, Finding::down(cause), None)
    }

    pub(super) fn found(
        service: Service,
        required: bool,
        finding: Finding,
        latency: Option<Duration>,
    ) -> Self {
        Self {
            service,
            required,
            status: finding.status,
            latency,
            cause: finding.cause,
            measurements: finding.measurements,
            checked_at: clock::wall(),
        }
    }
}

/// A probe, and who asks it now.
#[derive(Clone)]
pub(super) struct Probe {
    probe: Arc<dyn HealthProbe>,
    /// Had by the task that asks: one that blocks its thread blocks no more than one.
    turn: Arc<Mutex<()>>,
}

impl Probe {
    pub(super) fn new(probe: impl HealthProbe) -> Self {
        Self {
            probe: Arc::new(probe),
            turn: Arc::default(),
        }
    }

    /// Asks, within `limit`, in a task of its own; returns how long the answer took, if one came.
    ///
    /// Cancellation: the question is dropped.
    pub(super) async fn ask(self, limit: Duration, tasks: &Tasks) -> (Finding, Option<Duration>) {
        let deadline = Deadline::after(limit);
        let Ok(turn) = deadline.run(self.turn.lock_owned()).await else {
            let text = format!("it has not returned from an earlier look for {limit:?}");
            return (Finding::down(text), None);
        };
        let start = clock::now();
        let (tell, told) = oneshot::channel();
        let probe = self.probe;
        let asking = async move {
            let found = unless_panic(|| probe.probe()).await;
            drop(turn);
            // Nobody waits for what comes too late.
            drop(tell.send(found));
        };
        let _asking = Asking(tasks.spawn(asking));
        let finding = match deadline.run(told).await {
            Ok(Ok(Some(finding))) => {
                let answered = finding.status != Status::Down;
                return (finding, answered.then(|| clock::now() - start));
            }
            Ok(Ok(None)) => Finding::down("its probe panicked"),
            Ok(Err(_gone)) => Finding::down("it can't be asked any more: the layer was shut down"),
            Err(_elapsed) => Finding::down(format!("no answer within {limit:?} (health_timeout)")),
        };
        (finding, None)
    }
}

/// The task that asks; ended when nobody waits for it.
struct Asking(Option<AbortHandle>);

impl Drop for Asking {
    fn drop(&mut self) {
        if let Some(task) = self.0.take() {
            task.abort();
        }
    }
}
