//! What callers are told who got no answer.

use std::time::Duration;

use aquifer_core::scan;
use aquifer_wire::{Reply, SqlState, Statement};

use super::{Engine, Failed};
use crate::deadline::Deadline;
use crate::observe::QueryFinished;
use crate::statement::Call;
use crate::{Error, ErrorKind, Retry};

impl Engine {
    /// Tells of a read that a lane answered at the first attempt.
    #[inline]
    pub(super) fn read_finished(
        &self,
        call: Call<'_>,
        statement: &Statement,
        (reply, elapsed): (&Reply, Duration),
    ) {
        let told = (call.sql, call.location);
        let rows = reply.len() as u64;
        self.observers
            .read_finished(told, statement.fingerprint(), rows, elapsed);
    }

    /// Tells of a call that the circuit breaker refused.
    pub(super) fn never_sent(&self, call: Call<'_>, deadline: Deadline, failed: Failed) -> Error {
        let (error, elapsed) = (failed.error, deadline.elapsed());
        let event = QueryFinished::new(call.sql, call.location, elapsed, Some(&error));
        self.observers.query_finished(&event);
        error
    }

    pub(crate) fn timed_out(&self, deadline: Deadline, sql: &str) -> Error {
        let text = format!(
            "no answer within {:?} (query_timeout); the statement was abandoned: {}. Raise \
             `query_timeout`, or find out why it is slow with EXPLAIN",
            deadline.limit(),
            shorten(sql),
        );
        Error::new(ErrorKind::Timeout, text).with_retry(Retry::IfIdempotent)
    }
}

/// The failure of a call of which an attempt was `lost`, which may have taken effect: that a later
/// attempt did nothing says nothing about that one. Where a key was in the way, it says everything.
pub(super) fn after_lost(lost: Option<Error>, error: Error) -> Error {
    let Some(lost) = lost else {
        return error;
    };
    if error.retry() == Retry::IfIdempotent || error.sqlstate() == Some(&SqlState::UNIQUE_VIOLATION)
    {
        return error;
    }
    let text = format!("{lost}; a further attempt failed: {error}");
    Error::new(ErrorKind::Unknown, text).with_source(error)
}

/// The beginning of a statement, on one line and without its values, for an error text.
fn shorten(sql: &str) -> String {
    let line = scan::masked(sql);
    match line.char_indices().nth(80) {
        None => line,
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
    }
}
