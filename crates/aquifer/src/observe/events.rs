//! The way of events from whoever tells them to all who listen.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::broadcast::{self, Receiver, Sender, error::RecvError};

use super::Event;

/// Most events that wait for one listener; a slower one loses the oldest, and nobody waits for it.
const WAITING_MAX: usize = 256;

/// The sending side, shared by all parts of one `Db`; none after a shutdown.
#[derive(Clone, Debug)]
pub(super) struct Bus(Arc<Mutex<Option<Sender<Event>>>>);

impl Default for Bus {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Some(Sender::new(WAITING_MAX)))))
    }
}

impl Bus {
    /// Never waits; without a listener the event is gone.
    pub(super) fn send(&self, event: Event) {
        if let Some(sender) = &*self.sender() {
            drop(sender.send(event));
        }
    }

    pub(super) fn subscribe(&self) -> Events {
        let receiver = match &*self.sender() {
            Some(sender) => sender.subscribe(),
            // It ends at once.
            None => broadcast::channel(1).1,
        };
        Events {
            receiver,
            missed: 0,
        }
    }

    /// There will be no more events: listeners get those that wait for them, and end.
    pub(super) fn close(&self) {
        drop(self.sender().take());
    }

    fn sender(&self) -> MutexGuard<'_, Option<Sender<Event>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The events of one `Db`, from the moment it was made by [`Db::events`](crate::Db::events).
///
/// A listener that falls behind by more than 256 events loses the oldest;
/// [`missed`](Self::missed) counts them.
#[derive(Debug)]
pub struct Events {
    receiver: Receiver<Event>,
    missed: u64,
}

impl Events {
    /// The next event; `None` after a shutdown, and once the last handle on the `Db` is gone.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            match self.receiver.recv().await {
                Ok(event) => return Some(event),
                Err(RecvError::Lagged(missed)) => self.missed += missed,
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// How many events were lost, because this listener was too slow.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed
    }
}

#[cfg(test)]
mod tests {
    use super::{Bus, WAITING_MAX};
    use crate::observe::Event;

    #[tokio::test]
    async fn a_listener_that_falls_behind_loses_the_oldest_and_is_told_how_many() {
        let bus = Bus::default();
        let mut events = bus.subscribe();
        for number in 0..WAITING_MAX + 3 {
            let host = number.to_string().into();
            bus.send(Event::LagNormal { host });
        }
        let Some(Event::LagNormal { host }) = events.next().await else {
            panic!("another event, or none");
        };
        assert_eq!((&*host, events.missed()), ("3", 3));
        bus.close();
        let mut rest = 0;
        while events.next().await.is_some() {
            rest += 1;
        }
        assert_eq!(rest, WAITING_MAX - 1);
        assert!(bus.subscribe().next().await.is_none(), "after the end");
    }
}
