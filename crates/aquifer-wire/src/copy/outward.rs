use std::future::poll_fn;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};

use super::{Copying, affected};
use crate::Error;
use crate::frame::{Frames, tag};

/// A COPY that receives rows from the server.
///
/// At most about 256 KiB wait here; beyond, the server waits. Dropping it before the end has what
/// is left read and thrown away.
#[derive(Debug)]
pub struct CopyOut {
    copy: Copying,
    binary: bool,
    /// How many rows the server counted, or that it failed.
    ended: Option<Option<u64>>,
    /// What followed the last data.
    failure: Option<Error>,
}

impl CopyOut {
    pub(super) fn new(copy: Copying, binary: bool) -> Self {
        Self {
            copy,
            binary,
            ended: None,
            failure: None,
        }
    }

    /// Whether the server sends the binary format.
    #[must_use]
    pub fn is_binary(&self) -> bool {
        self.binary
    }

    /// How many rows the server sent; `None` before the end.
    #[must_use]
    pub fn rows(&self) -> Option<u64> {
        self.ended.flatten()
    }

    /// The next bytes, which may hold many rows; `None` at the end.
    ///
    /// # Errors
    /// [`Kind::Database`](crate::Kind::Database) when the server breaks off, after all that it sent
    /// before; [`Kind::Closed`](crate::Kind::Closed) when the connection ends.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        while self.ended.is_none() {
            let frames = poll_fn(|context| self.poll_frames(context)).await;
            let data = read(&frames);
            if !data.is_empty() {
                return Ok(Some(data));
            }
        }
        self.failure.take().map_or(Ok(None), Err)
    }

    /// The next whole messages, the last ones with the end of the answer.
    fn poll_frames(&mut self, context: &mut Context<'_>) -> Poll<Bytes> {
        // The end is looked at first: what the driver left before it is there then.
        let end = self.copy.poll_end(context);
        if let Poll::Ready((chunk, waited_for)) = self.copy.link.poll_chunk(context) {
            if waited_for {
                self.copy.shared.queue().wake_driver();
            }
            return Poll::Ready(chunk);
        }
        if end.is_pending() {
            return Poll::Pending;
        }
        self.copy.leave(&[]);
        let frames = self.copy.end_frames();
        let rows = self.copy.take_end().and_then(|frames| affected(&frames));
        self.ended = Some(rows.as_ref().ok().copied());
        self.failure = rows.err();
        Poll::Ready(frames)
    }
}

/// The data in these messages.
fn read(frames: &Bytes) -> Bytes {
    let bodies = || Frames(frames).filter(|(tag, _)| *tag == tag::COPY_DATA);
    let mut first_two = bodies();
    if let (Some((_, only)), None) = (first_two.next(), first_two.next()) {
        return frames.slice_ref(only);
    }
    let length = bodies().map(|(_, body)| body.len()).sum();
    let mut data = BytesMut::with_capacity(length);
    bodies().for_each(|(_, body)| data.extend_from_slice(body));
    data.freeze()
}
