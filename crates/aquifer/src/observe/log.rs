//! Every line that the layer writes to the log; `logging.md` lists them, and a test compares both.
//!
//! Statements are shown without the values that stand in them, and of what the server says only what
//! can't repeat a value.

use std::panic::Location;
use std::time::Duration;

use aquifer_core::scan::masked;

use tracing::level_filters::LevelFilter;

use super::measures::error_type;
use super::{ConnectionLost, ConnectionOpened, Event, QueryFinished, Status, TransactionFinished};
use crate::{Error, ErrorKind};

/// Whether somebody may want to hear of each call: a comparison.
#[inline]
pub(super) fn is_verbose() -> bool {
    LevelFilter::current() >= LevelFilter::DEBUG
}

pub(super) fn query_finished(event: &QueryFinished<'_>) {
    if !tracing::enabled!(target: "aquifer::query", tracing::Level::TRACE) {
        return;
    }
    let sql = masked(event.sql);
    tracing::trace!(target: "aquifer::query", sql, elapsed = ?event.elapsed, queue = ?event.queue, rows = event.rows, attempts = event.attempts, at = %event.location, "query finished");
}

pub(super) fn query_failed(event: &QueryFinished<'_>, error: &Error) {
    if !tracing::enabled!(target: "aquifer::query", tracing::Level::DEBUG) {
        return;
    }
    let (sql, error, kind) = (masked(event.sql), shown(error), error_type(error));
    tracing::debug!(target: "aquifer::query", sql, elapsed = ?event.elapsed, queue = ?event.queue, attempts = event.attempts, at = %event.location, error, error_type = kind, "query failed");
}

pub(super) fn slow_query(event: &QueryFinished<'_>, suppressed: u64) {
    let (sql, execute) = (masked(event.sql), event.execute());
    tracing::warn!(target: "aquifer::slow", sql, elapsed = ?event.elapsed, queue = ?event.queue, execute = ?execute, rows = event.rows, attempts = event.attempts, error_type = event.error.map(error_type), at = %event.location, suppressed, "slow query");
}

pub(super) fn slow_decoding(
    sql: &str,
    (rows, decode): (usize, Duration),
    at: &'static Location<'static>,
    suppressed: u64,
) {
    let sql = masked(sql);
    tracing::warn!(target: "aquifer::slow", sql, decode = ?decode, rows, at = %at, suppressed, "slow decoding");
}

#[cfg(feature = "testing")]
pub(super) fn not_collected(error: &std::io::Error) {
    tracing::warn!(target: "aquifer::testing", error = %error, "statement not collected");
}

pub(super) fn connection_opened(event: &ConnectionOpened) {
    tracing::debug!(target: "aquifer::pool", process_id = event.process_id, shared = event.shared, elapsed = ?event.elapsed, "connection opened");
}

pub(super) fn connection_lost(event: &ConnectionLost<'_>) {
    tracing::warn!(target: "aquifer::pool", process_id = event.process_id, cause = event.cause, "connection lost");
}

pub(super) fn transaction_finished(event: &TransactionFinished) {
    tracing::trace!(target: "aquifer::transaction", committed = ?event.committed, elapsed = ?event.elapsed, at = %event.location, "transaction finished");
}

pub(super) fn hook_failed(at: &'static Location<'static>, failure: &str) {
    tracing::error!(target: "aquifer::transaction", at = %at, failure, "on_commit hook failed");
}

pub(super) fn observer_panicked() {
    tracing::error!(target: "aquifer", "observer panicked");
}

/// Good news at INFO, figures at TRACE, all else at WARN.
pub(super) fn event(event: &Event) {
    let name = event.name();
    match event {
        Event::MetricsCollected { .. } => {
            tracing::trace!(target: "aquifer::events", name, "metrics collected");
        }
        Event::HealthChange { to: Status::Up, .. }
        | Event::ConnectionRecovery { .. }
        | Event::Failover { .. }
        | Event::CacheLinked { .. }
        | Event::ForeignWritesSeen { .. }
        | Event::LagNormal { .. } => {
            tracing::info!(target: "aquifer::events", name, event = ?event, "good news");
        }
        _ => {
            tracing::warn!(target: "aquifer::events", name, event = ?event, "trouble");
        }
    }
}

/// Classes of SQLSTATEs whose messages name objects and never repeat a value: those of connections,
/// features, constraints, transaction states, authorization, catalogs, rollbacks, names, resources,
/// limits, states, interventions and the system.
const NAMING: [&str; 14] = [
    "08", "0A", "23", "25", "28", "2B", "3D", "3F", "40", "42", "53", "54", "55", "57",
];

/// An error in words that repeat no value.
///
/// The server's words about data do: `invalid input syntax for type integer: "…"`; so do those of
/// RAISE. A syntax error repeats a piece of the text, which may be a value too.
fn shown(error: &Error) -> String {
    let Some(state) = error.sqlstate() else {
        return error.to_string();
    };
    let code = state.code();
    let names = code.get(..2).is_some_and(|class| NAMING.contains(&class)) && code != "42601";
    match error.kind() {
        ErrorKind::Database if !names => format!("SQLSTATE {code}"),
        _ => error.to_string(),
    }
}
