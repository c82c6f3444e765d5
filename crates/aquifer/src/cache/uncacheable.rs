use std::fmt;

use crate::{Error, ErrorKind};

/// Why the result of a query can't be kept: see [`Error::uncacheable`].
///
/// ```
/// use aquifer::{Error, Uncacheable};
///
/// fn is_of_the_moment(error: &Error) -> bool {
///     matches!(error.uncacheable(), Some(Uncacheable::OfTheMoment(_)))
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Uncacheable {
    /// It writes.
    Writes,
    /// It locks rows.
    Locks,
    /// It has text written by hand, and nobody said what that reads.
    UnknownTables,
    /// It reads one of the system's tables, or a sequence, of whose changes nobody tells.
    SystemTable(Box<str>),
    /// It reads a table that only its session has.
    TemporaryTable(Box<str>),
    /// It reads a table whose rows are elsewhere.
    ForeignTable(Box<str>),
    /// It reads a view, or a table with policies, that calls a function which gives another result each
    /// time or which may read anything, or that reads a table of the system.
    OpaqueView(Box<str>),
    /// It calls a function whose result is another one each time, or that may write.
    VolatileFunction(Box<str>),
    /// It calls a function of the database's own, which may read anything.
    OwnFunction(Box<str>),
    /// It asks what time it is, or for a setting.
    OfTheMoment(Box<str>),
    /// It has a parameter that can't be told from others.
    Parameter(usize),
}

impl fmt::Display for Uncacheable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Writes => formatter.write_str("it is no mere read; run it without `cache`"),
            Self::Locks => formatter.write_str("it locks rows; run it without `cache`"),
            Self::UnknownTables => formatter.write_str(
                "a part of it is text written by hand; name all that it reads with `cache_tables`",
            ),
            Self::SystemTable(name) => write!(
                formatter,
                "of changes of {name:?} nobody tells; name what it reads with `cache_tables`, or run \
                 it without `cache`"
            ),
            Self::TemporaryTable(name) => {
                write!(formatter, "{name:?} is, or may be, a temporary table")
            }
            Self::ForeignTable(name) => write!(
                formatter,
                "{name:?} is a foreign table, of whose changes nobody tells"
            ),
            Self::OpaqueView(name) => write!(
                formatter,
                "the view or a policy of {name:?} calls a function that may read anything or gives \
                 another result later, or reads a table of the system; name what it reads with \
                 `cache_tables`"
            ),
            Self::VolatileFunction(name) => write!(
                formatter,
                "{name:?} gives another result each time, or may write; if it does neither, declare \
                 it STABLE"
            ),
            Self::OwnFunction(name) => write!(
                formatter,
                "{name:?} may read anything; name what it reads with `cache_tables`, or declare it \
                 IMMUTABLE if that is nothing"
            ),
            Self::OfTheMoment(name) => write!(
                formatter,
                "{name:?} gives another result later; pass the time as a parameter, rounded, or say \
                 with `cache_tables` that it may be as old as the value"
            ),
            Self::Parameter(number) => write!(
                formatter,
                "parameter ${number} is of a type of whose values no two can be told apart here"
            ),
        }
    }
}

impl std::error::Error for Uncacheable {}

impl From<Uncacheable> for Error {
    fn from(why: Uncacheable) -> Self {
        let text = format!("the result of this query can't be kept in the cache: {why}");
        Self::new(ErrorKind::Usage, text).with_source(why)
    }
}

impl Error {
    /// Why the result of a query can't be kept, of a query that was to be.
    #[must_use]
    pub fn uncacheable(&self) -> Option<&Uncacheable> {
        std::error::Error::source(self)?.downcast_ref()
    }
}
