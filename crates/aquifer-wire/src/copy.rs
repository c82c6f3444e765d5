//! COPY between the server and this side, on a connection that does nothing else meanwhile.

mod link;
mod outward;

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use postgres_protocol::message::frontend;

pub(crate) use self::link::{CopyLink, Direction, Opened};
pub use self::outward::CopyOut;
use crate::frame::{self, Frames, tag};
use crate::queue::Sharing;
use crate::request::Request;
use crate::shared::Shared;
use crate::slot::Answer;
use crate::{Client, Error, Kind, reply};

/// Most bytes of data in one message; larger pieces are split.
const PIECE: usize = 64 * 1024;

/// CopyDone.
const DONE: &[u8] = b"c\0\0\0\x04";

impl Client {
    /// Begins `COPY … FROM STDIN`; until it is finished or dropped every other request on this
    /// connection is refused with [`Kind::Busy`].
    ///
    /// # Errors
    /// As [`query`](Self::query); [`Kind::Limit`] when the statement is no such COPY: then it was
    /// carried out as far as it goes without the client.
    ///
    /// # Cancel safety
    /// Dropping the future ends the COPY; nothing is inserted.
    pub async fn copy_in(&self, sql: &str, sharing: Sharing) -> Result<CopyIn, Error> {
        let (copy, opened) = Copying::open(self, sql, sharing).await?;
        if opened.direction != Direction::In {
            return Err(unfit("COPY … FROM STDIN"));
        }
        Ok(CopyIn {
            copy,
            binary: opened.binary,
            midway: false,
        })
    }

    /// Begins `COPY … TO STDOUT`; until it is read to its end or dropped every other request on
    /// this connection is refused with [`Kind::Busy`].
    ///
    /// # Errors
    /// As [`copy_in`](Self::copy_in).
    ///
    /// # Cancel safety
    /// What the server sends is thrown away.
    pub async fn copy_out(&self, sql: &str, sharing: Sharing) -> Result<CopyOut, Error> {
        let (copy, opened) = Copying::open(self, sql, sharing).await?;
        if opened.direction != Direction::Out {
            return Err(unfit("COPY … TO STDOUT"));
        }
        Ok(CopyOut::new(copy, opened.binary))
    }
}

/// A COPY that sends rows to the server; nothing is inserted before [`finish`](Self::finish).
///
/// Dropping it has the server take back what was sent.
#[derive(Debug)]
pub struct CopyIn {
    copy: Copying,
    binary: bool,
    /// A `send` has begun and not ended.
    midway: bool,
}

impl CopyIn {
    /// Whether the server expects the binary format.
    #[must_use]
    pub fn is_binary(&self) -> bool {
        self.binary
    }

    /// Sends bytes, and waits while the socket does not take them.
    ///
    /// # Errors
    /// [`Kind::Database`] when the server has refused what came before; [`Kind::Closed`] and
    /// [`Kind::Protocol`] when the connection ended.
    ///
    /// # Cancel safety
    /// A part of `data` may have been sent, so that the COPY can only be given up: later calls
    /// fail with [`Kind::Limit`].
    pub async fn send(&mut self, data: &[u8]) -> Result<(), Error> {
        self.check()?;
        self.midway = true;
        for piece in data.chunks(PIECE) {
            poll_fn(|context| self.copy.poll_room(context)).await?;
            self.copy.shared.queue().put_copy(&self.copy.link, piece);
        }
        self.midway = false;
        Ok(())
    }

    /// Ends the COPY; returns how many rows were inserted.
    ///
    /// # Errors
    /// As [`send`](Self::send); nothing was inserted when the server refuses.
    ///
    /// # Cancel safety
    /// Once polled, the rows are inserted even if the future is dropped.
    pub async fn finish(mut self) -> Result<u64, Error> {
        self.check()?;
        self.copy.leave(DONE);
        let frames = self.copy.wait_for_end().await?;
        affected(&frames)
    }

    /// Gives the COPY up and waits until the server has taken back what was sent.
    ///
    /// # Errors
    /// When the connection ends first.
    ///
    /// # Cancel safety
    /// It is given up all the same.
    pub async fn abort(mut self) -> Result<(), Error> {
        self.copy.leave(&failure());
        match self.copy.wait_for_end().await {
            Err(error) if error.kind() != Kind::Database => Err(error),
            _ => Ok(()),
        }
    }

    fn check(&self) -> Result<(), Error> {
        if self.midway {
            let text = "a call that sent data was dropped half-way, so the COPY can't go on";
            return Err(Error::new(Kind::Limit, text).with_sent(true));
        }
        Ok(())
    }
}

/// What both directions have in common: the connection to oneself, and the answer that ends it.
#[derive(Debug)]
pub(crate) struct Copying {
    shared: Arc<Shared>,
    link: Arc<CopyLink>,
    answer: Answer,
    end: End,
}

/// Ahead → Here → Taken.
#[derive(Debug)]
enum End {
    Ahead,
    Here(Result<Bytes, Error>),
    Taken,
}

impl Copying {
    async fn open(client: &Client, sql: &str, sharing: Sharing) -> Result<(Self, Opened), Error> {
        let link = Arc::new(CopyLink::default());
        let request = Request::Copy { sql, link: &link };
        let answer = client.shared().push(&request, sharing.alone())?;
        let mut copy = Self {
            shared: Arc::clone(client.shared()),
            link: Arc::clone(&link),
            answer,
            end: End::Ahead,
        };
        let opened = poll_fn(|context| copy.poll_opened(context)).await?;
        Ok((copy, opened))
    }

    fn poll_opened(&mut self, context: &mut Context<'_>) -> Poll<Result<Opened, Error>> {
        if self.poll_end(context).is_ready() && self.link.opened().is_none() {
            return Poll::Ready(Err(self.refusal("COPY with STDIN or STDOUT")));
        }
        self.link.poll_opened(context).map(Ok)
    }

    /// Ready when the next piece may be sent.
    fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.poll_end(context).is_ready() {
            let early = || frame::protocol("the end of a COPY before that of its data");
            return Poll::Ready(Err(self.take_end().err().unwrap_or_else(early)));
        }
        let room = self.shared.queue().poll_copy_room(&self.link, context);
        match room {
            Poll::Ready(true) => Poll::Ready(Ok(())),
            // The server has broken off, and its answer is on the way.
            Poll::Ready(false) | Poll::Pending => Poll::Pending,
        }
    }

    /// Ready when the whole answer is there, or the connection has ended.
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if matches!(self.end, End::Ahead)
            && let Poll::Ready(answer) = Pin::new(&mut self.answer).poll(context)
        {
            // A request with a Sync of its own is never skipped.
            self.end = End::Here(answer.map(Option::unwrap_or_default));
        }
        match self.end {
            End::Ahead => Poll::Pending,
            End::Here(_) | End::Taken => Poll::Ready(()),
        }
    }

    /// What came with the answer that is there.
    fn end_frames(&self) -> Bytes {
        match &self.end {
            End::Here(Ok(frames)) => frames.clone(),
            _ => Bytes::new(),
        }
    }

    /// The answer that is there, which holds no error.
    fn take_end(&mut self) -> Result<Bytes, Error> {
        match std::mem::replace(&mut self.end, End::Taken) {
            End::Here(answer) => {
                let frames = answer?;
                first_error(&frames).map_or(Ok(frames), Err)
            }
            End::Ahead | End::Taken => {
                let text = "the COPY has ended already";
                Err(Error::new(Kind::Limit, text).with_sent(true))
            }
        }
    }

    async fn wait_for_end(&mut self) -> Result<Bytes, Error> {
        poll_fn(|context| self.poll_end(context)).await;
        self.take_end()
    }

    /// Why the server ended the request before its time.
    fn refusal(&mut self, wanted: &'static str) -> Error {
        self.take_end().err().unwrap_or_else(|| unfit(wanted))
    }

    /// Ends what this side sends, and lets others use the connection.
    fn leave(&self, last: &[u8]) {
        self.shared.queue().leave_copy(&self.link, last);
    }
}

impl Drop for Copying {
    fn drop(&mut self) {
        self.link.abandon();
        let mut queue = self.shared.queue();
        queue.leave_copy(&self.link, &failure());
        // It may wait for room that nobody needs any more.
        queue.wake_driver();
    }
}

/// CopyFail.
fn failure() -> BytesMut {
    let mut message = BytesMut::new();
    let text = "the client gave the COPY up";
    // Fails for a NUL in the text only.
    drop(frontend::copy_fail(text, &mut message));
    message
}

fn first_error(frames: &[u8]) -> Option<Error> {
    let mut frames = Frames(frames);
    let (_, body) = frames.find(|(tag, _)| *tag == tag::ERROR)?;
    Some(reply::server_error(body))
}

/// The count of the last completion.
fn affected(frames: &[u8]) -> Result<u64, Error> {
    let mut completions = Frames(frames).filter(|(tag, _)| *tag == tag::COMMAND_COMPLETE);
    let (_, body) = completions.next().ok_or_else(reply::missing)?;
    let text = body.strip_suffix(&[0]).unwrap_or(body);
    let count = text.rsplit(|byte| *byte == b' ').next();
    let count = count.and_then(|count| std::str::from_utf8(count).ok()?.parse().ok());
    count.ok_or_else(|| frame::protocol("the end of a COPY without a count"))
}

fn unfit(wanted: &str) -> Error {
    Error::new(Kind::Limit, format!("the statement is no {wanted}")).with_sent(true)
}
