//! The way of events from whoever tells them to all who listen.

use tokio::sync::broadcast::{Receiver, Sender, error::RecvError};

use super::Event;

/// Most events that wait for one listener; a slower one loses the oldest, and nobody waits for it.
const WAITING_MAX: usize = 256;

/// The sending side, shared by all parts of one `Db`.
#[derive(Clone, Debug)]
pub(super) struct Bus(Sender<Event>);

impl Default for Bus {
    fn default() -> Self {
        Self(Sender::new(WAITING_MAX))
    }
}

impl Bus {
    /// Never waits; without a listener the event is gone.
    pub(super) fn send(&self, event: Event) {
        drop(self.0.send(event));
    }

    pub(super) fn subscribe(&self) -> Events {
        Events {
            receiver: self.0.subscribe(),
            missed: 0,
        }
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
    /// The next event; `None` once the last handle on the `Db` is gone.
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
        drop(bus);
        let mut rest = 0;
        while events.next().await.is_some() {
            rest += 1;
        }
        assert_eq!(rest, WAITING_MAX - 1);
    }
}
