//! Asking a service how it does.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::clock;
use crate::deadline::Deadline;
use crate::observe::{Service, Status};
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

    /// Asks. One that does not return within `health_timeout` is dropped, and the service counts as
    /// down; so does one that panics.
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

    fn found(
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

/// Asks, within `limit`.
pub(super) async fn ask(probe: Arc<dyn HealthProbe>, limit: Duration) -> ServiceHealth {
    let deadline = Deadline::after(limit);
    let asked = deadline.run(unless_panic(|| probe.probe())).await;
    let (finding, answered) = match asked {
        Ok(Some(finding)) => {
            let answered = finding.status != Status::Down;
            (finding, answered)
        }
        Ok(None) => (Finding::down("its probe panicked"), false),
        Err(_) => (
            Finding::down(format!("no answer within {limit:?} (health_timeout)")),
            false,
        ),
    };
    let latency = answered.then(|| deadline.elapsed());
    ServiceHealth::found(probe.service(), probe.is_required(), finding, latency)
}
