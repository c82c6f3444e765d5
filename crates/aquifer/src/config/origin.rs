//! Where a value came from.

use std::fmt;
use std::panic::Location;
use std::path::PathBuf;

/// Where the value of a setting came from; a later one of these wins over an earlier one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// A line of a TOML file, counted from 1.
    File {
        /// The file, as it was named.
        path: PathBuf,
        /// The line.
        line: usize,
    },
    /// An environment variable.
    Environment {
        /// Its name.
        variable: String,
    },
    /// A parameter in the `url`.
    Url,
    /// A call in the program.
    Code {
        /// Where the call stands.
        location: &'static Location<'static>,
    },
}

impl Origin {
    /// Which of two sources of one setting counts: the one with the higher rank.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Self::Default | Self::Url => 0,
            Self::File { .. } => 1,
            Self::Environment { .. } => 2,
            Self::Code { .. } => 3,
        }
    }

    pub(super) fn variable(name: impl Into<String>) -> Self {
        Self::Environment {
            variable: name.into(),
        }
    }
}

/// As an editor takes it, for files and code: `aquifer.toml:3`.
impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => formatter.write_str("default"),
            Self::File { path, line } => write!(formatter, "{}:{line}", path.display()),
            Self::Environment { variable } => formatter.write_str(variable),
            Self::Url => formatter.write_str("url"),
            Self::Code { location } => write!(formatter, "{}:{}", location.file(), location.line()),
        }
    }
}

/// A value and where it came from.
#[derive(Clone)]
pub(super) struct Sourced<T> {
    pub(super) value: T,
    pub(super) origin: Origin,
}

impl<T> Sourced<T> {
    /// What a call in the program says.
    pub(super) fn by(location: &'static Location<'static>, value: T) -> Self {
        Self {
            value,
            origin: Origin::Code { location },
        }
    }
}
