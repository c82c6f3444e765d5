//! The circuit breakers, as the user of a handle sees them.

use super::Db;
use crate::pool::{BreakerLane, BreakerStatus};
use crate::{BreakerOrder, Error, ErrorKind};

impl Db {
    /// The circuit breakers, two for each host: before its lanes, and before its exclusive
    /// connections.
    ///
    /// One opens when most calls fail by the host's fault, or three in a row meet no host. A host that
    /// is the only one is not taken away by that: its callers wait for a connection up to
    /// `acquire_timeout`, as ever; only when an outage has lasted that long, and 5 s at least, they are refused at once,
    /// with [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) and
    /// [`retry_after`](crate::Error::retry_after), until the host answers again, which is tried every
    /// 300 ms. Changes are told as [`Event::BreakerChange`](crate::Event::BreakerChange).
    #[must_use]
    #[doc(alias("circuit"))]
    pub fn breakers(&self) -> Vec<BreakerStatus> {
        self.engine.pools.breakers()
    }

    /// Opens a circuit breaker by force, disables it, or lets it go by what happens again.
    ///
    /// `host` is written as in the configuration, and as [`breakers`](Self::breakers) says it. What is
    /// under way goes on; transactions that have begun do, too. It holds until another word is said of the
    /// same breaker, also for a host that goes away and comes back, or is away just now.
    ///
    /// # Errors
    /// [`Usage`](crate::ErrorKind::Usage) when there is no such host.
    pub fn set_breaker(
        &self,
        host: &str,
        lane: BreakerLane,
        order: BreakerOrder,
    ) -> Result<(), Error> {
        if self.engine.pools.order_breaker(host, lane, order) {
            return Ok(());
        }
        let hosts: Vec<_> = self
            .hosts()
            .iter()
            .map(|host| host.host.to_string())
            .collect();
        let text = format!("there is no host {host:?}; there is {}", hosts.join(", "));
        Err(Error::new(ErrorKind::Usage, text))
    }
}
