use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::PushInfo;
use redis::aio::MultiplexedConnection;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::command::{Command, Pipeline};
use super::fleet::Fleet;
use super::node::closed;
use super::opener::{Expected, Pushes};
use crate::Error;
use crate::config::RedisAddress;
use crate::wait::first;

/// A connection to one master for one owner; closed when it is dropped.
///
/// Made by [`Redis::link`](super::Redis::link). It takes every command, also those that wait or
/// subscribe. What is sent is not sent again; when it is lost, it stays so.
pub struct Link(Arc<Inner>);

/// What commands on a link share.
pub(super) struct Inner {
    pub(super) address: RedisAddress,
    pub(super) connection: MultiplexedConnection,
    pub(super) timeout: Duration,
    ended: watch::Receiver<bool>,
    task: AbortHandle,
}

impl Link {
    pub(super) async fn open<F>(
        fleet: &Arc<Fleet>,
        address: &RedisAddress,
        on_push: F,
    ) -> Result<Self, Error>
    where
        F: Fn(PushInfo) + Send + Sync + 'static,
    {
        let settings = fleet.opener.settings();
        let expected = match fleet.is_single() || fleet.is_cluster() {
            true => Expected::Any,
            false => Expected::Master,
        };
        let pushes: Pushes = Arc::new(move |push| {
            on_push(push);
            Ok::<(), std::convert::Infallible>(())
        });
        let pushes = settings.target.resp3.then_some(pushes);
        let (connection, mut driver) = fleet.opener.open(address, expected, pushes).await?;
        let (end, ended) = watch::channel(false);
        let shut_down = fleet.closed();
        let carried = async move {
            let _either = first(driver.as_mut(), shut_down).await;
            drop(driver);
            end.send_replace(true);
        };
        let task = fleet.opener.tasks.spawn(carried).ok_or_else(closed)?;
        Ok(Self(Arc::new(Inner {
            address: address.clone(),
            connection,
            timeout: settings.timeout,
            ended,
            task,
        })))
    }

    /// Begins a command.
    pub fn command(&self, name: &str) -> Command {
        Command::new(Arc::clone(&self.0).into(), name)
    }

    /// Begins a list of commands that are sent together.
    pub fn pipeline(&self) -> Pipeline {
        Pipeline::new(Arc::clone(&self.0).into())
    }

    /// Where its server listens.
    #[must_use]
    pub fn address(&self) -> String {
        self.0.address.to_string()
    }

    /// Resolves when the connection is lost: by the server, the network or a shutdown.
    ///
    /// A network that swallows everything is noticed by a command that is not answered; send PING
    /// from time to time.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn closed(&self) {
        let mut ended = self.0.ended.clone();
        let _ended_or_gone = ended.wait_for(|ended| *ended).await;
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Link")
            .field("address", &self.address())
            .finish_non_exhaustive()
    }
}
