//! Running a read on a lane, where answers come in order and others wait behind it.

use std::sync::Arc;

use aquifer_core::pace::SLOW;
use aquifer_core::retry::Intent;
use aquifer_wire::{Client, Kind, Reply, Sharing, SqlState, Statement};

use super::route::{Route, change_pace};
use super::{Engine, Failed, failed, together};
use crate::deadline::Deadline;
use crate::settings::Settings;
use crate::statement::Call;

/// Runs a read on a lane; `None` when it must be run elsewhere, where doing so is harmless.
pub(super) async fn run(
    engine: &Engine,
    lane: &Client,
    statement: &Arc<Statement>,
    call: Call<'_>,
    deadline: Deadline,
) -> Option<Result<Reply, Failed>> {
    let guard = engine.pool.lane_guard();
    let outcome = if guard.is_none() && engine.settings.is_none() {
        lane.run(statement, call.params, Sharing::Shared).await
    } else {
        let mut statements = Vec::with_capacity(3);
        statements.extend(guard);
        statements.extend(engine.settings.as_ref().map(Settings::statement));
        statements.push((call.sql, call.params));
        together(lane, &statements).await
    };
    let error = match outcome {
        Ok(reply) => {
            // Since the call began: at worst it makes a suspect of what is none.
            let elapsed = deadline.elapsed();
            // Hardly ever: then nothing is written, for which all callers would have to wait.
            if elapsed > SLOW {
                // A far server is not slow for that.
                let way = lane.pulse().way().unwrap_or_default();
                let elapsed = elapsed.saturating_sub(way);
                change_pace(statement, |pace| Some(pace.ran_shared(elapsed)));
            }
            return Some(Ok(reply));
        }
        Err(error) => error,
    };
    match error.sqlstate() {
        // A write that the router did not see: the server refused it, and it moves for good.
        Some(&SqlState::READ_ONLY_SQL_TRANSACTION) => {
            Route::Exclusive.keep(statement);
            return None;
        }
        // The lane's limit: the server ended it, and told by that who it was that took so long.
        Some(&SqlState::QUERY_CANCELED) => {
            note_excess(engine, statement);
            return None;
        }
        _ => {}
    }
    if error.kind() == Kind::Limit && !error.sent() {
        // The lane is full: a caller waits in the pool's queue, not behind a lane's.
        return None;
    }
    match lane.ended() {
        // It was retired, or the pool is shut down: nobody answers there any more.
        Some(ended) if ended.by_us() => {
            if error.sent() {
                note_excess(engine, statement);
            }
            None
        }
        // It had ended unnoticed, so nothing was sent.
        Some(_) if !error.sent() => {
            engine.pool.lane_ended();
            None
        }
        _ => Some(Err(failed(error, Intent::Read))),
    }
}

fn note_excess(engine: &Engine, statement: &Statement) {
    let limit = engine.pool.lane_timeout();
    change_pace(statement, |pace| Some(pace.exceeded(limit)));
}
