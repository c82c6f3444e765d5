//! What those who watch are told of a call: its rows, what it waited, and the span around it.

use std::future::poll_fn;
use std::panic::Location;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use aquifer_wire::{Reply, Statement};

use super::{Engine, run};
use crate::observe::{CallSpan, QueryFinished};
use crate::statement::Call;
use crate::{Error, clock};

/// A result whose rows can be counted.
pub(crate) trait Counted {
    /// How many rows were returned or, if none, changed.
    fn rows(&self) -> u64;
}

impl Counted for () {
    fn rows(&self) -> u64 {
        0
    }
}

/// A description, which has no rows.
impl Counted for Arc<Statement> {
    fn rows(&self) -> u64 {
        0
    }
}

impl Counted for Reply {
    fn rows(&self) -> u64 {
        match self.len() {
            0 => self.affected(),
            returned => returned as u64,
        }
    }
}

impl Counted for Vec<Reply> {
    fn rows(&self) -> u64 {
        self.iter().map(Counted::rows).sum()
    }
}

/// The answers of a script, of which only the kinds are kept.
impl Counted for Vec<String> {
    fn rows(&self) -> u64 {
        0
    }
}

impl<T: Counted> Counted for Result<T, Error> {
    fn rows(&self) -> u64 {
        self.as_ref().map_or(0, Counted::rows)
    }
}

/// How long the attempts of one call waited for a connection of their own, in nanoseconds.
#[derive(Debug, Default)]
pub(super) struct Queue(AtomicU64);

impl Queue {
    /// Counts the wait; what is there at once costs no look at the clock.
    ///
    /// Cancellation: that of `waiting`.
    pub(super) async fn wait<F: Future>(&self, mut waiting: Pin<&mut F>) -> F::Output {
        let at_once = poll_fn(|context| Poll::Ready(waiting.as_mut().poll(context)));
        if let Poll::Ready(output) = at_once.await {
            return output;
        }
        let begun = clock::now();
        let output = waiting.await;
        let waited = u64::try_from((clock::now() - begun).as_nanos()).unwrap_or(u64::MAX);
        self.0.fetch_add(waited, Ordering::Relaxed);
        output
    }

    pub(super) fn total(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

/// A call as it is told.
#[derive(Clone, Copy)]
pub(crate) struct Told<'a> {
    pub(crate) sql: &'a str,
    pub(crate) location: &'static Location<'static>,
    /// It is part of a transaction.
    pub(crate) in_transaction: bool,
}

impl<'a> Told<'a> {
    pub(crate) fn alone(sql: &'a str, location: &'static Location<'static>) -> Self {
        Self {
            sql,
            location,
            in_transaction: false,
        }
    }

    pub(crate) fn in_transaction(sql: &'a str, location: &'static Location<'static>) -> Self {
        Self {
            sql,
            location,
            in_transaction: true,
        }
    }
}

impl Engine {
    /// Runs a call that is never made again, in a span if anybody wants one, and tells how it ended.
    pub(crate) async fn observed<T: Counted>(
        &self,
        told: Told<'_>,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let span = self.observers.span(told.sql);
        let start = clock::now();
        let outcome = within(&span, pin!(call)).await;
        let elapsed = clock::now() - start;
        let error = outcome.as_ref().err();
        let event = QueryFinished {
            rows: outcome.rows(),
            in_transaction: told.in_transaction,
            ..QueryFinished::new(told.sql, told.location, elapsed, error)
        };
        span.within(|| self.observers.query_finished(&event));
        outcome
    }
}

/// As [`run`], in a span.
pub(crate) async fn run_in_span(engine: &Engine, call: Call<'_>) -> Result<Reply, Error> {
    let span = engine.observers.span(call.sql);
    within(&span, pin!(run(engine, call))).await
}

/// Runs a call in its span; pinned by the caller, since handed over it would be kept twice.
pub(crate) async fn within<F: Future>(span: &CallSpan, mut call: Pin<&mut F>) -> F::Output {
    poll_fn(|context| span.within(|| call.as_mut().poll(context))).await
}
