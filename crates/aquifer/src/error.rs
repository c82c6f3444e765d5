mod fault;
mod migration;
mod unknown;

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aquifer_wire as wire;
use aquifer_wire::{DatabaseError, SqlState};

pub(crate) use self::fault::{failure, fault};
pub use self::migration::{MigrationFault, MigrationProblem};
pub(crate) use self::unknown::Lineage;
pub use self::unknown::UnknownCommit;

/// Why a call failed, what may be done about it, and what the server said.
///
/// One word wide; a clone shares its causes. `Display` says what happened and what to do, on this level only; the cause is in
/// [`source`](StdError::source). Parameter values and passwords never appear in it.
///
/// ```
/// # use aquifer::{Error, ErrorKind, Retry};
/// fn status(error: &Error) -> u16 {
///     match error.kind() {
///         ErrorKind::NotFound => 404,
///         _ if error.constraint().is_some() => 409,
///         _ if error.retry() == Retry::Safe => 503,
///         _ => 500,
///     }
/// }
/// ```
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    retry: Retry,
    wire: Option<Arc<wire::Error>>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
    unknown: Option<UnknownCommit>,
    redis_code: Option<Arc<str>>,
    retry_after: Option<Duration>,
    migration: Option<Arc<MigrationFault>>,
}

/// What kind of failure an [`Error`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No connection became free in time, or the queue for one is full.
    Acquire,
    /// The work under this idempotency key was done already; it was not done again.
    AlreadyDone,
    /// The server refused the login.
    Authentication,
    /// The handle, pool or manager was shut down, or is used before it was initialized or twice.
    Closed,
    /// A setting can't be used; the text names it.
    Config,
    /// A connection could not be opened, or ended before the answer.
    Connection,
    /// The server answered with an error: see [`Error::database`] and [`Error::sqlstate`].
    Database,
    /// A column can't be read as the Rust type that was asked for.
    Decode,
    /// A parameter can't be sent as the type that the server expects; nothing was sent.
    Encode,
    /// A limit was met before anything was sent: too many parameters, a NUL in the text.
    Limit,
    /// The files and the table of migrations don't fit: see [`Error::migration`].
    Migration,
    /// A row was asked for and there is none.
    NotFound,
    /// The database takes no writes at present; nothing was sent.
    ReadOnly,
    /// The peer broke the protocol; its connection is closed.
    Protocol,
    /// Redis answered with an error: see [`Error::redis_code`].
    Redis,
    /// A table of the layer's own is missing or may not be used; the text says what to run.
    Schema,
    /// The deadline of the call passed.
    Timeout,
    /// TLS could not be agreed, or the certificate was refused.
    Tls,
    /// One row was asked for and there are several.
    TooManyRows,
    /// The transaction can't do that: it has ended, failed before, or is held by a savepoint.
    Transaction,
    /// The host is taken for down, or an operator closed it to calls; nothing was sent. See
    /// [`Error::retry_after`] and [`Db::breakers`](crate::Db::breakers).
    Unavailable,
    /// The outcome is unknown: the connection ended between a write and its answer, or the answer is
    /// that the server does not know.
    Unknown,
    /// The call does not fit: a statement that needs another method, values given twice.
    Usage,
}

/// Whether the same call may be made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Retry {
    /// The outcome is unknown: safe only if the statement is idempotent.
    IfIdempotent,
    /// Retrying cannot help.
    Never,
    /// Nothing has changed: nothing was sent, the server said so (40001, 53300, 57P03), or it was a
    /// read or part of a transaction, which is then run again as a whole.
    Safe,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        let retry = match kind {
            ErrorKind::Acquire | ErrorKind::Connection | ErrorKind::Unavailable => Retry::Safe,
            ErrorKind::Unknown | ErrorKind::Timeout => Retry::IfIdempotent,
            _ => Retry::Never,
        };
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            retry,
            wire: None,
            source: None,
            unknown: None,
            redis_code: None,
            retry_after: None,
            migration: None,
        }))
    }

    pub(crate) fn with_retry_after(mut self, wait: Option<Duration>) -> Self {
        self.0.retry_after = wait;
        self
    }

    pub(crate) fn with_retry(mut self, retry: Retry) -> Self {
        self.0.retry = retry;
        self
    }

    pub(crate) fn with_source(
        mut self,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        self.0.source = Some(Arc::from(source.into()));
        self
    }

    pub(crate) fn with_message(mut self, message: String) -> Self {
        self.0.message = message.into();
        self
    }

    /// Says one thing more at the end of the text.
    pub(crate) fn add(mut self, text: &str) -> Self {
        self.0.message = format!("{}; {text}", self.0.message).into();
        self
    }

    pub(crate) fn with_unknown(mut self, unknown: UnknownCommit) -> Self {
        self.0.unknown = Some(unknown);
        self
    }

    /// Says which migration it is about, in its text too.
    pub(crate) fn with_migration(mut self, fault: MigrationFault) -> Self {
        self.0.message = format!("{fault}: {}", self.0.message).into();
        self.0.migration = Some(Arc::new(fault));
        self
    }

    pub(crate) fn with_redis_code(mut self, code: &str) -> Self {
        self.0.redis_code = Some(code.into());
        self
    }

    /// A call failed on one connection; `writes` says whether it may have changed something.
    pub(crate) fn from_wire(error: wire::Error, writes: bool) -> Self {
        let unanswered = error.sent()
            && matches!(
                error.kind(),
                wire::Kind::Closed | wire::Kind::Protocol | wire::Kind::Timeout
            );
        let kind = match error.kind() {
            wire::Kind::Closed | wire::Kind::Protocol if unanswered && writes => ErrorKind::Unknown,
            wire::Kind::Database if writes && error.sqlstate().is_some_and(is_ambiguous) => {
                ErrorKind::Unknown
            }
            wire::Kind::Authentication => ErrorKind::Authentication,
            wire::Kind::Busy => ErrorKind::Usage,
            wire::Kind::Closed | wire::Kind::Connect => ErrorKind::Connection,
            wire::Kind::Config => ErrorKind::Config,
            wire::Kind::Database => ErrorKind::Database,
            wire::Kind::Decode => ErrorKind::Decode,
            wire::Kind::Encode => ErrorKind::Encode,
            wire::Kind::Limit => ErrorKind::Limit,
            wire::Kind::Timeout => ErrorKind::Timeout,
            wire::Kind::Overtaken => ErrorKind::Transaction,
            wire::Kind::Tls => ErrorKind::Tls,
            _ => ErrorKind::Protocol,
        };
        let retry = match kind {
            ErrorKind::Unknown => Retry::IfIdempotent,
            // No such database, no right to connect to it: that is so next time, too.
            ErrorKind::Connection if error.kind() == wire::Kind::Connect && is_refusal(&error) => {
                Retry::Never
            }
            // Cut, a write would be `Unknown`; a read, and what is rolled back, changed nothing.
            ErrorKind::Connection => Retry::Safe,
            ErrorKind::Timeout | ErrorKind::Protocol => {
                if unanswered {
                    Retry::IfIdempotent
                } else {
                    Retry::Safe
                }
            }
            ErrorKind::Database => error.sqlstate().map_or(Retry::Never, retry_of),
            _ => Retry::Never,
        };
        let message = match kind {
            ErrorKind::Unknown if unanswered => Cow::Borrowed(
                "the connection ended before the server answered; whether the statement took \
                 effect is unknown",
            ),
            _ => Cow::Owned(error.to_string()),
        };
        Self(Box::new(Inner {
            kind,
            message,
            retry,
            wire: Some(Arc::new(error)),
            source: None,
            unknown: None,
            redis_code: None,
            retry_after: None,
            migration: None,
        }))
    }

    /// What kind of failure this is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the same call may be made again.
    #[must_use]
    pub fn retry(&self) -> Retry {
        self.0.retry
    }

    /// When the same call may be made again with some hope, where that is known.
    ///
    /// Of an [`ErrorKind::Unavailable`] by a circuit breaker that opened by itself.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// What the server said, if it said something.
    #[must_use]
    pub fn database(&self) -> Option<&DatabaseError> {
        self.wire().and_then(wire::Error::database)
    }

    /// The SQLSTATE of the server's error, for example [`SqlState::UNIQUE_VIOLATION`].
    #[must_use]
    pub fn sqlstate(&self) -> Option<&SqlState> {
        self.database().map(DatabaseError::code)
    }

    /// The constraint that was violated.
    #[must_use]
    pub fn constraint(&self) -> Option<&str> {
        self.database().and_then(DatabaseError::constraint)
    }

    /// The table that the server's error is about.
    #[must_use]
    pub fn table(&self) -> Option<&str> {
        self.database().and_then(DatabaseError::table)
    }

    /// The column that the server's error is about.
    #[must_use]
    pub fn column(&self) -> Option<&str> {
        self.database().and_then(DatabaseError::column)
    }

    /// The first word of the error that Redis answered with, for example `READONLY` or `OOM`.
    #[must_use]
    pub fn redis_code(&self) -> Option<&str> {
        self.0.redis_code.as_deref()
    }

    /// What is known about a transaction of which nobody knows whether it was committed; for
    /// [`Db::resolve`](crate::Db::resolve).
    ///
    /// Of an [`ErrorKind::Unknown`] from COMMIT, and of statements under an idempotency key.
    #[must_use]
    pub fn unknown_commit(&self) -> Option<&UnknownCommit> {
        self.0.unknown.as_ref()
    }

    /// The migration that it is about, and what is wrong with it.
    #[must_use]
    pub fn migration(&self) -> Option<&MigrationFault> {
        self.0.migration.as_deref()
    }

    /// The error of the one connection, for deciding what to do with it.
    pub(crate) fn wire(&self) -> Option<&wire::Error> {
        self.0.wire.as_deref()
    }
}

fn is_refusal(error: &wire::Error) -> bool {
    error
        .sqlstate()
        .is_some_and(|state| matches!(state.class(), "28" | "3D" | "42"))
}

/// Codes by which a server or pooler says that it does not know itself.
fn is_ambiguous(state: &SqlState) -> bool {
    matches!(
        *state,
        SqlState::TRANSACTION_RESOLUTION_UNKNOWN | SqlState::STATEMENT_COMPLETION_UNKNOWN
    )
}

/// Codes by which the server says that it did nothing and may do it later.
fn retry_of(state: &SqlState) -> Retry {
    match *state {
        SqlState::SERIALIZATION_FAILURE
        | SqlState::DEADLOCK_DETECTED
        | SqlState::TOO_MANY_CONNECTIONS
        | SqlState::CANNOT_CONNECT_NOW => Retry::Safe,
        state if is_ambiguous(&state) => Retry::IfIdempotent,
        _ => Retry::Never,
    }
}

/// What to do about an error of the server, where its own hint does not say.
fn remedy(error: &DatabaseError) -> Option<&'static str> {
    // The code alone stands for every error of syntax.
    if error.routine() == Some("exec_parse_message") {
        return Some(
            "Use `execute_script` for a script, or `batch` for statements with parameters.",
        );
    }
    Some(match *error.code() {
        SqlState::SERIALIZATION_FAILURE | SqlState::DEADLOCK_DETECTED => {
            "Run the whole transaction again; `with_transaction` does so by itself."
        }
        SqlState::TOO_MANY_CONNECTIONS => {
            "Lower `connections_max` of the services on this server, or raise its max_connections."
        }
        SqlState::IN_FAILED_SQL_TRANSACTION => {
            "An earlier statement failed; roll back, or put the risky part into a savepoint (`tx.begin()`)."
        }
        SqlState::INDETERMINATE_DATATYPE => "Say the parameter's type, as in `$1::bigint`.",
        SqlState::READ_ONLY_SQL_TRANSACTION => {
            "The transaction is read-only or the server is a standby; send writes to the primary."
        }
        SqlState::INVALID_PASSWORD | SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
            "Check user and password, and the server's pg_hba.conf."
        }
        SqlState::QUERY_CANCELED => {
            "A time-out or a cancel request ended it; see `statement_timeout`."
        }
        _ => return None,
    })
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.message)?;
        let Some(database) = self.database() else {
            return Ok(());
        };
        match database.hint().or_else(|| remedy(database)) {
            Some(remedy) => write!(formatter, ". {remedy}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `main` returning an error prints Debug, so it leads with the text for people.
        write!(
            formatter,
            "{self} [{:?}, retry: {:?}]",
            self.0.kind, self.0.retry
        )
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        let source = self
            .0
            .source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static));
        // The text of a wire error stands in `message` already; go on with its cause, unless
        // another text took its place.
        source.or_else(|| match (self.wire(), self.0.kind) {
            (Some(wire), ErrorKind::Unknown) if wire.kind() != wire::Kind::Database => Some(wire),
            (Some(wire), _) => wire.source(),
            (None, _) => None,
        })
    }
}

impl From<aquifer_core::sql::Error> for Error {
    /// For what a query can't be built from; nothing was sent.
    fn from(error: aquifer_core::sql::Error) -> Self {
        let text = error.to_string();
        Self::new(ErrorKind::Usage, text)
    }
}

impl From<wire::Error> for Error {
    /// For failures while a result is read; nothing more is known about the statement.
    fn from(error: wire::Error) -> Self {
        Self::from_wire(error, false)
    }
}
