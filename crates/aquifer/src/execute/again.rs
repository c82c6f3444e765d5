//! Whether a failed attempt is made again: the table is `aquifer_core::retry`, here it is asked.

use aquifer_core::retry::{self, Action, Connection, Failure, Intent, Kind, Phase, Remedy};
use aquifer_wire as wire;

/// Whether another attempt is safe and may help.
pub(crate) fn may_help(error: &wire::Error, intent: Intent) -> bool {
    let verdict = retry::decide(&failure(error), intent);
    match verdict.action {
        Action::Retry(Remedy::BackOff | Remedy::OtherHost) => true,
        // The connection itself heals a stale plan once; a table may change again meanwhile. From
        // within a statement the same code says nothing about its plan.
        Action::Retry(Remedy::Prepare) => !error.executed(),
        // With one host there is no other primary to find; a password is asked for with each new
        // connection.
        _ => false,
    }
}

/// Whether a transaction in which this failed changed nothing, and may be run again as a whole.
pub(crate) fn may_help_transaction(error: &wire::Error) -> bool {
    let verdict = retry::decide(&failure(error), Intent::TransactionBody);
    // The connection has dropped the stale plan, so the statement is prepared anew.
    matches!(
        verdict.action,
        Action::RetryTransaction(Remedy::BackOff | Remedy::OtherHost | Remedy::Prepare)
    )
}

/// Whether the connection on which it happened can't be trusted any more, whatever it was used for.
pub(crate) fn must_close(error: &wire::Error) -> bool {
    retry::decide(&failure(error), Intent::Read).connection == Connection::Close
}

fn failure(error: &wire::Error) -> Failure<'_> {
    let phase = if error.sent() {
        Phase::Sent
    } else {
        Phase::NotSent
    };
    let kind = match error.kind() {
        wire::Kind::Closed | wire::Kind::Protocol => Kind::Closed,
        wire::Kind::Connect => Kind::Connect,
        wire::Kind::Database => Kind::Database,
        wire::Kind::Timeout => Kind::Timeout,
        _ => Kind::Other,
    };
    let mut failure = Failure::new(phase, kind);
    if let Some(database) = error.database() {
        failure = failure.with_sqlstate(database.code().code());
        if let Some(routine) = database.routine() {
            failure = failure.with_routine(routine);
        }
        if database.is_fatal() {
            failure = failure.ending_session();
        }
    }
    failure
}
