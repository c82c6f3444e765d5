use std::fmt;
use std::io;

use crate::{DatabaseError, Error, Kind};

/// Why a connection ended: told to every request that still waited, and to those who come later.
pub struct Ended {
    reason: Reason,
    last_words: Option<DatabaseError>,
}

/// What ended a connection.
#[derive(Clone, Debug)]
pub(crate) enum Reason {
    /// This side closed it.
    ByUs,
    /// The server closed it.
    Eof,
    /// Reading or writing failed.
    Io(io::ErrorKind),
    /// The server broke the protocol.
    Protocol(&'static str),
}

impl Ended {
    pub(crate) fn new(reason: Reason, last_words: Option<DatabaseError>) -> Self {
        Self { reason, last_words }
    }

    /// What the server said before it closed the connection, for example `57P01`.
    #[must_use]
    pub fn last_words(&self) -> Option<&DatabaseError> {
        self.last_words.as_ref()
    }

    /// Whether this side closed the connection on purpose.
    #[must_use]
    pub fn by_us(&self) -> bool {
        matches!(self.reason, Reason::ByUs)
    }

    pub(crate) fn error(&self, sent: bool) -> Error {
        let kind = match self.reason {
            Reason::Protocol(_) => Kind::Protocol,
            Reason::ByUs | Reason::Eof | Reason::Io(_) => Kind::Closed,
        };
        Error::new(kind, self.reason.to_string())
            .with_database(self.last_words.clone())
            .with_sent(sent)
    }
}

impl From<&'static str> for Reason {
    fn from(what: &'static str) -> Self {
        Self::Protocol(what)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ByUs => formatter.write_str("the connection was closed by this side"),
            Self::Eof => formatter.write_str("the server closed the connection"),
            Self::Io(kind) => write!(formatter, "the connection broke: {kind}"),
            Self::Protocol(what) => {
                write!(
                    formatter,
                    "the server broke the protocol ({what}); connection closed"
                )
            }
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.last_words {
            Some(words) => write!(formatter, "{}: {words}", self.reason),
            None => self.reason.fmt(formatter),
        }
    }
}

impl fmt::Debug for Ended {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Ended({self})")
    }
}
