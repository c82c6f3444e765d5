use std::error::Error as StdError;
use std::fmt;
use std::io;

/// Why a private server could not be started, reached or stopped.
///
/// One word wide. The message says what happened and what to do about it; passwords never appear
/// in it.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    source: Option<io::Error>,
}

/// What kind of failure an [`Error`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No PostgreSQL server binaries were found, or none of the wanted major version.
    BinariesMissing,
    /// A value given to the builder can't be used; the message names it.
    Configuration,
    /// A directory or a file in it can't be made, read, entered or removed.
    Directory,
    /// Another live server, or another owner, uses the directory.
    InUse,
    /// A process of ours could not be started or signalled.
    Process,
    /// `initdb` or the server gave up or took too long; the message ends with its log.
    Startup,
    /// The server did not end in the allowed time and had to be ended by force.
    Stop,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            source: None,
        }))
    }

    pub(crate) fn io(kind: ErrorKind, message: impl Into<String>, source: io::Error) -> Self {
        let mut error = Self::new(kind, message);
        error.0.source = Some(source);
        error
    }

    /// What kind of failure this is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .source
            .as_ref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}
