//! What whoever listens to a channel holds.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::de::DeserializeOwned;

use super::Cache;
use super::pubsub::{Queue, Raw, Taken, Topic};
use super::write::closed;
use crate::observe::Event;
use crate::wait::caught;
use crate::{Error, ErrorKind, tasks};

/// A place among those who listen, given up when it is dropped.
pub(super) struct Listening {
    cache: Cache,
    topic: Topic,
    queue: Arc<Queue>,
}

impl Listening {
    pub(super) fn new(cache: Cache, topic: Topic, queue: Arc<Queue>) -> Self {
        Self {
            cache,
            topic,
            queue,
        }
    }

    pub(super) fn place(&self) -> (&Topic, &Arc<Queue>) {
        (&self.topic, &self.queue)
    }

    fn is_live(&self) -> bool {
        self.cache.0.hub.is_live(&self.topic)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.cache.0.hub.remove(&self.topic, &self.queue);
    }
}

/// A function that is called with each message of a channel, until this is dropped; made by
/// [`Cache::subscribe`].
///
/// A call that runs when it is dropped still ends; no other begins after it.
#[must_use = "it ends when it is dropped"]
pub struct Subscription {
    listening: Listening,
    unreadable: Arc<AtomicU64>,
}

impl Subscription {
    pub(super) fn begin<T, F>(listening: Listening, mut callback: F) -> Result<Self, Error>
    where
        T: DeserializeOwned + 'static,
        F: FnMut(T, &str) + Send + 'static,
    {
        let unreadable = Arc::<AtomicU64>::default();
        let (queue, count) = (Arc::clone(&listening.queue), Arc::clone(&unreadable));
        let observers = listening.cache.0.observers.clone();
        let topic = Arc::clone(listening.topic.name());
        let calling = async move {
            let mut told = false;
            while let Some(taken) = queue.next().await {
                let raw = match taken {
                    Taken::Message(raw) => raw,
                    Taken::Gap(0) => continue,
                    Taken::Gap(dropped) => {
                        let channel = Arc::clone(&topic);
                        observers.publish(Event::SubscriptionGap { channel, dropped });
                        continue;
                    }
                };
                match decoded::<T>(&raw) {
                    Ok(message) => {
                        told = false;
                        if caught(|| callback(message, &raw.channel)).is_none() {
                            observers.panicked();
                        }
                    }
                    Err(error) => {
                        count.fetch_add(1, Ordering::Relaxed);
                        if !std::mem::replace(&mut told, true) {
                            observers.publish(Event::MessageUnreadable {
                                channel: raw.channel,
                                cause: error.to_string().into(),
                            });
                        }
                    }
                }
            }
        };
        tasks::listen(calling).ok_or_else(closed)?;
        Ok(Self {
            listening,
            unreadable,
        })
    }

    /// Whether the server listens for it now, as far as is known.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.listening.is_live()
    }

    /// How many messages it lost because it was too slow.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.listening.queue.dropped()
    }

    /// How many messages could not be read as what the function takes.
    #[must_use]
    pub fn unreadable(&self) -> u64 {
        self.unreadable.load(Ordering::Relaxed)
    }
}

/// The messages of a channel, until this is dropped; made by [`Cache::messages`].
#[must_use = "it ends when it is dropped"]
pub struct Messages<T> {
    listening: Listening,
    reads: PhantomData<fn() -> T>,
}

/// What [`Messages`] gives.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Received<T> {
    /// A message.
    #[non_exhaustive]
    Message {
        /// Where it was published.
        channel: Arc<str>,
        /// What it says.
        message: T,
    },
    /// Messages may have been missed here. It is listened to again already, so whoever keeps something in
    /// step with messages misses nothing by reading it anew now.
    #[non_exhaustive]
    Gap {
        /// How many this receiver lost because it was too slow; 0 when the connection was lost, since
        /// nobody knows how many were published.
        dropped: u64,
    },
}

impl<T: DeserializeOwned> Messages<T> {
    pub(super) fn new(listening: Listening) -> Self {
        Self {
            listening,
            reads: PhantomData,
        }
    }

    /// The next message, or word of a gap. While no connection can be had it waits.
    ///
    /// # Errors
    /// [`Decode`](ErrorKind::Decode) for a message that can't be read as `T`; the next ones follow.
    /// [`Closed`](ErrorKind::Closed) after a shutdown, when all that waited was given.
    ///
    /// # Cancel safety
    /// Nothing is lost: a message stays in the queue until it is returned.
    pub async fn recv(&mut self) -> Result<Received<T>, Error> {
        match self.listening.queue.next().await {
            None => Err(closed()),
            Some(Taken::Message(raw)) => Ok(Received::Message {
                message: decoded(&raw)?,
                channel: raw.channel,
            }),
            Some(Taken::Gap(dropped)) => {
                if dropped > 0 {
                    let channel = Arc::clone(self.listening.topic.name());
                    let event = Event::SubscriptionGap { channel, dropped };
                    self.listening.cache.0.observers.publish(event);
                }
                Ok(Received::Gap { dropped })
            }
        }
    }
}

impl<T> Messages<T> {
    /// Whether the server listens for it now, as far as is known.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.listening.is_live()
    }

    /// How many messages it lost because it was too slow.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.listening.queue.dropped()
    }
}

/// What a message says. serde's own words may repeat it, so the error has only the place.
fn decoded<T: DeserializeOwned>(raw: &Raw) -> Result<T, Error> {
    serde_json::from_slice(&raw.payload).map_err(|error| {
        let what = match error.classify() {
            serde_json::error::Category::Data => "is another value",
            _ => "is no JSON",
        };
        let text = format!(
            "a message of channel {} can't be read as {}: it {what} (line {}, column {})",
            raw.channel,
            std::any::type_name::<T>(),
            error.line(),
            error.column()
        );
        Error::new(ErrorKind::Decode, text)
    })
}

impl fmt::Debug for Subscription {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Subscription")
            .field("topic", &self.listening.topic)
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Messages<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Messages")
            .field("topic", &self.listening.topic)
            .finish_non_exhaustive()
    }
}
