use std::fmt;
use std::sync::Arc;

/// The history of writes that a session takes part in. It does not change while the session lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lineage {
    pub(crate) system: i64,
    pub(crate) timeline: i64,
    /// Differs after a crash, from which on numbers that were lost are given anew.
    pub(crate) crash_mark: Option<i64>,
}

/// What is known about a transaction of which nobody knows whether it was committed; for
/// [`Db::resolve`](crate::Db::resolve).
#[derive(Clone, PartialEq, Eq)]
pub struct UnknownCommit {
    pub(crate) xid: Option<u64>,
    pub(crate) lineage: Option<Lineage>,
    pub(crate) key: Option<Arc<str>>,
    /// The server has said that the key's row was written, so that nobody else can write it before
    /// the transaction has ended.
    pub(crate) claimed: bool,
}

impl UnknownCommit {
    /// Of a statement or batch that was sent together with a key.
    pub(crate) fn keyed(key: &Arc<str>) -> Self {
        Self {
            xid: None,
            lineage: None,
            key: Some(Arc::clone(key)),
            claimed: false,
        }
    }

    /// The transaction's number (`xid8`); `None` if it is not known to have written anything.
    #[must_use]
    pub fn xid(&self) -> Option<u64> {
        self.xid
    }

    /// The timeline on which the number counts.
    #[must_use]
    pub fn timeline(&self) -> Option<u32> {
        u32::try_from(self.lineage?.timeline).ok()
    }

    /// The server's system identifier, as in `pg_control_system()`.
    #[must_use]
    pub fn system_identifier(&self) -> Option<i64> {
        Some(self.lineage?.system)
    }

    /// The key of [`Db::idempotent`](crate::Db::idempotent).
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }
}

impl fmt::Debug for UnknownCommit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The key may be a customer's number: values stay out.
        formatter
            .debug_struct("UnknownCommit")
            .field("xid", &self.xid)
            .field("timeline", &self.timeline())
            .field("has_key", &self.key.is_some())
            .finish()
    }
}
