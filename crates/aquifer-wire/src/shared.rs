use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::Error;
use crate::event::{Event, EventSender};
use crate::queue::{Queue, Sharing};
use crate::request::Request;
use crate::slot::Answer;

/// What the client and its driver share.
///
/// Invariant: no two of the locks are held at once.
#[derive(Debug)]
pub(crate) struct Shared {
    queue: Mutex<Queue>,
    parameters: Mutex<BTreeMap<String, String>>,
    events: Mutex<Option<EventSender>>,
    accepted: AtomicUsize,
    pub(crate) answered: AtomicUsize,
    pub(crate) status: AtomicU8,
    pub(crate) message_max: usize,
}

impl Shared {
    pub(crate) fn new(
        queue: Queue,
        parameters: BTreeMap<String, String>,
        message_max: usize,
    ) -> Self {
        Self {
            queue: Mutex::new(queue),
            parameters: Mutex::new(parameters),
            events: Mutex::default(),
            accepted: AtomicUsize::new(0),
            answered: AtomicUsize::new(0),
            status: AtomicU8::new(b'I'),
            message_max,
        }
    }

    pub(crate) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a request in; see [`Queue::push`].
    pub(crate) fn push(&self, request: &Request<'_>, sharing: Sharing) -> Result<Answer, Error> {
        let mut queue = self.queue();
        let slot = queue.push(request, sharing)?;
        // Under the lock, so that it is never behind `answered`.
        self.accepted.fetch_add(1, Ordering::Release);
        Ok(Answer::new(slot))
    }

    /// Requests that were taken in and not answered.
    pub(crate) fn in_flight(&self) -> usize {
        let answered = self.answered.load(Ordering::Acquire);
        self.accepted
            .load(Ordering::Acquire)
            .saturating_sub(answered)
    }

    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        self.parameters().get(name).cloned()
    }

    pub(crate) fn set_parameter(&self, name: &str, value: &str) {
        self.parameters().insert(name.to_owned(), value.to_owned());
    }

    /// Sends events to another receiver from here on.
    pub(crate) fn set_events(&self, sender: EventSender) {
        *self.events() = Some(sender);
        // The driver ends the receiver that it finds; this one may have come after.
        if self.queue().ended.is_some() {
            self.end_events();
        }
    }

    /// Passes an event on, if somebody listens; never waits.
    pub(crate) fn tell(&self, event: Event) {
        if let Some(sender) = self.events().as_ref() {
            sender.send(event);
        }
    }

    /// Ends the receiver of events: the connection is gone.
    pub(crate) fn end_events(&self) {
        self.events().take();
    }

    fn parameters(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.parameters
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn events(&self) -> MutexGuard<'_, Option<EventSender>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
