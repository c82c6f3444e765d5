use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use crate::DatabaseError;
use crate::frame::Body;

/// Receives the events of one session, at most so many waiting; see [`Event::Missed`].
#[derive(Debug)]
pub struct Events {
    receiver: mpsc::Receiver<Sent>,
    lost: Arc<AtomicU64>,
    /// How many lost events were told of.
    told: u64,
    /// An event that comes after those lost before it were told.
    held: Option<Event>,
}

/// The driver's end: never waits.
#[derive(Debug)]
pub(crate) struct EventSender {
    sender: mpsc::Sender<Sent>,
    /// How many events were lost, ever; only the sender adds to it.
    lost: Arc<AtomicU64>,
}

/// An event, and how many had been lost when it was sent: so both ends agree on where they miss.
#[derive(Debug)]
struct Sent {
    event: Event,
    lost_before: u64,
}

pub(crate) fn channel(events_max: usize) -> (EventSender, Events) {
    let (sender, receiver) = mpsc::channel(events_max.max(1));
    let lost = Arc::new(AtomicU64::new(0));
    let events = Events {
        receiver,
        lost: Arc::clone(&lost),
        told: 0,
        held: None,
    };
    (EventSender { sender, lost }, events)
}

impl EventSender {
    pub(crate) fn send(&self, event: Event) {
        let lost_before = self.lost.load(Ordering::Relaxed);
        if self.sender.try_send(Sent { event, lost_before }).is_err() {
            self.lost.fetch_add(1, Ordering::Release);
        }
    }
}

impl Events {
    /// The next event; `None` when the session has ended.
    ///
    /// # Cancel safety
    /// Nothing is lost: an event stays in the queue until it is returned.
    pub async fn recv(&mut self) -> Option<Event> {
        if let Some(event) = self.held.take() {
            return Some(event);
        }
        // Read before the queue: if that is empty, what came before these losses was received.
        let lost = self.lost.load(Ordering::Acquire);
        if let Ok(sent) = self.receiver.try_recv() {
            return Some(self.in_its_place(sent));
        }
        // Nothing need follow the events that were lost, so they are told once the queue is empty.
        if let Some(missed) = self.missed(lost) {
            return Some(missed);
        }
        match self.receiver.recv().await {
            Some(sent) => Some(self.in_its_place(sent)),
            None => self.missed(self.lost.load(Ordering::Acquire)),
        }
    }

    /// The event, unless the losses before it must be told first.
    fn in_its_place(&mut self, sent: Sent) -> Event {
        match self.missed(sent.lost_before) {
            Some(missed) => {
                self.held = Some(sent.event);
                missed
            }
            None => sent.event,
        }
    }

    /// Tells of what was lost up to here, once.
    fn missed(&mut self, lost: u64) -> Option<Event> {
        let missed = lost.checked_sub(self.told).filter(|missed| *missed > 0)?;
        self.told = lost;
        Some(Event::Missed(missed))
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

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// Two threads by turns as the machine likes: what is told behind a gap says how large it was.
    #[test]
    fn what_was_missed_is_told_where_it_is_missing() {
        const LAST: i32 = 10_000_000;
        let (sender, mut events) = channel(1);
        let number = |process_id| Notification {
            channel: String::new(),
            payload: String::new(),
            process_id,
        };
        let sending = std::thread::spawn(move || {
            for next in 1..=LAST {
                sender.send(Event::Notification(number(next)));
            }
        });
        let (mut expected, mut gaps) = (1, 0);
        let mut context = Context::from_waker(Waker::noop());
        // Asks again and again instead of waiting, so that the threads meet at every place.
        loop {
            match pin!(events.recv()).poll(&mut context) {
                Poll::Pending => {}
                Poll::Ready(Some(Event::Notification(next))) => {
                    assert_eq!(next.process_id, expected, "after {gaps} gaps");
                    expected += 1;
                }
                Poll::Ready(Some(Event::Missed(count))) => {
                    expected += i32::try_from(count).unwrap();
                    gaps += 1;
                }
                Poll::Ready(Some(Event::Notice(_))) => unreachable!(),
                Poll::Ready(None) => break,
            }
        }
        sending.join().unwrap();
        assert_eq!(expected, LAST + 1);
        assert!(gaps > 0, "nothing was missed");
    }
}
