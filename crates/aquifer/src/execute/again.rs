//! Whether a failed attempt is made again: the table is `aquifer_core::retry`, here it is asked.

use std::time::Duration;

use aquifer_core::backoff;
use aquifer_core::retry::{self, Action, Connection, Intent, Remedy};
use aquifer_wire as wire;

use crate::clock;
use crate::error::failure;

/// Waits between attempts: full jitter between these.
const BACKOFF_BASE: Duration = Duration::from_millis(10);
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// Most attempts that a session's end may cost one call without being counted.
const CUTS_MAX: u32 = 10;

/// The attempts of one call.
///
/// One whose session was ended from outside (57P01), or had ended before anything was sent, says
/// nothing about the statement: a sweep of an administrator or a server that goes down hits
/// whatever runs, also several times in a row. Such attempts do not count against the limit, up to
/// a limit of their own: who ends a session because of its statement is heard in the end.
#[derive(Debug)]
pub(crate) struct Attempts {
    made: u32,
    cut: u32,
    max: u32,
}

impl Attempts {
    /// The first of at most `max`; 1 means that there is never another one.
    pub(crate) fn first(max: u32) -> Self {
        let (made, cut) = (1, 0);
        Self { made, cut, max }
    }

    /// How many there were, the one under way included.
    pub(crate) fn made(&self) -> u32 {
        self.made
    }

    /// Whether there may be another one after this failure.
    pub(crate) fn allow_another(&mut self, error: &wire::Error) -> bool {
        if self.max > 1 && self.cut < CUTS_MAX && was_cut(error) {
            self.cut += 1;
        }
        self.made - self.cut < self.max
    }

    /// Begins the next.
    pub(crate) fn next(&mut self) {
        self.made += 1;
    }
}

/// How long to wait after so many attempts.
pub(crate) fn delay(attempts: u32) -> Duration {
    backoff::delay(attempts, BACKOFF_BASE, BACKOFF_MAX, clock::random())
}

fn was_cut(error: &wire::Error) -> bool {
    let from_outside = error.sqlstate() == Some(&wire::SqlState::ADMIN_SHUTDOWN);
    from_outside || error.kind() == wire::Kind::Closed && !error.sent()
}

/// Whether another attempt is safe and may help.
pub(crate) fn may_help(several: bool, error: &wire::Error, intent: Intent) -> bool {
    let verdict = retry::decide(&failure(error), intent);
    match verdict.action {
        Action::Retry(Remedy::BackOff | Remedy::OtherHost) => true,
        // The connection itself heals a stale plan once; a table may change again meanwhile. From
        // within a statement the same code says nothing about its plan.
        Action::Retry(Remedy::Prepare) => !error.executed(),
        // With one host there is no other primary to find.
        Action::Retry(Remedy::FindPrimary) => several,
        // A new password is asked for where connections are opened.
        _ => false,
    }
}

/// Whether a transaction in which this failed changed nothing, and may be run again as a whole.
pub(crate) fn may_help_transaction(several: bool, error: &wire::Error) -> bool {
    let verdict = retry::decide(&failure(error), Intent::TransactionBody);
    match verdict.action {
        // The connection has dropped the stale plan, so the statement is prepared anew.
        Action::RetryTransaction(Remedy::BackOff | Remedy::OtherHost | Remedy::Prepare) => true,
        Action::RetryTransaction(Remedy::FindPrimary) => several,
        _ => false,
    }
}

/// Whether a host refused to write since it is not the primary, or not any more.
pub(crate) fn is_wrong_role(error: &wire::Error) -> bool {
    error.sqlstate() == Some(&wire::SqlState::READ_ONLY_SQL_TRANSACTION)
}

/// Whether the connection on which it happened can't be trusted any more, whatever it was used for.
pub(crate) fn must_close(error: &wire::Error) -> bool {
    retry::decide(&failure(error), Intent::Read).connection == Connection::Close
}
