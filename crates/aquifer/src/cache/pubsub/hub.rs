//! Who listens to what in this process; all of them share one connection.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::super::write::closed;
use super::glob;
use super::queue::{Queue, Raw};
use crate::Error;
use crate::deadline::Deadline;

/// What is listened to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Topic {
    Channel(Arc<str>),
    Pattern(Arc<str>),
}

impl Topic {
    pub(crate) fn name(&self) -> &Arc<str> {
        match self {
            Self::Channel(name) | Self::Pattern(name) => name,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Hub {
    state: Mutex<State>,
    /// Told when topics come or go.
    pub(super) changed: Notify,
    /// Told when something became of one.
    settled: Notify,
}

#[derive(Debug, Default)]
struct State {
    topics: HashMap<Topic, Heard>,
    has_keeper: bool,
    ended: bool,
    /// Which connection it is that is heard; what earlier ones still say comes too late.
    connection: u64,
}

/// A topic that somebody listens to.
#[derive(Debug, Default)]
struct Heard {
    phase: Phase,
    listeners: Vec<Listener>,
    /// Whether somebody missed something, and nobody was told.
    missed: bool,
}

#[derive(Debug)]
struct Listener {
    queue: Arc<Queue>,
    /// Whether it was told that it listens: then it must be told of what it misses.
    begun: bool,
}

/// wanted → live → wanted (when the connection is lost); wanted → refused.
#[derive(Debug, Default)]
enum Phase {
    #[default]
    Wanted,
    Live,
    Refused(Error),
}

impl Hub {
    /// Adds one who listens; returns also whether a keeper must be started.
    pub(super) fn add(&self, topic: &Topic, is_live: bool) -> Result<(Arc<Queue>, bool), Error> {
        let mut state = self.lock();
        if state.ended {
            return Err(closed());
        }
        let queue = Arc::<Queue>::default();
        let heard = state.topics.entry(topic.clone()).or_default();
        heard.listeners.push(Listener {
            queue: Arc::clone(&queue),
            begun: is_live,
        });
        match heard.phase {
            // Perhaps it is allowed by now.
            Phase::Refused(_) => heard.phase = Phase::Wanted,
            _ if is_live => heard.phase = Phase::Live,
            _ => {}
        }
        let must_start = !is_live && !std::mem::replace(&mut state.has_keeper, true);
        drop(state);
        self.changed.notify_one();
        Ok((queue, must_start))
    }

    pub(crate) fn remove(&self, topic: &Topic, queue: &Arc<Queue>) {
        queue.discard();
        let mut state = self.lock();
        if let Some(heard) = state.topics.get_mut(topic) {
            let is_another = |one: &Listener| !Arc::ptr_eq(&one.queue, queue);
            heard.listeners.retain(is_another);
            if heard.listeners.is_empty() {
                state.topics.remove(topic);
            }
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Waits until the server listens for this one, or has refused to; whoever can't wait longer is
    /// told of a gap later.
    ///
    /// Cancellation: nothing is lost.
    pub(super) async fn begun(
        &self,
        (topic, queue): (&Topic, &Arc<Queue>),
        deadline: Deadline,
    ) -> Result<(), Error> {
        let settled = async {
            loop {
                let mut told = pin!(self.settled.notified());
                told.as_mut().enable();
                if let Some(outcome) = self.outcome(topic, queue, false) {
                    return outcome;
                }
                told.await;
            }
        };
        match deadline.run(settled).await {
            Ok(outcome) => outcome,
            Err(_elapsed) => self.outcome(topic, queue, true).unwrap_or(Ok(())),
        }
    }

    fn outcome(&self, topic: &Topic, queue: &Arc<Queue>, late: bool) -> Option<Result<(), Error>> {
        let mut state = self.lock();
        if state.ended {
            return Some(Err(closed()));
        }
        let heard = state.topics.get_mut(topic)?;
        let outcome = match &heard.phase {
            Phase::Live => Some(Ok(())),
            Phase::Refused(error) => Some(Err(error.clone())),
            Phase::Wanted => late.then_some(Ok(())),
        };
        if matches!(outcome, Some(Ok(()))) {
            let own = |one: &&mut Listener| Arc::ptr_eq(&one.queue, queue);
            if let Some(listener) = heard.listeners.iter_mut().find(own) {
                listener.begun = true;
            }
        }
        outcome
    }

    /// Gives a message of a connection to all who listen to a topic.
    pub(super) fn deliver(&self, connection: u64, topic: &Topic, message: &Raw) {
        let mut state = self.lock();
        if state.connection != connection {
            return;
        }
        if let Some(heard) = state.topics.get_mut(topic) {
            // The server listens already, although its answer was not looked at yet.
            heard.go_live();
            for listener in &heard.listeners {
                listener.queue.push(message);
            }
        }
    }

    /// As if Redis did it: gives a message to each topic it fits; returns how many that were.
    pub(super) fn publish(&self, message: &Raw) -> u64 {
        let (topics, connection): (Vec<Topic>, u64) = {
            let state = self.lock();
            let fits = |topic: &&Topic| match topic {
                Topic::Channel(name) => **name == *message.channel,
                Topic::Pattern(pattern) => {
                    glob::fits(pattern.as_bytes(), message.channel.as_bytes())
                }
            };
            let topics = state.topics.keys().filter(fits).cloned();
            (topics.collect(), state.connection)
        };
        for topic in &topics {
            self.deliver(connection, topic, message);
        }
        u64::try_from(topics.len()).unwrap_or(u64::MAX)
    }

    /// What is listened to; `None` when nothing is, after which there is no keeper.
    pub(super) fn topics(&self) -> Option<Vec<Topic>> {
        let mut state = self.lock();
        if state.topics.is_empty() {
            state.has_keeper = false;
            return None;
        }
        Some(state.topics.keys().cloned().collect())
    }

    /// The server listens for a topic; returns whether somebody missed something.
    pub(super) fn live(&self, topic: &Topic) -> bool {
        let mut state = self.lock();
        let Some(heard) = state.topics.get_mut(topic) else {
            return false;
        };
        heard.go_live();
        let missed = std::mem::take(&mut heard.missed);
        drop(state);
        self.settled.notify_waiters();
        missed
    }

    /// The server refuses to listen for a topic.
    pub(super) fn refused(&self, topic: &Topic, error: &Error) {
        if let Some(heard) = self.lock().topics.get_mut(topic) {
            heard.phase = Phase::Refused(error.clone());
        }
        self.settled.notify_waiters();
    }

    /// The connection is lost; returns the number of the next one.
    pub(super) fn lost(&self) -> u64 {
        let mut state = self.lock();
        state.connection += 1;
        for heard in state.topics.values_mut() {
            if matches!(heard.phase, Phase::Live) {
                heard.phase = Phase::Wanted;
            }
        }
        state.connection
    }

    pub(crate) fn is_live(&self, topic: &Topic) -> bool {
        let state = self.lock();
        let heard = state.topics.get(topic);
        heard.is_some_and(|heard| matches!(heard.phase, Phase::Live))
    }

    /// There will be no more messages.
    pub(crate) fn end(&self) {
        let mut state = self.lock();
        state.ended = true;
        for heard in state.topics.values_mut() {
            heard.phase = Phase::Refused(closed());
            for listener in &heard.listeners {
                listener.queue.end();
            }
        }
        drop(state);
        self.settled.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Heard {
    /// Whoever was told before that it listens is told that it may have missed something.
    fn go_live(&mut self) {
        if matches!(self.phase, Phase::Live) {
            return;
        }
        self.phase = Phase::Live;
        for listener in self.listeners.iter().filter(|listener| listener.begun) {
            listener.queue.gap();
            self.missed = true;
        }
    }
}
