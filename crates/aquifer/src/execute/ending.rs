//! How a call ended, told to whoever watches and to the caller.

use std::panic::Location;
use std::time::Duration;

use super::{Engine, Failed};
use crate::deadline::Deadline;
use crate::observe::QueryFinished;
use crate::statement::Call;
use crate::{Error, ErrorKind, Retry, clock};

impl Engine {
    /// Runs a call that is never made again, and tells how it ended.
    pub(crate) async fn observed<T>(
        &self,
        sql: &str,
        location: &'static Location<'static>,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let start = clock::now();
        let outcome = call.await;
        let error = outcome.as_ref().err();
        self.finished((sql, location), clock::now() - start, 1, error);
        outcome
    }

    /// Tells of a call that the circuit breaker refused.
    pub(super) fn never_sent(&self, call: Call<'_>, deadline: Deadline, failed: Failed) -> Error {
        let error = failed.error;
        self.finished(
            (call.sql, call.location),
            deadline.elapsed(),
            1,
            Some(&error),
        );
        error
    }

    /// Tells how a call ended.
    pub(super) fn finished(
        &self,
        (sql, location): (&str, &'static Location<'static>),
        elapsed: Duration,
        attempts: u32,
        error: Option<&Error>,
    ) {
        self.observers.query_finished(&QueryFinished {
            sql,
            elapsed,
            attempts,
            location,
            error,
        });
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

/// The beginning of a statement, on one line, for an error text.
fn shorten(sql: &str) -> String {
    let words: Vec<_> = sql.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(80) {
        None => line,
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
    }
}
