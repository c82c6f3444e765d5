//! Running what looks like a read on an exclusive connection.

use std::sync::Arc;
use std::time::Duration;

use aquifer_core::pace::Pace;
use aquifer_core::retry::Intent;
use aquifer_wire::{Reply, Sharing, SqlState, Statement};

use super::route::{Route, change_pace};
use super::{Engine, Failed, failed};
use crate::pool::Checkout;
use crate::settings::Settings;
use crate::statement::{Call, Prepared};

/// The guard that a lane has; it holds until the Sync.
const GUARD: &str = "select pg_catalog.set_config('transaction_read_only', 'on', true)";

/// The same with the server's clock, in microseconds.
const BEFORE: &str = "select pg_catalog.set_config('transaction_read_only', 'on', true), \
     (extract(epoch from pg_catalog.clock_timestamp()) * 1000000)::bigint";
const AFTER: &str = "select (extract(epoch from pg_catalog.clock_timestamp()) * 1000000)::bigint";

/// Runs a read under the guard that a lane has, and learns how long it takes; `None` when the server
/// refused it since it writes.
///
/// A view may hide a write, and only what the server has kept from writing may be sent again. The
/// time is the server's: where this process has more to do than it can, everything seems slow from
/// here, and if that sent all reads to connections of their own, there would be even more to do. It
/// is asked only while it would say something new.
pub(super) async fn run(
    engine: &Engine,
    checkout: &Checkout,
    statement: &Arc<Statement>,
    call: Call<'_>,
) -> Option<Result<Reply, Failed>> {
    let timed = Pace::unpack(statement.note()).is_open();
    let mut statements: Vec<Prepared<'_>> = Vec::with_capacity(4);
    statements.push((if timed { BEFORE } else { GUARD }, &()));
    statements.extend(engine.settings.as_ref().map(Settings::statement));
    statements.push((call.sql, call.params));
    statements.extend(timed.then_some::<Prepared<'_>>((AFTER, &())));
    // Boxed: it holds the way of new statements, and would be most of each call's future.
    let outcome = Box::pin(checkout.client().batch(&statements, Sharing::Own)).await;
    let mut replies = match outcome {
        Ok(replies) => replies,
        Err(error) if error.sqlstate() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION) => {
            Route::Exclusive.keep(statement);
            return None;
        }
        Err(error) => return Some(Err(failed(error, Intent::Read))),
    };
    let after = timed.then(|| replies.pop()).flatten();
    let after = after.and_then(|reply| clock(&reply, 0));
    let reply = replies.pop()?;
    let before = replies.first().and_then(|reply| clock(reply, 1));
    if let (Some(before), Some(after)) = (before, after) {
        // A clock that was set back says nothing.
        let elapsed = Duration::from_micros(u64::try_from(after - before).unwrap_or_default());
        change_pace(statement, |pace| Some(pace.ran_alone(elapsed)));
    }
    Some(Ok(reply))
}

fn clock(reply: &Reply, column: usize) -> Option<i64> {
    reply.rows().next()?.get(column).ok()
}
