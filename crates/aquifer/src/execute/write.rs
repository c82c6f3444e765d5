//! The first attempt of a statement that writes, which is all that nearly every write takes.
//!
//! As one arm of `run_laps` it would carry the states of all others along: they were four kilobytes for
//! each call, to be allocated and copied.

use std::pin::pin;
use std::sync::Arc;

use aquifer_core::retry::Intent;
use aquifer_wire::{Reply, Sharing, Statement};

use super::route::Route;
use super::told::{Counted, Queue};
use super::{Engine, Failed, failed, give_back, refused, run_laps};
use crate::Error;
use crate::deadline::{Deadline, Elapsed, Timer};
use crate::observe::QueryFinished;
use crate::pool::Chosen;
use crate::statement::Call;

/// Whether the statement is known to write, and goes alone: nothing has to stand in front of it.
pub(super) fn is_bare(engine: &Engine, statement: &Statement) -> bool {
    engine.settings.is_none() && Route::of(statement) == Some(Route::Exclusive)
}

/// Runs such a statement; what its first attempt leaves undone is left to the loop.
pub(super) async fn run<'a>(
    engine: &'a Engine,
    call: Call<'a>,
    deadline: Deadline,
    (pool, statement): (Chosen<'a>, Arc<Statement>),
) -> Result<Reply, Error> {
    let queue = Queue::default();
    let place = match attempt(engine, (&pool, &statement), call, (deadline, &queue)).await {
        Ok(reply) => {
            engine.note_answer(pool.name());
            engine.observers.query_finished(&QueryFinished {
                queue: queue.total(),
                rows: Counted::rows(&reply),
                ..QueryFinished::new(call.sql, call.location, deadline.elapsed(), None)
            });
            return Ok(reply);
        }
        Err(failed) => Err(failed.on(engine, &pool)),
    };
    let start = (deadline, queue);
    Box::pin(run_laps(engine, call, start, Some((pool, place)))).await
}

/// Waits for a connection and then for the answer, with one timer for both.
async fn attempt(
    engine: &Engine,
    (pool, statement): (&Chosen<'_>, &Arc<Statement>),
    call: Call<'_>,
    (deadline, queue): (Deadline, &Queue),
) -> Result<Reply, Failed> {
    let mut timer = pin!(None);
    let checkout = pool.checkout_timed(deadline, call.location, Timer::new(timer.as_mut()));
    let checkout = queue.wait(pin!(checkout)).await;
    let checkout = checkout.map_err(|error| refused(error, Intent::Write))?;
    engine.check_write()?;
    let outcome = {
        let answer = pin!(checkout.client().run(statement, call.params, Sharing::Own));
        Timer::new(timer).run(deadline, answer).await
    };
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(Elapsed) => {
            let error = engine.timed_out(deadline, call.sql);
            return Err(refused(error, Intent::Write));
        }
    };
    engine.note_write(&outcome);
    let outcome = outcome.map_err(|error| failed(error, Intent::Write));
    give_back(checkout, &outcome);
    outcome
}
