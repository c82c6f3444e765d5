use std::panic::Location;
use std::sync::Arc;

use aquifer_wire::{Event, Events, Notification};

use crate::dedicated::Dedicated;
use crate::execute::Engine;
use crate::statement::Name;
use crate::{Error, ErrorKind};

/// Most notifications that wait to be received.
const EVENTS_MAX: usize = 1024;

/// Receives NOTIFY on some channels; made by [`Db::listen`](crate::Db::listen).
///
/// It holds one connection. When that ends, the next [`recv`](Self::recv) listens again on a new
/// one and says so with [`Heard::Gap`], since notifications may have been missed.
#[derive(Debug)]
pub struct Listener {
    engine: Arc<Engine>,
    channels: Vec<Name>,
    session: Option<(Dedicated, Events)>,
    location: &'static Location<'static>,
}

/// What a [`Listener`] receives.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Heard {
    /// A notification.
    Notification(Notification),
    /// Notifications may have been missed: the connection was lost, or the receiver too slow.
    /// Whoever keeps something in step with them must read it anew.
    Gap,
}

impl Listener {
    pub(crate) async fn open(
        engine: &Arc<Engine>,
        channels: Vec<String>,
        location: &'static Location<'static>,
    ) -> Result<Self, Error> {
        if channels.is_empty() {
            let text = "there is no channel to listen to; name at least one";
            return Err(Error::new(ErrorKind::Usage, text));
        }
        let channels = channels
            .iter()
            .map(|channel| Name::new("channel", channel))
            .collect::<Result<_, _>>()?;
        let mut listener = Self {
            engine: Arc::clone(engine),
            channels,
            session: None,
            location,
        };
        listener.session = Some(listener.connect().await?);
        Ok(listener)
    }

    /// The next notification.
    ///
    /// # Errors
    /// [`ErrorKind::Acquire`] and [`ErrorKind::Connection`] while no new connection can be had after
    /// one was lost (calling again tries again), [`ErrorKind::Closed`] after a shutdown.
    ///
    /// # Cancel safety
    /// Nothing is lost: a notification stays in the queue until it is returned.
    pub async fn recv(&mut self) -> Result<Heard, Error> {
        if self.session.is_none() {
            self.session = Some(self.connect().await?);
            return Ok(Heard::Gap);
        }
        while let Some((_, events)) = &mut self.session {
            match events.recv().await {
                Some(Event::Notification(notification)) => {
                    return Ok(Heard::Notification(notification));
                }
                Some(Event::Missed(_)) => return Ok(Heard::Gap),
                Some(_) => {}
                None => self.session = None,
            }
        }
        self.session = Some(self.connect().await?);
        Ok(Heard::Gap)
    }

    async fn connect(&self) -> Result<(Dedicated, Events), Error> {
        let session = Dedicated::open(&self.engine, self.location).await?;
        let events = session.client().events(EVENTS_MAX);
        let listen: Vec<_> = self
            .channels
            .iter()
            .map(|channel| format!("listen {channel}"))
            .collect();
        session.listen(&listen.join("; "), self.location).await?;
        Ok((session, events))
    }
}
