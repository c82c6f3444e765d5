use std::panic::Location;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Seat;
use crate::execute::{Engine, within};
use crate::observe::{CallSpan, QueryFinished};
use crate::{Error, clock};

/// An operation on many rows as those who watch see it: one call with one span, from its beginning to
/// its end, however many pieces its user does it in. Dropped before, it is not told, as a call that is
/// dropped.
pub(crate) struct Watched(Box<Call>);

/// Boxed, since whoever holds an operation holds it across waits.
struct Call {
    engine: Arc<Engine>,
    span: CallSpan,
    sql: String,
    begun: Instant,
    /// Of that, until there was a connection.
    queue: Duration,
    in_transaction: bool,
    location: &'static Location<'static>,
    told: bool,
}

impl Watched {
    pub(crate) fn begin(seat: &Seat, sql: String, location: &'static Location<'static>) -> Self {
        let engine = Arc::clone(seat.engine());
        Self(Box::new(Call {
            span: engine.observers.span(&sql),
            engine,
            sql,
            begun: clock::now(),
            queue: Duration::ZERO,
            in_transaction: seat.is_in_transaction(),
            location,
            told: false,
        }))
    }

    /// It was asked for at this time, and has waited for its connection since.
    pub(crate) fn since(mut self, asked: Instant) -> Self {
        self.0.queue = self.0.begun - asked;
        self.0.begun = asked;
        self
    }

    pub(crate) fn sql(&self) -> &str {
        &self.0.sql
    }

    /// Does a piece of it in its span.
    ///
    /// Cancellation: as that of the piece.
    pub(crate) async fn within<F: Future>(&self, piece: F) -> F::Output {
        within(&self.0.span, pin!(piece)).await
    }

    /// It ended, having moved so many rows; the first word counts.
    pub(crate) fn ended(&mut self, rows: u64, error: Option<&Error>) {
        let call = &mut self.0;
        if std::mem::replace(&mut call.told, true) {
            return;
        }
        let elapsed = clock::now() - call.begun;
        let event = QueryFinished {
            queue: call.queue,
            rows,
            in_transaction: call.in_transaction,
            ..QueryFinished::new(&call.sql, call.location, elapsed, error)
        };
        let observers = &call.engine.observers;
        call.span.within(|| observers.query_finished(&event));
    }
}

impl std::fmt::Debug for Watched {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Watched")
            .field("sql", &self.0.sql)
            .field("told", &self.0.told)
            .finish_non_exhaustive()
    }
}
