//! A connection on which channels are heard, by RESP2 as by RESP3.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_core::Stream;
use redis::aio::{PubSubSink, PubSubStream};
use redis::{Msg, RedisError};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;

use super::fleet::Fleet;
use super::node::closed;
use super::traits::Effect;
use super::verdict::{self, Verdict};
use crate::Error;
use crate::config::RedisAddress;
use crate::deadline::Deadline;
use crate::wait::first;

/// What stands on a channel.
#[derive(Debug)]
pub(crate) struct Published {
    /// The pattern by which it was heard, if it was not by the channel's name.
    pub(crate) pattern: Option<Vec<u8>>,
    pub(crate) channel: Vec<u8>,
    pub(crate) payload: Vec<u8>,
}

/// A connection to one master for what is published; closed when it is dropped.
///
/// What it hears is told synchronously and in order, in a task that does nothing else, so that the
/// queue before it stays empty.
#[derive(Debug)]
pub(crate) struct Subscriber {
    address: RedisAddress,
    sink: PubSubSink,
    barrier: mpsc::Sender<oneshot::Sender<()>>,
    ended: watch::Receiver<bool>,
    task: AbortHandle,
}

impl Subscriber {
    /// `heard` is called with each message; it must not block.
    pub(super) async fn open<F>(
        fleet: &Arc<Fleet>,
        address: &RedisAddress,
        heard: F,
    ) -> Result<Self, Error>
    where
        F: Fn(Published) + Send + Sync + 'static,
    {
        let (sink, mut messages) = fleet.opener.open_channels(address).await?.split();
        let (barrier, mut barriers) = mpsc::channel(1);
        let (end, ended) = watch::channel(false);
        let shut_down = fleet.closed();
        let carried = async move {
            {
                let carrying = std::pin::pin!(carry(&mut messages, &mut barriers, heard));
                let _either = first(carrying, shut_down).await;
            }
            drop(messages);
            end.send_replace(true);
        };
        let task = fleet.opener.tasks.spawn(carried).ok_or_else(closed)?;
        Ok(Self {
            address: address.clone(),
            sink,
            barrier,
            ended,
            task,
        })
    }

    /// Hears a channel from now on.
    pub(crate) async fn subscribe(&self, channel: &str, limit: Duration) -> Result<(), Error> {
        let mut sink = self.sink.clone();
        let asked = sink.subscribe(channel);
        self.answered("SUBSCRIBE", limit, asked).await
    }

    /// Hears all channels that a pattern fits.
    pub(crate) async fn subscribe_all(&self, pattern: &str, limit: Duration) -> Result<(), Error> {
        let mut sink = self.sink.clone();
        let asked = sink.psubscribe(pattern);
        self.answered("PSUBSCRIBE", limit, asked).await
    }

    pub(crate) async fn unsubscribe(&self, channel: &str, limit: Duration) -> Result<(), Error> {
        let mut sink = self.sink.clone();
        let asked = sink.unsubscribe(channel);
        self.answered("UNSUBSCRIBE", limit, asked).await
    }

    pub(crate) async fn unsubscribe_all(
        &self,
        pattern: &str,
        limit: Duration,
    ) -> Result<(), Error> {
        let mut sink = self.sink.clone();
        let asked = sink.punsubscribe(pattern);
        self.answered("PUNSUBSCRIBE", limit, asked).await
    }

    /// Asks for a sign of life; all that was published before it was asked has been told when it
    /// returns.
    ///
    /// Cancellation: nothing is lost.
    pub(crate) async fn ping(&self, limit: Duration) -> Result<(), Error> {
        let mut sink = self.sink.clone();
        let asked = sink.ping::<redis::Value>();
        self.answered("PING", limit, asked).await?;
        // What came before the answer waits for the task, as this does.
        let (told, done) = oneshot::channel();
        let passed = async {
            self.barrier.send(told).await.ok()?;
            done.await.ok()
        };
        match Deadline::after(limit).run(passed).await {
            Ok(Some(())) => Ok(()),
            Ok(None) => Err(closed()),
            Err(_elapsed) => Err(verdict::late("PING", Effect::Reads, limit)),
        }
    }

    /// Where its server listens.
    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// Resolves when the connection is lost.
    ///
    /// Cancellation: nothing is lost.
    pub(crate) async fn closed(&self) {
        let mut ended = self.ended.clone();
        let _ended_or_gone = ended.wait_for(|ended| *ended).await;
    }

    async fn answered<T>(
        &self,
        name: &str,
        limit: Duration,
        asked: impl Future<Output = Result<T, RedisError>>,
    ) -> Result<(), Error> {
        let failure = match Deadline::after(limit).run(asked).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => error,
            Err(_elapsed) => return Err(verdict::late(name, Effect::Settles, limit)),
        };
        match verdict::of_failure(&failure, name, Effect::Settles, &self.address) {
            Verdict::Answer(_) => Ok(()),
            Verdict::Failed(error) | Verdict::Again(_, error) => Err(error),
        }
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Tells messages until there are no more, and of barriers when no message is left before them.
async fn carry(
    messages: &mut PubSubStream,
    barriers: &mut mpsc::Receiver<oneshot::Sender<()>>,
    heard: impl Fn(Published) + Sync,
) {
    poll_fn(|context| {
        loop {
            match Pin::new(&mut *messages).poll_next(context) {
                Poll::Ready(Some(message)) => heard(published(&message)),
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending => match barriers.poll_recv(context) {
                    Poll::Ready(Some(passed)) => {
                        let _gone = passed.send(());
                    }
                    // The last that could send one is gone, and this task with it.
                    Poll::Ready(None) => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                },
            }
        }
    })
    .await;
}

fn published(message: &Msg) -> Published {
    Published {
        pattern: message.get_pattern::<Option<Vec<u8>>>().ok().flatten(),
        channel: message.get_channel().unwrap_or_default(),
        payload: message.get_payload_bytes().to_vec(),
    }
}
