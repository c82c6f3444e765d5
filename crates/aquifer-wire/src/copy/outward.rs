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
    /// What followed the data of the last chunk.
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
        loop {
            if let Some(error) = self.failure.take() {
                return Err(error);
            }
            if self.ended.is_some() {
                return Ok(None);
            }
            let frames = poll_fn(|context| self.poll_frames(context)).await?;
            let data = self.read(&frames);
            if !data.is_empty() {
                return Ok(Some(data));
            }
        }
    }

    /// The next whole messages, the last ones with the end of the answer.
    fn poll_frames(&mut self, context: &mut Context<'_>) -> Poll<Result<Bytes, Error>> {
        // The end is looked at first: what the driver left before it is there then.
        let end = self.copy.poll_end(context);
        if let Poll::Ready((chunk, waited_for)) = self.copy.link.poll_chunk(context) {
            if waited_for {
                self.copy.shared.queue().wake_driver();
            }
            return Poll::Ready(Ok(chunk));
        }
        match end {
            Poll::Pending => Poll::Pending,
            Poll::Ready(end) => {
                self.ended = Some(None);
                self.copy.leave(&[]);
                end?;
                let frames = self.copy.ended.clone().unwrap_or_default();
                self.failure = super::first_error(&frames);
                if self.failure.is_none() {
                    self.ended = Some(Some(affected(&frames)?));
                }
                Poll::Ready(Ok(frames))
            }
        }
    }

    /// The data in these messages.
    fn read(&mut self, frames: &Bytes) -> Bytes {
        let bodies = || Frames(frames).filter(|(tag, _)| *tag == tag::COPY_DATA);
        let length = bodies().map(|(_, body)| body.len()).sum();
        if let (Some((_, only)), None) = {
            let mut all = bodies();
            (all.next(), all.next())
        } {
            return frames.slice_ref(only);
        }
        let mut data = BytesMut::with_capacity(length);
        bodies().for_each(|(_, body)| data.extend_from_slice(body));
        data.freeze()
    }
}
