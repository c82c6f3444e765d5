//! What the layer says about itself: typed events, and the one place that knows `tracing`.

mod event;
mod events;

use std::fmt;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

pub use self::event::{BreakerState, Event, HostRole, Mode, Service, Status};
use tokio::sync::Notify;

use self::events::Bus;
pub use self::events::Events;
use crate::Error;

/// Receives what happens often, at once and borrowed; every method has an empty default.
///
/// Methods are called on the task in which the event happened and must not block. One that panics
/// is logged; the layer and its caller go on.
pub trait Observer: Send + Sync + 'static {
    /// A call ended, whether with rows or an error.
    fn query_finished(&self, _event: &QueryFinished<'_>) {}

    /// A connection was opened.
    fn connection_opened(&self, _event: &ConnectionOpened) {}

    /// A connection ended, or could not be opened.
    fn connection_lost(&self, _event: &ConnectionLost<'_>) {}

    /// A transaction ended.
    fn transaction_finished(&self, _event: &TransactionFinished) {}
}

/// A call that ended.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct QueryFinished<'a> {
    /// The statement's text, of a batch all texts; values are never part of it.
    pub sql: &'a str,
    /// From the call to its result, retries included.
    pub elapsed: Duration,
    /// How often it was tried, from 1.
    pub attempts: u32,
    /// Where the call stands in the source.
    pub location: &'static Location<'static>,
    /// Why it failed; `None` when it did not.
    pub error: Option<&'a Error>,
}

/// A connection that was opened.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ConnectionOpened {
    /// The server process behind it.
    pub process_id: i32,
    /// Whether it is a shared read lane.
    pub shared: bool,
    /// How long opening took.
    pub elapsed: Duration,
}

/// A connection that ended or could not be opened.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ConnectionLost<'a> {
    /// The server process behind it; `None` when it was never opened.
    pub process_id: Option<i32>,
    /// Why, in words.
    pub cause: &'a str,
}

/// A transaction that ended.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct TransactionFinished {
    /// Whether it was committed; `None` when that is unknown, since COMMIT was not answered.
    pub committed: Option<bool>,
    /// From BEGIN to the end.
    pub elapsed: Duration,
    /// Where it was begun.
    pub location: &'static Location<'static>,
}

/// All observers of one `Db`, those who listen to its events, and the log.
#[derive(Clone, Default)]
pub(crate) struct Observers {
    list: Arc<[Arc<dyn Observer>]>,
    events: Bus,
    /// Told when there is reason to ask how the services do.
    suspicion: Arc<Notify>,
}

impl Observers {
    pub(crate) fn new(list: &[Arc<dyn Observer>]) -> Self {
        Self {
            list: list.into(),
            events: Bus::default(),
            suspicion: Arc::default(),
        }
    }

    /// Tells an event to all who listen, and to the log.
    pub(crate) fn publish(&self, event: Event) {
        match &event {
            Event::HealthChange { to: Status::Up, .. }
            | Event::ConnectionRecovery { .. }
            | Event::Failover { .. }
            | Event::LagNormal { .. } => {
                tracing::info!(target: "aquifer::events", ?event);
            }
            _ => tracing::warn!(target: "aquifer::events", ?event),
        }
        self.events.send(event);
    }

    /// There will be no more events.
    pub(crate) fn close(&self) {
        self.events.close();
    }

    /// Told when there is reason to ask how the services do.
    pub(crate) fn suspicion(&self) -> Arc<Notify> {
        Arc::clone(&self.suspicion)
    }

    /// The events from now on.
    pub(crate) fn events(&self) -> Events {
        self.events.subscribe()
    }

    /// Calls each observer; a panic of one must not end a task of the layer half-way.
    fn tell(&self, event: impl Fn(&dyn Observer)) {
        for observer in self.list.iter() {
            let told = catch_unwind(AssertUnwindSafe(|| event(observer.as_ref())));
            if told.is_err() {
                tracing::error!(target: "aquifer", "an observer panicked");
            }
        }
    }

    pub(crate) fn query_finished(&self, event: &QueryFinished<'_>) {
        self.tell(|observer| observer.query_finished(event));
        match event.error {
            None => {
                tracing::trace!(target: "aquifer::query", sql = event.sql, elapsed = ?event.elapsed, at = %event.location);
            }
            Some(error) => {
                tracing::debug!(target: "aquifer::query", sql = event.sql, elapsed = ?event.elapsed, at = %event.location, attempts = event.attempts, %error);
            }
        }
    }

    pub(crate) fn connection_opened(&self, event: &ConnectionOpened) {
        self.tell(|observer| observer.connection_opened(event));
        tracing::debug!(target: "aquifer::pool", process_id = event.process_id, shared = event.shared, elapsed = ?event.elapsed, "connection opened");
    }

    pub(crate) fn connection_lost(&self, event: &ConnectionLost<'_>) {
        self.suspicion.notify_one();
        self.tell(|observer| observer.connection_lost(event));
        tracing::warn!(target: "aquifer::pool", process_id = event.process_id, cause = event.cause, "connection lost");
    }

    pub(crate) fn hook_failed(&self, location: &'static Location<'static>, what: &str) {
        tracing::error!(target: "aquifer::transaction", at = %location, "an on_commit hook {what}");
    }

    pub(crate) fn transaction_finished(&self, event: &TransactionFinished) {
        self.tell(|observer| observer.transaction_finished(event));
        tracing::trace!(target: "aquifer::transaction", committed = ?event.committed, elapsed = ?event.elapsed, at = %event.location);
    }
}

pub(crate) fn listener_panicked() {
    tracing::error!(target: "aquifer::events", "a listener panicked and is not called again");
}

impl fmt::Debug for Observers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Observers({})", self.list.len())
    }
}
