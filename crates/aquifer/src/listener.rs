use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use aquifer_core::backoff;
use aquifer_wire::{Event, Events, Notification};

use crate::dedicated::Dedicated;
use crate::execute::{Engine, is_wrong_role};
use crate::statement::Name;
use crate::{Error, ErrorKind, Retry, clock};

/// Most notifications that wait to be received.
const EVENTS_MAX: usize = 1024;

/// The wait before another attempt to listen again: evenly from zero up to this, doubled each time.
const BACKOFF: Duration = Duration::from_millis(20);
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// Receives NOTIFY on some channels; made by [`Db::listen`](crate::Db::listen).
///
/// It holds one connection to the primary. When that ends, [`recv`](Self::recv) goes on trying until it
/// listens again on a new one, after a failover on the new primary, and says so with [`Heard::Gap`],
/// since notifications may have been missed. A connection that falls silent is noticed by the pool,
/// which asks it for a sign of life every [`keepalive_interval`](crate::Advanced::keepalive_interval)
/// as it does idle ones.
///
/// ```no_run
/// # use aquifer::{Db, Error, Heard};
/// # async fn example(db: &Db) -> Result<(), Error> {
/// let mut listener = db.listen(["prices"]).await?;
/// loop {
///     match listener.recv().await? {
///         Heard::Notification(heard) => println!("{} has changed", heard.payload()),
///         // What was missed is not known: read all anew.
///         Heard::Gap => println!("all may have changed"),
///         _ => {}
///     }
/// }
/// # }
/// ```
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
    /// Notifications may have been missed: the connection was lost, or the receiver too slow. It
    /// listens again already, so whoever keeps something in step with notifications misses nothing by
    /// reading it anew now.
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

    /// The next notification, or word of a gap.
    ///
    /// While no connection can be had after one was lost it waits and goes on trying, each time a
    /// little later, at most a second; put a time-out around it where that must end.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`] after a shutdown; what the server has against listening, if that won't
    /// pass by itself.
    ///
    /// # Cancel safety
    /// Nothing is lost: a notification stays in the queue until it is returned.
    pub async fn recv(&mut self) -> Result<Heard, Error> {
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
        self.session = Some(self.reconnect().await?);
        Ok(Heard::Gap)
    }

    /// Listens again as soon as that can be done.
    ///
    /// Cancellation: nothing is lost; the next one begins anew.
    async fn reconnect(&self) -> Result<(Dedicated, Events), Error> {
        let mut failures = 0;
        loop {
            let error = match self.connect().await {
                Err(error) if may_pass(&error) => error,
                outcome => return outcome,
            };
            failures += 1;
            let pause = backoff::delay(failures, BACKOFF, BACKOFF_MAX, clock::random());
            let pause = pause.max(error.retry_after().unwrap_or_default());
            tokio::time::sleep(pause).await;
        }
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

/// Whether listening may succeed later. To listen twice is as good as once, so it does not matter
/// whether the server did it.
fn may_pass(error: &Error) -> bool {
    let is_over = error.kind() == ErrorKind::Closed;
    !is_over && (error.retry() != Retry::Never || error.wire().is_some_and(is_wrong_role))
}
