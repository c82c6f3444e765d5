use std::borrow::Cow;
use std::fmt;

/// Why a tree can't become text, and what to do about it; values never stand in it.
#[derive(Clone, PartialEq, Eq)]
pub struct Error(Box<Inner>);

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    what: Cow<'static, str>,
    remedy: Cow<'static, str>,
}

impl Error {
    /// `what` is wrong, and how it is put right.
    #[must_use]
    #[cold]
    pub fn new(what: impl Into<Cow<'static, str>>, remedy: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            what: what.into(),
            remedy: remedy.into(),
        }))
    }

    /// What is wrong.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.0.what
    }

    /// How it is put right.
    #[must_use]
    pub fn remedy(&self) -> &str {
        &self.0.remedy
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}; {}", self.0.what, self.0.remedy)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "sql::Error({self})")
    }
}

impl std::error::Error for Error {}
