use std::borrow::Cow;
use std::sync::Arc;

use crate::execute::Engine;
use crate::pool::Destination;
use crate::{Error, ErrorKind};

/// How far a transaction is kept apart from others; see the PostgreSQL manual, "Transaction
/// Isolation".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Isolation {
    /// Each statement sees what was committed before it began. The server's usual default.
    ReadCommitted,
    /// All statements see what was committed before the first one; conflicting writes fail with
    /// 40001 and are run again by `with_transaction`.
    RepeatableRead,
    /// As if transactions ran one after another; conflicts fail with 40001 likewise.
    Serializable,
}

/// What a transaction is begun with. Default: the server's isolation, reading and writing.
///
/// ```
/// # use aquifer::{Isolation, TransactionOptions};
/// let report = TransactionOptions::new().isolation(Isolation::Serializable).read_only().deferrable();
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransactionOptions {
    isolation: Option<Isolation>,
    read_only: bool,
    deferrable: bool,
}

impl TransactionOptions {
    /// The server's defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the isolation level.
    #[must_use]
    pub fn isolation(mut self, isolation: Isolation) -> Self {
        self.isolation = Some(isolation);
        self
    }

    /// The server refuses writes (25006).
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// Waits at the beginning until it can run without conflicts; has an effect only together with
    /// `Serializable` and `read_only`.
    #[must_use]
    pub fn deferrable(mut self) -> Self {
        self.deferrable = true;
        self
    }

    pub(super) fn is_read_only(self) -> bool {
        self.read_only
    }

    /// The host that a transaction of a handle is done on.
    pub(super) fn destination(self, engine: &Engine) -> Result<Destination, Error> {
        if engine.destination == Destination::Main {
            return Ok(Destination::Main);
        }
        if !self.read_only {
            engine.refuse_on_replica("a transaction that is not read-only")?;
        }
        // A server in recovery can't promise that.
        if self.isolation == Some(Isolation::Serializable) {
            return Ok(Destination::Main);
        }
        Ok(engine.destination)
    }

    /// Refuses what a savepoint within a transaction of `outer` can't have: it is part of that.
    pub(super) fn check_within(self, outer: Self) -> Result<(), Error> {
        let what = if strictness(self.isolation) > strictness(outer.isolation) {
            "have a stricter isolation level"
        } else if self.read_only && !outer.read_only {
            "be read-only"
        } else if self.deferrable && !outer.deferrable {
            "be deferrable"
        } else {
            return Ok(());
        };
        let text = format!(
            "a transaction within another one is a savepoint and can't {what} by itself; begin \
             the outer one so, or use `db.detached()`"
        );
        Err(Error::new(ErrorKind::Usage, text))
    }

    pub(super) fn begin(self) -> Cow<'static, str> {
        if self.isolation.is_none() && !self.read_only && !self.deferrable {
            return Cow::Borrowed("begin");
        }
        let isolation = match self.isolation {
            None => "",
            Some(Isolation::ReadCommitted) => " isolation level read committed",
            Some(Isolation::RepeatableRead) => " isolation level repeatable read",
            Some(Isolation::Serializable) => " isolation level serializable",
        };
        let access = if self.read_only { " read only" } else { "" };
        let deferrable = if self.deferrable { " deferrable" } else { "" };
        Cow::Owned(format!("begin{isolation}{access}{deferrable}"))
    }
}

/// What a transaction is to be: its options, and the key under which it is done at most once.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(super) options: TransactionOptions,
    pub(super) key: Option<Arc<str>>,
}

impl From<TransactionOptions> for Terms {
    fn from(options: TransactionOptions) -> Self {
        Self { options, key: None }
    }
}

/// How much an isolation level promises; what the server's default is, is not known here.
fn strictness(isolation: Option<Isolation>) -> u8 {
    match isolation {
        None | Some(Isolation::ReadCommitted) => 0,
        Some(Isolation::RepeatableRead) => 1,
        Some(Isolation::Serializable) => 2,
    }
}
