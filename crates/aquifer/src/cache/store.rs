//! L2, where values and stamps are: Redis, or this process if there is none.

use std::time::Duration;

use aquifer_core::stamps::Stamp;

use super::away::Away;
use super::claim::Claim;
use super::process::Process;
use super::remote::Remote;
use crate::Error;

pub(super) enum Store {
    Remote(Remote, Away),
    Process(Box<Process>),
}

/// A value as it is stored.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) bytes: Vec<u8>,
    /// For how long it is still there; for ever if there is none.
    pub(super) left: Option<Duration>,
}

/// What is stored at some names; a place for each, in their order.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) entries: Vec<Option<Entry>>,
    pub(super) stamps: Vec<Option<Stamp>>,
}

/// A stamp, and for how long it is kept at least; for ever if there is no time.
#[derive(Clone, Debug)]
pub(super) struct StampFor {
    pub(super) name: String,
    pub(super) ttl: Option<Duration>,
}

impl StampFor {
    pub(super) fn ever(name: String) -> Self {
        Self { name, ttl: None }
    }
}

/// Calls one store or the other: what the process does takes no time.
macro_rules! either {
    ($self:ident.$method:ident($($argument:expr),*)) => {
        match $self {
            Self::Remote(remote, away) => {
                Box::pin(away.unless(remote.$method($($argument),*))).await
            }
            Self::Process(process) => Ok(process.$method($($argument),*)),
        }
    };
}

impl Store {
    /// Says whether Redis is away, which every other call but `add` and `renew` goes by.
    pub(super) fn set_away(&self, is_away: bool) {
        if let Self::Remote(_, away) = self {
            away.set(is_away);
        }
    }

    /// What else is asked of Redis, unless it is away.
    pub(super) async fn unless_away<R>(
        &self,
        asked: impl Future<Output = Result<R, Error>> + Send,
    ) -> Result<R, Error> {
        match self {
            Self::Remote(_, away) => away.unless(asked).await,
            Self::Process(_) => asked.await,
        }
    }

    pub(super) async fn read(
        &self,
        entries: &[String],
        stamps: &[String],
    ) -> Result<Stored, Error> {
        either!(self.read(entries, stamps))
    }

    /// As [`read`](Self::read), after a claim was made if nobody else has made it; returns whether it was.
    pub(super) async fn read_claiming(
        &self,
        entry: &str,
        stamps: &[String],
        claim: &Claim,
    ) -> Result<(bool, Stored), Error> {
        match self {
            Self::Remote(remote, away) => {
                let read = remote.read_claiming(entry, stamps, claim);
                Box::pin(away.unless(read)).await
            }
            // What there is in this process only is loaded in this process only.
            Self::Process(process) => Ok((true, process.read(&[entry.to_owned()], stamps))),
        }
    }

    /// The stamps, after those were made that there were not.
    pub(super) async fn ensure(&self, stamps: &[StampFor]) -> Result<Vec<Stamp>, Error> {
        either!(self.ensure(stamps))
    }

    /// The next stamps.
    pub(super) async fn bump(&self, stamps: &[StampFor]) -> Result<Vec<Stamp>, Error> {
        either!(self.bump(stamps))
    }

    /// The next stamps of those that there are: where there is none, nothing depends on it.
    pub(super) async fn bump_present(&self, stamps: &[StampFor]) -> Result<(), Error> {
        either!(self.bump_present(stamps))
    }

    /// Stores envelopes, except where there is one of a later write.
    pub(super) async fn put(
        &self,
        entries: &[(String, Vec<u8>)],
        ttl: Duration,
    ) -> Result<(), Error> {
        either!(self.put(entries, ttl))
    }

    /// Removes entries, after their stamps were bumped; returns how many there were.
    pub(super) async fn delete(
        &self,
        entries: &[String],
        stamps: &[StampFor],
    ) -> Result<u64, Error> {
        either!(self.delete(entries, stamps))
    }

    /// Changes the time of an entry; returns whether there is one.
    pub(super) async fn expire(
        &self,
        entry: &str,
        stamp: &str,
        ttl: Duration,
    ) -> Result<bool, Error> {
        either!(self.expire(entry, stamp, ttl))
    }

    /// Adds to a counter; returns what it is then.
    pub(super) async fn add(&self, entry: &str, number: i64) -> Result<i64, Error> {
        match self {
            Self::Remote(remote, _) => remote.add(entry, number).await,
            Self::Process(process) => process.add(entry, number),
        }
    }

    /// Puts a stamp in the place of the present one, whatever that is; also by whoever finds out whether
    /// Redis is back.
    pub(super) async fn renew(&self, name: &str, stamp: Stamp) -> Result<(), Error> {
        match self {
            Self::Remote(remote, _) => Box::pin(remote.renew(name, stamp)).await,
            Self::Process(process) => {
                process.renew(name, stamp);
                Ok(())
            }
        }
    }

    /// Removes all entries whose names begin so.
    pub(super) async fn sweep(&self, prefix: &str) -> Result<(), Error> {
        either!(self.sweep(prefix))
    }

    /// Removes an entry that is still as it was read.
    pub(super) async fn discard(&self, entry: &str, bytes: &[u8]) -> Result<(), Error> {
        either!(self.discard(entry, bytes))
    }
}
