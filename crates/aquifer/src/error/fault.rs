use aquifer_core::breaker::{self, Fault};
use aquifer_core::retry::{Failure, Kind, Phase};
use aquifer_wire as wire;

/// What a failure of one connection is for the decisions about it.
pub(crate) fn failure(error: &wire::Error) -> Failure<'_> {
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

/// Whether the host is at fault.
pub(crate) fn fault(error: &wire::Error) -> Option<Fault> {
    breaker::fault(&failure(error))
}
