//! The server's end of a conversation.

use std::io;

use fastrand::Rng;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::task::yield_now;

/// More often than one task wakes another in these conversations, until all wait for the server.
pub const ROUNDS_TO_REST: usize = 12;

/// How the server takes its leave.
#[derive(Clone, Copy, Debug)]
pub enum Ending {
    /// It closes the socket, with what it has not read.
    Close,
    /// It says that it will say no more, and reads on.
    HalfClose,
}

/// Says each turn once the client has asked for it, or waits for it without asking.
#[derive(Debug)]
pub struct Peer {
    stream: UnixStream,
    input: Vec<u8>,
    started: bool,
    /// Turns that the client has asked for.
    asked: usize,
    /// Says a turn only when the client has come to rest, as in the recordings.
    patient: bool,
}

impl Peer {
    /// The server's end of a socket.
    #[must_use]
    pub fn new(stream: UnixStream, patient: bool) -> Self {
        Self {
            stream,
            input: Vec::new(),
            started: false,
            asked: 0,
            patient,
        }
    }

    /// Plays all turns and ends, however the client takes it.
    ///
    /// # Cancel safety
    /// The socket closes.
    pub async fn play(mut self, turns: &[Vec<u8>], ending: Ending, random: &mut Rng) {
        for (number, turn) in turns.iter().enumerate() {
            if self.until_asked(number).await.is_err() || self.say(turn, random).await.is_err() {
                return;
            }
        }
        if matches!(ending, Ending::HalfClose) && self.stream.shutdown().await.is_ok() {
            let _gone = self.stream.read_to_end(&mut self.input).await;
        }
    }

    async fn say(&mut self, turn: &[u8], random: &mut Rng) -> io::Result<()> {
        let slice = match random.u8(..8) {
            0 => random.usize(1..8),
            1 => random.usize(8..200),
            _ => turn.len().max(1),
        };
        for slice in turn.chunks(slice) {
            self.stream.write_all(slice).await?;
            yield_now().await;
        }
        Ok(())
    }

    /// Returns once the client has asked for turn `number`, or nothing happens any more.
    async fn until_asked(&mut self, number: usize) -> io::Result<()> {
        let mut idle = 0;
        while idle < ROUNDS_TO_REST && (self.patient || self.asked <= number) {
            let before = self.input.len();
            match self.stream.try_read_buf(&mut self.input) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                _ => {}
            }
            idle = if self.input.len() > before {
                0
            } else {
                idle + 1
            };
            self.count();
            yield_now().await;
        }
        Ok(())
    }

    /// Counts what asks for a turn: the start-up message, each Sync and each Query.
    fn count(&mut self) {
        loop {
            let header = if self.started { 1 } else { 0 };
            let Some(length) = self.input.get(header..header + 4) else {
                return;
            };
            let length = length
                .iter()
                .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
            if self.input.len() < header + length {
                return;
            }
            let asks = !self.started || matches!(self.input[0], b'S' | b'Q');
            self.asked += usize::from(asks);
            self.started = true;
            self.input.drain(..header + length);
        }
    }
}
