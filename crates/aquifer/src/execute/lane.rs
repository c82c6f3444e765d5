//! Running a read on a lane, where answers come in order and others wait behind it.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use aquifer_core::breaker::Fault;
use aquifer_core::pace::SLOW;
use aquifer_core::retry::Intent;
use aquifer_wire::{Client, Kind, Reply, Sharing, SqlState, Statement};
use tokio::time::Instant;

use super::route::{Route, change_pace};
use super::{Engine, Failed, failed, refused, together};
use crate::clock;
use crate::deadline::Deadline;
use crate::error::fault;
use crate::pool::{Pool, ReadPermit};
use crate::settings::Settings;
use crate::statement::Call;

/// Whether a read on a lane is one statement, with nothing that must stand in front of it.
pub(super) fn is_bare(engine: &Engine, pool: &Pool) -> bool {
    engine.settings.is_none() && pool.lane_guard().is_none()
}

/// Runs a read on a lane; `None` when it must be run elsewhere, where doing so is harmless.
pub(super) async fn run(
    engine: &Engine,
    pool: &Pool,
    lane: &Client,
    (statement, call, deadline): (&Arc<Statement>, Call<'_>, Deadline),
) -> Option<Result<Reply, Failed>> {
    let permit = match permit(pool, deadline).await {
        Ok(permit) => permit,
        Err(failed) => return Some(Err(failed)),
    };
    let outcome = if is_bare(engine, pool) {
        lane.run(statement, call.params, Sharing::Shared).await
    } else {
        let mut statements = Vec::with_capacity(3);
        statements.extend(pool.lane_guard());
        statements.extend(engine.settings.as_ref().map(Settings::statement));
        statements.push((call.sql, call.params));
        together(lane, &statements).await
    };
    match outcome {
        Ok(reply) => {
            note_time((lane, permit), statement, deadline.start());
            Some(Ok(reply))
        }
        Err(error) => failure(pool, (lane, permit), statement, error).map(Err),
    }
}

/// The right to make a call on a lane.
async fn permit(pool: &Pool, deadline: Deadline) -> Result<ReadPermit<&Pool>, Failed> {
    match ReadPermit::of(pool, deadline.start()) {
        Ok(permit) => Ok(permit),
        Err((_pool, refusal)) => {
            // Boxed: it is rare, and would be a part of each read's future.
            let error = Box::pin(pool.read_refused(refusal)).await;
            Err(refused(error, Intent::Read))
        }
    }
}

/// Notes how long a read took on a lane, counted from when the call began: at worst it makes a suspect
/// of what is none.
#[inline]
pub(super) fn note_time<P: Deref<Target = Pool>>(
    (lane, permit): (&Client, ReadPermit<P>),
    statement: &Statement,
    start: Instant,
) -> Duration {
    let elapsed = clock::now() - start;
    permit.answered(start, elapsed);
    // Hardly ever: then nothing is written, for which all callers would have to wait.
    if elapsed > SLOW {
        note_slowness(lane, statement, elapsed);
    }
    elapsed
}

#[cold]
fn note_slowness(lane: &Client, statement: &Statement, elapsed: Duration) {
    // A far server is not slow for that.
    let way = lane.pulse().way().unwrap_or_default();
    let elapsed = elapsed.saturating_sub(way);
    change_pace(statement, |pace| Some(pace.ran_shared(elapsed)));
}

/// Notes that a read got no answer on a lane before its deadline.
pub(super) fn note_silence<P: Deref<Target = Pool>>(
    pool: &Pool,
    permit: ReadPermit<P>,
    deadline: Deadline,
) {
    // After that time the server would have ended the statement, if it could.
    if deadline.elapsed() > pool.lane_timeout() {
        permit.failed(pool, Some(Fault::Silent));
    }
}

/// What a failure on a lane means for the read; `None` when it must be run elsewhere, where doing so
/// is harmless.
pub(super) fn failure<P: Deref<Target = Pool>>(
    pool: &Pool,
    (lane, permit): (&Client, ReadPermit<P>),
    statement: &Statement,
    error: aquifer_wire::Error,
) -> Option<Failed> {
    let ended = lane.ended();
    let is_retired = ended.as_ref().is_some_and(|ended| ended.by_us());
    if error.sent() {
        // A lane that stood still was retired.
        let fault = fault(&error).map(|fault| if is_retired { Fault::Silent } else { fault });
        permit.failed(pool, fault);
    }
    match error.sqlstate() {
        // A write that the router did not see: the server refused it, and it moves for good.
        Some(&SqlState::READ_ONLY_SQL_TRANSACTION) => {
            Route::Exclusive.keep(statement);
            return None;
        }
        // The lane's limit: the server ended it, and told by that who it was that took so long.
        Some(&SqlState::QUERY_CANCELED) => {
            note_excess(pool, statement);
            return None;
        }
        _ => {}
    }
    if error.kind() == Kind::Limit && !error.sent() {
        // The lane is full: a caller waits in the pool's queue, not behind a lane's.
        return None;
    }
    match ended {
        // It was retired, or the pool is shut down: nobody answers there any more.
        Some(_) if is_retired => {
            if error.sent() && !pool.is_closed() {
                note_excess(pool, statement);
            }
            None
        }
        // It had ended unnoticed, so nothing was sent.
        Some(_) if !error.sent() => {
            pool.lane_ended();
            None
        }
        _ => Some(failed(error, Intent::Read)),
    }
}

fn note_excess(pool: &Pool, statement: &Statement) {
    let limit = pool.lane_timeout();
    change_pace(statement, |pace| Some(pace.exceeded(limit)));
}
