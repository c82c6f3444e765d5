//! What a COPY writes between its request and its end, while it has the connection to itself.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::BufMut;

use super::Queue;
use crate::copy::CopyLink;
use crate::request::{Request, SYNC};
use crate::{Error, Kind};

/// Most bytes of a COPY FROM that wait for the socket before its sender waits.
const WRITE_MAX: usize = 128 * 1024;

/// The COPY that has the connection to itself.
#[derive(Debug)]
pub(super) struct Copying {
    link: Arc<CopyLink>,
    /// This side has sent all: its Sync stands behind.
    synced: bool,
    /// Who waits for room.
    sender: Option<Waker>,
    /// What `waiting_max` is when no COPY is under way.
    waiting_max: usize,
}

impl Queue {
    /// From here on every request is refused until [`leave_copy`](Self::leave_copy).
    pub(super) fn begin_copy(&mut self, link: &Arc<CopyLink>) {
        self.copying = Some(Copying {
            link: Arc::clone(link),
            synced: false,
            sender: None,
            waiting_max: self.waiting_max,
        });
        // Spares each request a look at `copying`.
        self.waiting_max = 0;
    }

    /// As many requests wait as may, or a COPY is under way: what is refused then.
    #[cold]
    pub(super) fn refuse(&self, request: &Request<'_>) -> Result<(), Error> {
        if self.copying.is_some() {
            let text = "a COPY is under way on this connection; finish or drop it first";
            return Err(Error::new(Kind::Busy, text));
        }
        // What divides or ends a transaction, or waits for all before it, must not be lost, and
        // there is little of it.
        if matches!(request, Request::Control { .. } | Request::Sync) {
            return Ok(());
        }
        let text = format!(
            "{} requests wait on this connection already (requests_max)",
            self.waiting
        );
        Err(Error::new(Kind::Limit, text))
    }

    /// Whether that COPY may send more now; `false` when it has ended.
    pub(crate) fn poll_copy_room(
        &mut self,
        link: &Arc<CopyLink>,
        context: &Context<'_>,
    ) -> Poll<bool> {
        let full = self.write.len() >= WRITE_MAX;
        match self.copying_of(link) {
            None => Poll::Ready(false),
            Some(copying) if copying.synced => Poll::Ready(false),
            Some(copying) if full => {
                copying.sender = Some(context.waker().clone());
                Poll::Pending
            }
            Some(_) => Poll::Ready(true),
        }
    }

    /// Sends `data` as one CopyData; at most what fits a message.
    pub(crate) fn put_copy(&mut self, link: &Arc<CopyLink>, data: &[u8]) {
        let Ok(length) = u32::try_from(data.len() + 4) else {
            return;
        };
        if self.copying_of(link).is_some_and(|copying| !copying.synced) {
            self.write.put_u8(b'd');
            self.write.put_u32(length);
            self.write.put_slice(data);
            self.flush_copy();
        }
    }

    /// Ends what this side sends with `last`, unless it has ended.
    pub(crate) fn end_copy(&mut self, link: &Arc<CopyLink>, last: &[u8]) {
        let Some(copying) = self.copying_of(link) else {
            return;
        };
        if std::mem::replace(&mut copying.synced, true) {
            return;
        }
        self.write.put_slice(last);
        self.write.put_slice(SYNC);
        self.flush_copy();
    }

    /// As [`end_copy`](Self::end_copy); afterwards others may use the connection.
    pub(crate) fn leave_copy(&mut self, link: &Arc<CopyLink>, last: &[u8]) {
        self.end_copy(link, last);
        if self.copying_of(link).is_some()
            && let Some(copying) = self.copying.take()
        {
            self.waiting_max = copying.waiting_max;
        }
    }

    /// For the driver, which has written something.
    pub(crate) fn wake_sender(&mut self) {
        if self.write.len() < WRITE_MAX
            && let Some(sender) = self
                .copying
                .as_mut()
                .and_then(|copying| copying.sender.take())
        {
            sender.wake();
        }
    }

    /// Whether a COPY has the connection to itself.
    pub(crate) fn is_copying(&self) -> bool {
        self.copying.is_some()
    }

    fn copying_of(&mut self, link: &Arc<CopyLink>) -> Option<&mut Copying> {
        let copying = self.copying.as_mut();
        copying.filter(|copying| Arc::ptr_eq(&copying.link, link))
    }

    fn flush_copy(&mut self) {
        self.released = self.write.len();
        // A broken socket keeps its bytes: the driver meets the error again and ends with it.
        if self.write_some().is_err() || self.released > 0 {
            self.wake_driver();
        }
    }
}
