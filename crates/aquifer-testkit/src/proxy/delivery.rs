use std::future::pending;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::connection::Connection;
use super::cut::{Ending, Moment};
use super::splitter::{Head, Piece, Session, Splitter};
use super::{Direction, Mode};

/// What was read, in order.
pub(super) enum Arrival {
    Bytes(Instant, Vec<u8>),
    /// The stream broke instead of ending.
    Broken,
}

/// Whether a direction goes on after something was delivered.
enum Next {
    GoOn,
    Stop,
}

/// The receiving end of one direction: here faults and cuts happen.
pub(super) struct Delivery<'a, W> {
    connection: &'a Connection,
    session: &'a Session,
    direction: Direction,
    splitter: Splitter,
    current: Option<Head>,
    writer: W,
}

impl<'a, W: AsyncWrite + Unpin> Delivery<'a, W> {
    pub(super) fn new(
        connection: &'a Connection,
        session: &'a Session,
        direction: Direction,
        writer: W,
    ) -> Self {
        Self {
            connection,
            session,
            direction,
            splitter: Splitter::new(direction, connection.postgres),
            current: None,
            writer,
        }
    }

    pub(super) async fn run(mut self, mut arrivals: mpsc::Receiver<Arrival>) -> Result<(), Ending> {
        let mut orders = self.connection.orders.clone();
        let direction = self.direction;
        loop {
            let turn = async {
                let arrival = arrivals.recv().await;
                let arrived = match &arrival {
                    Some(Arrival::Bytes(arrived, _)) => *arrived,
                    Some(Arrival::Broken) | None => Instant::now(),
                };
                self.wait_for_turn(arrived).await;
                arrival
            };
            let arrival = tokio::select! {
                biased;
                _ = orders.wait_for(|orders| orders.half_closed(direction)) => break,
                arrival = turn => arrival,
            };
            let next = match arrival {
                Some(Arrival::Bytes(_, bytes)) => self.deliver(&bytes).await?,
                Some(Arrival::Broken) => return Err(Ending::Reset),
                None => {
                    let rest = self.splitter.rest();
                    self.write(&rest).await?;
                    Next::Stop
                }
            };
            if matches!(next, Next::Stop) {
                break;
            }
        }
        self.writer.shutdown().await.map_err(|_gone| Ending::Reset)
    }

    /// Holds what arrived back for as long as the mode says.
    async fn wait_for_turn(&self, arrived: Instant) {
        let mut modes = self.connection.state.modes.subscribe();
        let delay = match self.mode() {
            Mode::Delay(delay) => delay,
            Mode::Jitter { least, most } => least + random_part(most.saturating_sub(least)),
            Mode::Pass | Mode::Slices(_) | Mode::BlackHole => Duration::ZERO,
        };
        sleep_until(arrived + delay).await;
        let open = modes
            .wait_for(|modes| !matches!(modes.of(self.direction), Mode::BlackHole))
            .await
            .is_ok();
        if !open {
            pending::<()>().await;
        }
    }

    async fn deliver(&mut self, bytes: &[u8]) -> Result<Next, Ending> {
        for piece in self.splitter.feed(self.session, bytes) {
            if let Next::Stop = self.deliver_piece(piece).await? {
                return Ok(Next::Stop);
            }
        }
        Ok(Next::GoOn)
    }

    async fn deliver_piece(&mut self, piece: Piece) -> Result<Next, Ending> {
        if piece.begins.is_some() {
            self.current = piece.begins;
            if let Some(ending) = self.cut_due(false) {
                return self.cut(ending);
            }
        }
        // Asked before the message is seen: a cut that is ordered on seeing it means the next one.
        let after = match piece.ends {
            true => self.cut_due(true),
            false => None,
        };
        self.write(&piece.bytes).await?;
        let message = self.current.as_ref().map(|head| head.tag);
        let message = message.filter(|_| piece.ends);
        self.connection
            .state
            .delivered(self.direction, piece.bytes.len(), message);
        if piece.ends {
            self.current = None;
        }
        after.map_or(Ok(Next::GoOn), |ending| self.cut(ending))
    }

    /// How the connection, or this direction of it, is to end before or after the current message.
    fn cut_due(&self, after: bool) -> Option<Ending> {
        let head = self.current.as_ref()?;
        self.connection.state.cut_due(Moment {
            connection: self.connection.number,
            direction: self.direction,
            head,
            after,
        })
    }

    fn cut(&self, ending: Ending) -> Result<Next, Ending> {
        let Ending::HalfClose(direction) = ending else {
            return Err(ending);
        };
        let Connection { state, number, .. } = self.connection;
        state.end(*number, ending);
        Ok(if direction == self.direction {
            Next::Stop
        } else {
            Next::GoOn
        })
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Ending> {
        let size = match self.mode() {
            Mode::Slices(size) => size.max(1),
            Mode::Pass | Mode::Delay(_) | Mode::Jitter { .. } | Mode::BlackHole => usize::MAX,
        };
        for slice in bytes.chunks(size.min(bytes.len().max(1))) {
            let written = async {
                self.writer.write_all(slice).await?;
                self.writer.flush().await
            };
            written.await.map_err(|_gone| Ending::Reset)?;
            if size < bytes.len() {
                // Lets the receiver see this slice by itself.
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    fn mode(&self) -> Mode {
        self.connection.state.modes.borrow().of(self.direction)
    }
}

fn random_part(of: Duration) -> Duration {
    let random = RandomState::new().hash_one(0_u8);
    let part = u32::try_from(random % 1001).unwrap_or_default();
    of * part / 1000
}
