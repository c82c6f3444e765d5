use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TryRecvError;

use crate::DatabaseError;
use crate::frame::Body;

/// Receives the events of one session, at most so many waiting; see [`Event::Missed`].
#[derive(Debug)]
pub struct Events {
    receiver: mpsc::Receiver<Event>,
    missed: Arc<AtomicU64>,
}

/// The driver's end: never waits.
#[derive(Debug)]
pub(crate) struct EventSender {
    sender: mpsc::Sender<Event>,
    missed: Arc<AtomicU64>,
}

pub(crate) fn channel(events_max: usize) -> (EventSender, Events) {
    let (sender, receiver) = mpsc::channel(events_max.max(1));
    let missed = Arc::new(AtomicU64::new(0));
    (
        EventSender {
            sender,
            missed: Arc::clone(&missed),
        },
        Events { receiver, missed },
    )
}

impl EventSender {
    pub(crate) fn send(&self, event: Event) {
        let missed = self.missed.swap(0, Ordering::AcqRel);
        let told = missed == 0 || self.sender.try_send(Event::Missed(missed)).is_ok();
        if !told || self.sender.try_send(event).is_err() {
            let lost = if told { 1 } else { missed + 1 };
            self.missed.fetch_add(lost, Ordering::AcqRel);
        }
    }
}

impl Events {
    /// The next event; `None` when the session has ended.
    ///
    /// # Cancel safety
    /// Nothing is lost: an event stays in the queue until it is returned.
    pub async fn recv(&mut self) -> Option<Event> {
        match self.receiver.try_recv() {
            Ok(event) => return Some(event),
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => {}
        }
        // Nothing need follow the events that were lost, so they are told once the queue is empty.
        match self.missed.swap(0, Ordering::AcqRel) {
            0 => self.receiver.recv().await,
            missed => Some(Event::Missed(missed)),
        }
    }
}

/// What the server says without being asked.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// NOTIFY on a channel that this session listens to.
    Notification(Notification),
    /// A notice or warning.
    Notice(DatabaseError),
    /// So many events were lost before this one, since the receiver did not keep up.
    Missed(u64),
}

/// One NOTIFY.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    channel: String,
    payload: String,
    process_id: i32,
}

impl Notification {
    pub(crate) fn read(body: &[u8]) -> Option<Self> {
        let mut body = Body(body);
        let process_id = body.i32().ok()?;
        // A database in SQL_ASCII may hold text that is not UTF-8.
        let channel = String::from_utf8_lossy(body.cstr().ok()?).into_owned();
        let payload = String::from_utf8_lossy(body.cstr().ok()?).into_owned();
        Some(Self {
            channel,
            payload,
            process_id,
        })
    }

    /// The channel's name.
    #[must_use]
    pub fn channel(&self) -> &str {
        &self.channel
    }

    /// The text sent along; empty when there was none.
    #[must_use]
    pub fn payload(&self) -> &str {
        &self.payload
    }

    /// The server process of the sender.
    #[must_use]
    pub fn process_id(&self) -> i32 {
        self.process_id
    }
}
