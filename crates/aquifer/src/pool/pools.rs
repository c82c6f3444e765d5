//! The pools of all hosts of one database, and which of them a call takes.
//!
//! With one host there is one pool, and nothing to choose. With several each host has a pool of its
//! own from when it is known to be of use until it is not: then the pool is closed, so that whoever
//! waits on it chooses anew, and nothing can reach the host any more.

mod choose;
mod many;
mod status;

use std::ops::Deref;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use aquifer_wire::Catalog;

pub(crate) use self::many::{Many, Plan};
pub use self::status::{HostStatus, ReplicaLag};
use super::drain::Drained;
use super::{Checkout, Holder, Pool, PoolStatus, refuse};
use crate::deadline::Deadline;
use crate::topology::{Consistency, Topology};
use crate::{Error, ErrorKind};

/// The pools of one database; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) enum Pools {
    /// Of a single host, which nobody has to ask.
    One(Pool, Topology),
    /// Of several hosts.
    Many(Arc<Many>),
}

/// Which host a call is to go to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Destination {
    /// The one that calls go to which ask for none in particular.
    #[default]
    Main,
    /// A replica that has replayed so much at least, if one is to be had; else `Main`.
    Replica {
        at_least: Option<Consistency>,
        /// Another host than this, which has just refused.
        avoid: Option<usize>,
    },
}

/// The pool that was chosen for one attempt.
#[derive(Clone, Debug)]
pub(crate) enum Chosen<'a> {
    Only(&'a Pool),
    OneOf(Pool, usize),
}

impl Chosen<'_> {
    /// The host, where there are several.
    pub(crate) fn host(&self) -> Option<usize> {
        match self {
            Self::Only(_) => None,
            Self::OneOf(_, host) => Some(*host),
        }
    }
}

impl Deref for Chosen<'_> {
    type Target = Pool;

    fn deref(&self) -> &Pool {
        match self {
            Self::Only(pool) => pool,
            Self::OneOf(pool, _) => pool,
        }
    }
}

impl Pools {
    /// The pool for calls that ask for no host in particular, if there is one now.
    pub(crate) fn present(&self) -> Option<Chosen<'_>> {
        match self {
            Self::One(pool, _) => Some(Chosen::Only(pool)),
            Self::Many(many) => many.main(),
        }
    }

    /// The pool of a replica for a read, if there is one now.
    pub(crate) fn replica(
        &self,
        at_least: Option<Consistency>,
        avoid: Option<usize>,
    ) -> Option<Chosen<'_>> {
        match self {
            Self::One(pool, _) => Some(Chosen::Only(pool)),
            Self::Many(many) => many.pick(&many.topology().view(), at_least, avoid),
        }
    }

    /// The pool for a call; waits for one until the deadline.
    ///
    /// # Errors
    /// When there is no host for it by then, or none is to be expected soon.
    ///
    /// Cancellation: nothing is lost.
    pub(crate) async fn choose(
        &self,
        destination: Destination,
        deadline: Deadline,
    ) -> Result<Chosen<'_>, Error> {
        match self {
            Self::One(pool, _) => Ok(Chosen::Only(pool)),
            Self::Many(many) => many.choose(destination, deadline).await,
        }
    }

    /// An exclusive connection to the host that is the right one by then; one that answers, where the
    /// caller has just seen another end.
    ///
    /// Cancellation: as [`Pool::checkout`].
    pub(crate) async fn checkout(
        &self,
        destination: Destination,
        deadline: Deadline,
        location: &'static Location<'static>,
        answering: bool,
    ) -> Result<Checkout, Error> {
        loop {
            let pool = self.choose(destination, deadline).await?;
            match pool.checkout_if(answering, deadline, location).await {
                Err(error) if self.has_moved(&pool, &error) => {}
                Err(error) => {
                    Box::pin(refuse(deadline)).await;
                    return Err(error);
                }
                checkout => return checkout,
            }
        }
    }

    /// Whether an attempt failed only because its pool was closed meanwhile, with nothing sent: then
    /// another one has taken its place.
    pub(crate) fn has_moved(&self, pool: &Pool, error: &Error) -> bool {
        error.kind() == ErrorKind::Closed && pool.is_closed() && !self.is_closed()
    }

    fn is_closed(&self) -> bool {
        match self {
            Self::One(pool, _) => pool.is_closed(),
            Self::Many(many) => many.is_closed(),
        }
    }

    /// Tells the status whenever it is asked, without keeping the pools; `None` once they are closed.
    pub(crate) fn watch(&self) -> Box<dyn Fn() -> Option<PoolStatus> + Send + Sync> {
        match self {
            Self::One(pool, _) => Box::new(pool.watch()),
            Self::Many(many) => {
                let many = Arc::downgrade(many);
                Box::new(move || {
                    let many = many.upgrade().filter(|many| !many.is_closed())?;
                    Some(Self::Many(many).status())
                })
            }
        }
    }

    pub(crate) fn topology(&self) -> &Topology {
        match self {
            Self::One(_, topology) => topology,
            Self::Many(many) => many.topology(),
        }
    }

    /// Whether there are several hosts, one of which may take over from another.
    pub(crate) fn are_several(&self) -> bool {
        matches!(self, Self::Many(_))
    }

    /// The descriptions of statements, which all hosts share.
    pub(crate) fn catalog(&self) -> &Arc<Catalog> {
        match self {
            Self::One(pool, _) => pool.catalog(),
            Self::Many(many) => many.catalog(),
        }
    }

    /// Whether a pooler stands between, so that no session lasts longer than a transaction.
    pub(crate) fn is_pooled(&self) -> bool {
        match self {
            Self::One(pool, _) => pool.is_pooled(),
            Self::Many(many) => many.is_pooled(),
        }
    }

    /// Whether both are of one database handle.
    pub(crate) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::One(ours, _), Self::One(other, _)) => Arc::ptr_eq(&ours.0, &other.0),
            (Self::Many(ours), Self::Many(other)) => Arc::ptr_eq(ours, other),
            _ => false,
        }
    }

    pub(crate) fn resize(&self, connections_max: usize) {
        match self {
            Self::One(pool, _) => pool.resize(connections_max),
            Self::Many(many) => many.resize(connections_max),
        }
    }

    pub(crate) fn lanes_max(&self) -> usize {
        match self {
            Self::One(pool, _) => pool.0.limits.lanes,
            Self::Many(many) => many.lanes_max(),
        }
    }

    /// Cancellation: the pools are resumed.
    pub(crate) async fn pause(&self, hold_max: Duration) -> Result<(), Error> {
        match self {
            Self::One(pool, _) => pool.pause(hold_max).await,
            Self::Many(many) => many.pause(hold_max).await,
        }
    }

    pub(crate) fn resume(&self) {
        match self {
            Self::One(pool, _) => pool.resume(),
            Self::Many(many) => many.resume(),
        }
    }

    /// Cancellation: the pools stay closed; what is under way goes on.
    pub(crate) async fn drain(&self, soft: Deadline, hard: Deadline) -> Drained {
        match self {
            Self::One(pool, _) => pool.drain(soft, hard).await,
            Self::Many(many) => many.drain(soft, hard).await,
        }
    }

    pub(crate) fn status(&self) -> PoolStatus {
        match self {
            Self::One(pool, _) => pool.status(),
            Self::Many(many) => many.status(),
        }
    }

    /// Who holds exclusive connections now, the longest first.
    pub(crate) fn holders(&self) -> Vec<Holder> {
        match self {
            Self::One(pool, _) => pool.holders(),
            Self::Many(many) => many.holders(),
        }
    }
}
