//! What is told about the hosts and their pools.

use std::sync::Arc;
use std::time::Duration;

use super::super::PoolStatus;
use super::Pools;
use crate::clock;
use crate::observe::HostRole;

/// One host of a database, and its pool.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HostStatus {
    /// The host and port, or the socket's file.
    pub host: Arc<str>,
    /// The part that it plays; `None` while nobody has heard of it.
    pub role: Option<HostRole>,
    /// Whether calls that ask for no host in particular go there.
    pub is_main: bool,
    /// Whether it answers the reads of [`Db::read`](crate::Db::read): a standby that is not too far
    /// behind.
    pub takes_reads: bool,
    /// How far it is behind; of a standby, as far as is known.
    pub lag: Option<ReplicaLag>,
    /// How long ago it was heard last.
    pub last_seen: Option<Duration>,
    /// Its connections; all zero while it has none.
    pub pool: PoolStatus,
}

/// How far a replica is behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplicaLag {
    /// In bytes of WAL.
    pub bytes: u64,
    /// For how long it has been behind; zero while it is not.
    pub age: Duration,
}

impl Pools {
    /// Each host, in the order of the configuration.
    pub(crate) fn hosts(&self) -> Vec<HostStatus> {
        let (topology, view) = (self.topology(), self.topology().view());
        let now = clock::now().into_std();
        let hosts = topology.names().iter().zip(&view.hosts).enumerate();
        hosts
            .map(|(index, (name, seen))| HostStatus {
                host: Arc::clone(name),
                role: seen.role,
                is_main: view.main == Some(index) || !self.are_several(),
                takes_reads: view.readable.contains(&index),
                lag: seen.lag.map(|lag| ReplicaLag {
                    bytes: lag.bytes,
                    age: lag.age,
                }),
                last_seen: seen
                    .last_seen
                    .map(|seen| now.saturating_duration_since(seen)),
                pool: self.pool_of(index),
            })
            .collect()
    }

    fn pool_of(&self, host: usize) -> PoolStatus {
        match self {
            Self::One(pool, _) => pool.status(),
            Self::Many(many) => many
                .seat(host)
                .map(|pool| pool.status())
                .unwrap_or_default(),
        }
    }
}

impl PoolStatus {
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            connections_max: self.connections_max + other.connections_max,
            lanes_max: self.lanes_max + other.lanes_max,
            lanes: self.lanes + other.lanes,
            lane_requests: self.lane_requests + other.lane_requests,
            idle: self.idle + other.idle,
            connecting: self.connecting + other.connecting,
            in_use: self.in_use + other.in_use,
            waiting: self.waiting + other.waiting,
            paused: self.paused || other.paused,
        }
    }
}
