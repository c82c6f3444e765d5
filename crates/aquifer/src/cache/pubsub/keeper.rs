//! The one connection by which this process hears channels, for as long as somebody listens.

use std::collections::HashSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use aquifer_core::backoff;

use super::super::Inner;
use super::hub::{Hub, Topic};
use super::queue::Raw;
use crate::deadline::Deadline;
use crate::observe::Event;
use crate::redis::{Published, Redis, Subscriber};
use crate::wait::{Either, first, unless};
use crate::{Error, ErrorKind, clock};

/// How often the connection is asked for a sign of life, and how long it has to answer.
const INTERVAL: Duration = Duration::from_secs(1);
const LIMIT: Duration = Duration::from_secs(1);

/// The wait before another attempt: evenly from zero up to this, doubled each time.
const BACKOFF: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// How long it takes at most to listen to one topic more.
const ANSWER: Duration = Duration::from_secs(2);

pub(super) struct Keeper {
    inner: Weak<Inner>,
    hub: Arc<Hub>,
    subscriber: Option<Subscriber>,
    /// What the server listens for on this connection.
    asked: HashSet<Topic>,
}

impl Keeper {
    pub(super) fn new(inner: &Arc<Inner>) -> Self {
        Self {
            inner: Arc::downgrade(inner),
            hub: Arc::clone(&inner.hub),
            subscriber: None,
            asked: HashSet::new(),
        }
    }

    /// Runs until nobody listens, Redis is shut down or the cache is no more.
    pub(super) async fn run(mut self, closed: impl Future<Output = ()>) {
        let hub = Arc::clone(&self.hub);
        let mut keeping = Box::pin(self.keep());
        match first(keeping.as_mut(), closed).await {
            Either::Left(()) => {}
            Either::Right(()) => hub.end(),
        }
    }

    async fn keep(&mut self) {
        let mut failures = 0;
        while let Some(topics) = self.hub.topics() {
            let Some(inner) = self.inner.upgrade() else {
                return;
            };
            let Some(redis) = inner.redis() else { return };
            let made = Box::pin(self.make(&inner, redis, &topics)).await;
            drop(inner);
            match made {
                Ok(()) => {
                    failures = 0;
                    self.rest().await;
                }
                Err(_in_the_log_of_redis) => {
                    self.lose();
                    failures += 1;
                    let pause = backoff::delay(failures, BACKOFF, BACKOFF_MAX, clock::random());
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    /// Until the next look is due: topics came or went, or the connection is lost.
    async fn rest(&self) {
        let Some(subscriber) = &self.subscriber else {
            return;
        };
        let lost = std::pin::pin!(subscriber.closed());
        let woken = unless(lost, self.hub.changed.notified());
        let _woken_or_due = Deadline::after(INTERVAL).run(woken).await;
    }

    /// Listens to these topics, and to no others, on a connection that is alive.
    async fn make(&mut self, inner: &Inner, redis: &Redis, topics: &[Topic]) -> Result<(), Error> {
        let masters = redis.masters();
        let is_master = |one: &Subscriber| masters.contains(&one.address());
        if !self.subscriber.as_ref().is_some_and(is_master) {
            let connection = self.lose();
            self.subscriber = Some(self.open(redis, &masters, connection).await?);
        }
        let Some(subscriber) = &self.subscriber else {
            return Ok(());
        };
        for topic in topics {
            if self.asked.contains(topic) {
                // Somebody may have come after all others went, and before the server was told.
                self.hub.live(topic);
                continue;
            }
            let subscribed = match topic {
                Topic::Channel(name) => subscriber.subscribe(name, ANSWER).await,
                Topic::Pattern(name) => subscriber.subscribe_all(name, ANSWER).await,
            };
            match subscribed {
                Ok(()) => {}
                // It may be allowed later, so it is asked for again.
                Err(error) if error.kind() == ErrorKind::Redis => {
                    self.hub.refused(topic, &error);
                    continue;
                }
                Err(error) => return Err(error),
            }
            self.asked.insert(topic.clone());
            if self.hub.live(topic) {
                inner.observers.publish(Event::SubscriptionGap {
                    channel: Arc::clone(topic.name()),
                    dropped: 0,
                });
            }
        }
        let is_gone = |topic: &&Topic| !topics.contains(topic);
        let gone: Vec<Topic> = self.asked.iter().filter(is_gone).cloned().collect();
        for topic in gone {
            match &topic {
                Topic::Channel(name) => subscriber.unsubscribe(name, ANSWER).await?,
                Topic::Pattern(name) => subscriber.unsubscribe_all(name, ANSWER).await?,
            }
            self.asked.remove(&topic);
        }
        subscriber.ping(LIMIT).await
    }

    /// In a cluster any master hears what all others do.
    async fn open(
        &self,
        redis: &Redis,
        masters: &[String],
        connection: u64,
    ) -> Result<Subscriber, Error> {
        let count = u64::try_from(masters.len()).unwrap_or(1).max(1);
        let position = usize::try_from(clock::random() % count).unwrap_or(0);
        let Some(master) = masters.get(position) else {
            let text = "no master of Redis is known now";
            return Err(Error::new(ErrorKind::Connection, text));
        };
        let hub = Arc::clone(&self.hub);
        let heard = move |heard| tell(&hub, connection, heard);
        redis.subscriber(master, heard).await
    }

    /// Returns the number of the next connection.
    fn lose(&mut self) -> u64 {
        self.subscriber = None;
        self.asked.clear();
        self.hub.lost()
    }
}

fn tell(hub: &Hub, connection: u64, heard: Published) {
    let text = |bytes: &[u8]| Arc::<str>::from(String::from_utf8_lossy(bytes));
    let channel = text(&heard.channel);
    let topic = match &heard.pattern {
        Some(pattern) => Topic::Pattern(text(pattern)),
        None => Topic::Channel(Arc::clone(&channel)),
    };
    let payload = heard.payload.into();
    hub.deliver(connection, &topic, &Raw { channel, payload });
}
