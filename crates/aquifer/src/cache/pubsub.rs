//! Messages between processes, by channels of Redis: `publish`, `subscribe`, `messages`.

mod glob;
mod hub;
mod keeper;
mod queue;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub(super) use self::hub::{Hub, Topic};
use self::keeper::Keeper;
pub(super) use self::queue::{Queue, Raw, Taken};
use super::subscription::Listening;
use super::write::closed;
use super::{Cache, Messages, Subscription};
use crate::deadline::Deadline;
use crate::{Error, ErrorKind};

/// Longest name of a channel, in bytes.
const CHANNEL_MAX: usize = 512;

impl Cache {
    /// Sends a message to all who listen to a channel now, as JSON, which other languages read too;
    /// returns how many receive it: a process counts once for the channel and once for each pattern,
    /// however many subscribers it has; of a cluster only those on one node are counted.
    ///
    /// Channels have the name that is given, without `cache_namespace`. Nothing is kept: who listens
    /// later has missed it.
    ///
    /// ```no_run
    /// # use aquifer::{Cache, Error};
    /// # use serde::Serialize;
    /// #[derive(Serialize)]
    /// struct Change { id: i64, action: &'static str }
    ///
    /// # async fn example(cache: &Cache) -> Result<(), Error> {
    /// cache.publish("user-updates", &Change { id: 1, action: "updated" }).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Usage`](ErrorKind::Usage) for a channel that is empty or longer than 512 bytes,
    /// [`Encode`](ErrorKind::Encode) when serde can't write the message; those of Redis when it is away,
    /// [`Unknown`](ErrorKind::Unknown) when it may have been sent: it is never sent twice.
    ///
    /// # Cancel safety
    /// It may have been sent.
    pub async fn publish<T>(&self, channel: &str, message: &T) -> Result<u64, Error>
    where
        T: Serialize + ?Sized,
    {
        check_channel(channel)?;
        let payload = serde_json::to_vec(message).map_err(|error| {
            let text = format!(
                "a message of type {} can't be published: its serialization failed",
                std::any::type_name::<T>()
            );
            Error::new(ErrorKind::Encode, text).with_source(error)
        })?;
        match self.0.redis() {
            Some(redis) => {
                let publish = redis.command("PUBLISH").arg(channel).arg(payload);
                Box::pin(publish.run()).await
            }
            None => Ok(self.0.hub.publish(&Raw {
                channel: channel.into(),
                payload: payload.into(),
            })),
        }
    }

    /// Calls a function with each message of a channel, and the channel's name, until the
    /// [`Subscription`] is dropped.
    ///
    /// The function runs in a task of its own, one message after the other; work that takes long
    /// belongs elsewhere, or [`messages`](Self::messages) gives them as they are wanted. A message that
    /// can't be read as `T` is not given to it, but counted and told as
    /// [`MessageUnreadable`](crate::Event::MessageUnreadable). If it panics, it is called for the next
    /// message all the same.
    ///
    /// All subscribers of a process share one connection. When it is lost, by a restart or a failover
    /// too, the channel is listened to again as soon as that can be done; what was published meanwhile
    /// is lost, which [`SubscriptionGap`](crate::Event::SubscriptionGap) tells. A subscriber who is too
    /// slow loses the oldest of more than 1,024 messages, or 16 MiB, that wait for it.
    ///
    /// ```no_run
    /// # use aquifer::{Cache, Error};
    /// # use serde::Deserialize;
    /// #[derive(Debug, Deserialize)]
    /// struct Change { id: i64, action: String }
    ///
    /// # async fn example(cache: &Cache) -> Result<(), Error> {
    /// let subscription = cache
    ///     .subscribe("user-updates", |change: Change, channel: &str| {
    ///         println!("{channel}: {change:?}");
    ///     })
    ///     .await?;
    /// # drop(subscription); Ok(()) }
    /// ```
    ///
    /// Returns when the server listens. Where it can't be reached within `redis_timeout`, the
    /// subscription is made all the same, and begins with a gap when it can.
    ///
    /// # Errors
    /// [`Usage`](ErrorKind::Usage) as [`publish`](Self::publish); what Redis has against it (such as
    /// rights on channels); [`Closed`](ErrorKind::Closed) after a shutdown.
    ///
    /// # Cancel safety
    /// Nothing is listened to.
    pub async fn subscribe<T, F>(&self, channel: &str, callback: F) -> Result<Subscription, Error>
    where
        T: DeserializeOwned + 'static,
        F: FnMut(T, &str) + Send + 'static,
    {
        let listening = self.listen(Topic::Channel(channel.into())).await?;
        Subscription::begin(listening, callback)
    }

    /// As [`subscribe`](Self::subscribe), of all channels that a pattern fits: `*` stands for any text,
    /// `?` for one byte, `[ab]` and `[a-z]` for one of a set, `\` before what is meant as it stands.
    ///
    /// # Errors
    /// As [`subscribe`](Self::subscribe).
    ///
    /// # Cancel safety
    /// As [`subscribe`](Self::subscribe).
    pub async fn psubscribe<T, F>(&self, pattern: &str, callback: F) -> Result<Subscription, Error>
    where
        T: DeserializeOwned + 'static,
        F: FnMut(T, &str) + Send + 'static,
    {
        let listening = self.listen(Topic::Pattern(pattern.into())).await?;
        Subscription::begin(listening, callback)
    }

    /// The messages of a channel, to be taken one by one, with word of gaps and of messages that can't
    /// be read; else as [`subscribe`](Self::subscribe).
    ///
    /// ```no_run
    /// # use aquifer::{Cache, Error, Received};
    /// # async fn example(cache: &Cache) -> Result<(), Error> {
    /// let mut prices = cache.messages::<f64>("prices").await?;
    /// loop {
    ///     match prices.recv().await? {
    ///         Received::Message { message, .. } => println!("{message}"),
    ///         // What was missed is not known: read all anew.
    ///         Received::Gap { .. } => println!("it may be anything"),
    ///         _ => {}
    ///     }
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`subscribe`](Self::subscribe).
    ///
    /// # Cancel safety
    /// As [`subscribe`](Self::subscribe).
    pub async fn messages<T>(&self, channel: &str) -> Result<Messages<T>, Error>
    where
        T: DeserializeOwned,
    {
        let listening = self.listen(Topic::Channel(channel.into())).await?;
        Ok(Messages::new(listening))
    }

    /// As [`messages`](Self::messages), of all channels that a pattern fits: see
    /// [`psubscribe`](Self::psubscribe).
    ///
    /// # Errors
    /// As [`subscribe`](Self::subscribe).
    ///
    /// # Cancel safety
    /// As [`subscribe`](Self::subscribe).
    pub async fn messages_matching<T>(&self, pattern: &str) -> Result<Messages<T>, Error>
    where
        T: DeserializeOwned,
    {
        let listening = self.listen(Topic::Pattern(pattern.into())).await?;
        Ok(Messages::new(listening))
    }

    async fn listen(&self, topic: Topic) -> Result<Listening, Error> {
        check_channel(topic.name())?;
        let inner = &self.0;
        let redis = inner.redis();
        let (queue, must_start) = inner.hub.add(&topic, redis.is_none())?;
        // Dropped with this future, it listens no more.
        let listening = Listening::new(self.clone(), topic, queue);
        let Some(redis) = redis else {
            return Ok(listening);
        };
        if must_start {
            let keeper = Keeper::new(inner).run(redis.closed());
            if inner.tasks.spawn(keeper).is_none() {
                inner.hub.end();
                return Err(closed());
            }
        }
        let deadline = Deadline::after(redis.timeout());
        inner.hub.begun(listening.place(), deadline).await?;
        Ok(listening)
    }

    /// Nobody hears anything any more.
    pub(crate) fn end_subscriptions(&self) {
        self.0.hub.end();
    }
}

fn check_channel(channel: &str) -> Result<(), Error> {
    let text = match channel.len() {
        1..=CHANNEL_MAX => return Ok(()),
        0 => "a channel of Redis has no name; give it one".to_owned(),
        length => format!("a channel has a name of {length} bytes; it may have {CHANNEL_MAX}"),
    };
    Err(Error::new(ErrorKind::Usage, text))
}
