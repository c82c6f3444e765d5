use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use crate::{DatabaseError, SqlState};

/// Why something on one connection failed.
///
/// One word wide. `Display` prints this level only; the cause is in [`source`](StdError::source).
/// Parameter values and passwords never appear in it.
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    message: Cow<'static, str>,
    sent: bool,
    executed: bool,
    database: Option<DatabaseError>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// What kind of failure an [`Error`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The server refused the login, or asked for a method that the configuration forbids.
    Authentication,
    /// A COPY has the connection to itself; nothing was sent.
    Busy,
    /// The connection ended before the answer was complete; [`Error::database`] carries the
    /// server's last words if it said any.
    Closed,
    /// A connection string, a file it names, or an environment variable can't be used.
    Config,
    /// No session could be opened: name look-up, refused, or ended during start-up.
    Connect,
    /// The server answered with an error: see [`Error::database`].
    Database,
    /// A column can't be read as the Rust type that was asked for.
    Decode,
    /// A parameter can't be sent as the type that the server expects; nothing was sent.
    Encode,
    /// A limit was met before anything was sent: too many parameters, a NUL in text, a message that
    /// is larger than PostgreSQL takes (1 GiB), a full queue.
    Limit,
    /// The transaction that the request belonged to went on before it was sent.
    Overtaken,
    /// The peer broke the protocol; the connection is closed.
    Protocol,
    /// The time allowed ran out.
    Timeout,
    /// TLS could not be agreed, or the certificate was refused.
    Tls,
}

impl Error {
    /// An error of `kind` before any byte of the request was written.
    pub(crate) fn new(kind: Kind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            sent: false,
            executed: false,
            database: None,
            source: None,
        }))
    }

    pub(crate) fn from_database(database: DatabaseError) -> Self {
        let mut error = Self::new(Kind::Database, "the server refused the statement");
        error.0.sent = true;
        error.0.database = Some(database);
        error
    }

    /// The number, from 1, of the parameter that can't be sent, if it is that.
    #[must_use]
    pub fn parameter(&self) -> Option<usize> {
        let source = self.0.source.as_deref()?;
        let refused = source.downcast_ref::<crate::types::ParamsError>()?;
        Some(refused.number())
    }

    pub(crate) fn with_source(
        mut self,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        self.0.source = Some(source.into());
        self
    }

    pub(crate) fn with_database(mut self, database: Option<DatabaseError>) -> Self {
        self.0.database = database;
        self
    }

    pub(crate) fn with_sent(mut self, sent: bool) -> Self {
        self.0.sent = sent;
        self
    }

    /// The server said it after it had begun to execute the statement.
    pub(crate) fn with_executed(mut self, executed: bool) -> Self {
        self.0.executed = executed;
        self
    }

    /// Whether a part of the statement was executed before it failed, so that a code which speaks of
    /// its preparation comes from within.
    #[must_use]
    pub fn executed(&self) -> bool {
        self.0.executed
    }

    /// Says in front of the text where it happened: a host, a file.
    pub(crate) fn at(mut self, place: impl fmt::Display) -> Self {
        self.0.message = format!("{place}: {}", self.0.message).into();
        self
    }

    /// What kind of failure this is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// Whether a byte of the statement may have reached the server to be executed; asking for its
    /// description does not count.
    ///
    /// `false` means that the server did nothing, so that any statement may be sent again.
    #[must_use]
    pub fn sent(&self) -> bool {
        self.0.sent
    }

    /// What the server said, if it said something.
    #[must_use]
    pub fn database(&self) -> Option<&DatabaseError> {
        self.0.database.as_ref()
    }

    /// The SQLSTATE of [`database`](Self::database).
    #[must_use]
    pub fn sqlstate(&self) -> Option<&SqlState> {
        self.database().map(DatabaseError::code)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.kind, &self.0.database) {
            (Kind::Database, Some(database)) => database.fmt(formatter),
            (_, Some(database)) => write!(formatter, "{}: {database}", self.0.message),
            (_, None) => formatter.write_str(&self.0.message),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("sent", &self.0.sent)
            .field("database", &self.0.database)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    /// The nearest cause that says more than the text of this error does.
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        let source = self.0.source.as_deref();
        let mut source = source.map(|source| source as &(dyn StdError + 'static));
        while let Some(repeated) =
            source.filter(|source| self.0.message.contains(&source.to_string()))
        {
            source = repeated.source();
        }
        source
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::{Error, Kind};

    #[test]
    fn a_cause_whose_text_is_repeated_is_passed_over_but_not_its_own() {
        let io = std::io::Error::other("deepest");
        let inner = Error::new(Kind::Decode, "not a number").with_source(io);
        let outer = Error::new(Kind::Decode, format!("column \"a\": {inner}")).with_source(inner);
        assert_eq!(outer.source().unwrap().to_string(), "deepest");
        let told = Error::new(Kind::Connect, "refused: deepest");
        let told = told.with_source(std::io::Error::other("deepest"));
        assert!(told.source().is_none());
    }
}
