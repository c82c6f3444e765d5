//! What to do after an attempt failed.
//!
//! [`decide`] is a table over three things: how far the attempt got (*phase*), what went wrong (the
//! SQLSTATE, or the kind of a failure that has none), and what the caller was doing (*intent*). The
//! phase wins: what was never sent may always be sent again; what was sent and not answered may be
//! sent again only if doing it twice is harmless; what became of a COMMIT that was not answered is
//! unknown. How often, how soon and whether callers can afford it is decided elsewhere.
//!
//! ```
//! use aquifer_core::retry::{Action, Failure, Intent, Kind, Phase, decide};
//!
//! let cut = Failure::new(Phase::Sent, Kind::Closed);
//! assert!(matches!(decide(&cut, Intent::Read).action, Action::Retry(_)));
//! assert_eq!(decide(&cut, Intent::Write).action, Action::Unknown);
//! ```

#[cfg(test)]
mod tests;

/// How far an attempt got before it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a caller must tell them all apart")]
pub enum Phase {
    /// No byte of it reached a server.
    NotSent,
    /// Some of it may have reached the server.
    Sent,
    /// A COMMIT was among what may have reached the server.
    CommitSent,
}

/// What kind of failure it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The connection ended, or broke the protocol, before the answer was complete.
    Closed,
    /// No session could be opened; the SQLSTATE is that of the server's refusal, if it said one.
    Connect,
    /// The server answered with an error.
    Database,
    /// The caller's values, configuration or certificates; another attempt would meet the same.
    Other,
    /// No connection could be had: none free in time, the queue full, the breaker open.
    PoolTimeout,
    /// The time allowed for the answer ran out.
    Timeout,
}

/// One failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure<'a> {
    /// How far it got.
    pub phase: Phase,
    /// What kind it was.
    pub kind: Kind,
    /// What the server said, in its answer or as its last words.
    pub sqlstate: Option<&'a str>,
    /// The function of the server's source that said it, which tells stale plans apart.
    pub routine: Option<&'a str>,
    /// Whether the server ended the session with it (FATAL or PANIC).
    pub fatal: bool,
}

impl<'a> Failure<'a> {
    /// A failure about which the server said nothing.
    #[must_use]
    pub fn new(phase: Phase, kind: Kind) -> Self {
        Self {
            phase,
            kind,
            sqlstate: None,
            routine: None,
            fatal: false,
        }
    }

    /// The same with what the server said about it.
    #[must_use]
    pub fn with_sqlstate(mut self, sqlstate: &'a str) -> Self {
        self.sqlstate = Some(sqlstate);
        self
    }

    /// The same with the function of the server's source that said it.
    #[must_use]
    pub fn with_routine(mut self, routine: &'a str) -> Self {
        self.routine = Some(routine);
        self
    }

    /// The same, with which the server ended the session.
    #[must_use]
    pub fn ending_session(mut self) -> Self {
        self.fatal = true;
        self
    }
}

/// What the caller was doing, that is: what another attempt would repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a caller must tell them all apart")]
pub enum Intent {
    /// A statement by itself that changes nothing.
    Read,
    /// A statement by itself that may change something.
    Write,
    /// A statement by itself that changes something but may be done twice.
    Idempotent,
    /// A statement of a transaction, BEGIN included, COMMIT not.
    TransactionBody,
    /// COMMIT of a transaction.
    Commit,
}

/// What [`decide`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "a caller must heed all of it")]
pub struct Verdict {
    /// What becomes of the work.
    pub action: Action,
    /// What becomes of the connection.
    pub connection: Connection,
}

/// What becomes of the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a caller must heed them all")]
pub enum Action {
    /// The statement may be sent again.
    Retry(Remedy),
    /// The transaction changed nothing and may be run again as a whole.
    RetryTransaction(Remedy),
    /// Whether it changed something is unknown, so it must not be sent again.
    Unknown,
    /// What became of it is known, and sending it again would not help.
    Fail,
}

/// What to do before another attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a caller must heed them all")]
pub enum Remedy {
    /// Wait, so that the other party of the conflict can end.
    BackOff,
    /// Take another host at once, or wait if there is none.
    OtherHost,
    /// Find out which host is the primary now.
    FindPrimary,
    /// Forget the prepared statement and prepare it anew. Helps once.
    Prepare,
    /// Ask the password provider anew. Helps once; a second refusal must fail, lest the role be
    /// locked out.
    RefreshCredentials,
}

/// What becomes of the connection on which the attempt was made, if there was one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "it is kept or it is not")]
pub enum Connection {
    /// It can be used further, after a rollback if a transaction is open.
    Keep,
    /// It is dead or can't be trusted.
    Close,
}

/// Decides what to do after an attempt failed.
#[must_use]
pub fn decide(failure: &Failure<'_>, intent: Intent) -> Verdict {
    use Action::{Fail, Retry, RetryTransaction, Unknown};
    use Intent::{Commit, Idempotent, Read, TransactionBody, Write};
    use Remedy::{BackOff, FindPrimary, OtherHost, Prepare, RefreshCredentials};

    let intent = match (failure.phase, intent) {
        // A batch may carry the COMMIT behind its last statement.
        (Phase::CommitSent, TransactionBody) => Commit,
        _ => intent,
    };
    let again = match intent {
        Read | Write | Idempotent => Retry,
        TransactionBody | Commit => RetryTransaction,
    };
    let cause = Cause::of(failure);
    let action = match (cause, intent) {
        (Cause::NotRun, _) => again(OtherHost),
        (Cause::Credentials, _) => again(RefreshCredentials),
        // A standby cancels reads that are in the way of its replay: another host can answer.
        (Cause::Conflict, Read) => again(OtherHost),
        (Cause::Conflict, _) => again(BackOff),
        (Cause::WrongRole, _) => again(FindPrimary),
        (Cause::StalePlan, _) => again(Prepare),
        (Cause::Ambiguous, Read | Idempotent) => again(OtherHost),
        (Cause::Ambiguous, Write | TransactionBody | Commit) => Unknown,
        (Cause::Lost, Read | Idempotent) => again(OtherHost),
        (Cause::Lost, Write | Commit) => Unknown,
        // The server rolls back what it has no COMMIT for.
        (Cause::Lost, TransactionBody) => again(OtherHost),
        (Cause::Resource, Read) => again(OtherHost),
        (Cause::Resource, _) => Fail,
        (Cause::Expired | Cause::Refused, _) => Fail,
    };
    let connection = cause.connection(failure);
    Verdict { action, connection }
}

/// The rows of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// The server did nothing: nothing was sent, or the session had ended before.
    NotRun,
    /// The server refused the login.
    Credentials,
    /// Rolled back in favour of another transaction, or of a standby's replay.
    Conflict,
    /// A host refused to write, because it is not the primary (any more).
    WrongRole,
    /// The prepared statement does not fit any more, or is gone; it was not executed.
    StalePlan,
    /// The server itself does not know.
    Ambiguous,
    /// The session ended without an answer.
    Lost,
    /// A limit on time that somebody set; another attempt would meet it too.
    Expired,
    /// The host lacks memory, disk or health.
    Resource,
    /// The statement is at fault.
    Refused,
}

impl Cause {
    fn of(failure: &Failure<'_>) -> Self {
        let sqlstate = failure.sqlstate.unwrap_or_default();
        let stale = failure.routine == Some("RevalidateCachedQuery");
        match (failure.kind, failure.phase, sqlstate) {
            (Kind::Other, _, _) => Self::Refused,
            (Kind::Connect, _, "28000" | "28P01") => Self::Credentials,
            // No such database, no right to connect to it.
            (Kind::Connect, _, code) if is_of_class(code, &["28", "3D", "42"]) => Self::Refused,
            (Kind::Connect | Kind::PoolTimeout, _, _) | (_, Phase::NotSent, _) => Self::NotRun,
            // The server says so only while it waits for a statement outside a transaction.
            (_, _, "57P05") => Self::NotRun,
            (_, _, "40001" | "40P01") => Self::Conflict,
            (_, _, "25006" | "57P04") => Self::WrongRole,
            (_, _, "0A000") if stale => Self::StalePlan,
            (_, _, "26000" | "42P05") => Self::StalePlan,
            (_, _, "08007" | "40003") => Self::Ambiguous,
            (_, _, "25P03" | "25P04" | "55P03" | "57014") => Self::Expired,
            (_, _, "57P01" | "57P02" | "57P03") => Self::Lost,
            (Kind::Closed | Kind::Timeout, _, _) => Self::Lost,
            (Kind::Database, _, _) if failure.fatal => Self::Lost,
            (Kind::Database, _, "XX000") => Self::Resource,
            (Kind::Database, _, code) if is_of_class(code, &["53", "58"]) => Self::Resource,
            (Kind::Database, _, _) => Self::Refused,
        }
    }

    fn connection(self, failure: &Failure<'_>) -> Connection {
        let sqlstate = failure.sqlstate.unwrap_or_default();
        let dead = match (failure.kind, self) {
            (Kind::Closed | Kind::Connect, _) | (_, Self::Ambiguous | Self::Lost) => true,
            // These end the session; the server's word for it may not have arrived.
            (Kind::Database, _) if matches!(sqlstate, "25P03" | "25P04" | "57P04" | "57P05") => {
                true
            }
            (Kind::Database, Self::Resource) => !is_of_class(sqlstate, &["53"]),
            _ => failure.fatal,
        };
        if dead {
            Connection::Close
        } else {
            Connection::Keep
        }
    }
}

/// Whether the first two characters of a SQLSTATE are among `classes`.
fn is_of_class(sqlstate: &str, classes: &[&str]) -> bool {
    classes.iter().any(|class| sqlstate.starts_with(class))
}
