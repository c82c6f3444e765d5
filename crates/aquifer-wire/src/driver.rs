mod copy;
mod dispatch;
#[cfg(test)]
mod tests;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::task::coop;

use self::dispatch::{Answered, Progress};
use crate::DatabaseError;
use crate::ended::{Ended, Reason};
use crate::queue::Group;
use crate::request::TERMINATE;
use crate::shared::Shared;
use crate::slot::{Outcome, Slot};
use crate::socket::ReadHalf;

/// Least room for one read.
const READ_ROOM: usize = 16 * 1024;

/// The I/O task of one connection: writes what callers queued and hands answers out in order.
///
/// A future that ends when the connection does, with the cause. Whoever opened the connection must
/// poll it, usually in a task of its own; dropping it closes the connection.
#[derive(Debug)]
pub struct Driver {
    shared: Arc<Shared>,
    socket: ReadHalf,
    read: BytesMut,
    /// How much of `read` has been looked at; the bytes before belong to the current answer.
    scanned: usize,
    /// The group that is being answered, the answers of its first members, and how far that of the
    /// next one is.
    group: Group,
    answers: Vec<Answered>,
    progress: Progress,
    /// Slots whose callers were told; used again once those have left them.
    filled: Vec<Arc<Slot>>,
    last_words: Option<DatabaseError>,
    /// Bytes on their way through TLS.
    outgoing: BytesMut,
    flushing: bool,
    /// It yields, so that the callers it has woken run before it writes for them.
    yielding: bool,
    /// The answer being read may be that of a COPY.
    copying: bool,
    /// It does not read, since the handle of a COPY has enough.
    stalled: bool,
}

impl Driver {
    pub(crate) fn new(shared: Arc<Shared>, socket: ReadHalf, read: BytesMut) -> Self {
        Self {
            shared,
            socket,
            read,
            scanned: 0,
            group: Group::new(),
            answers: Vec::new(),
            progress: Progress::default(),
            filled: Vec::new(),
            last_words: None,
            outgoing: BytesMut::new(),
            flushing: false,
            yielding: false,
            copying: false,
            stalled: false,
        }
    }

    fn poll_io(&mut self, context: &mut Context<'_>) -> Poll<Reason> {
        if let Poll::Ready(reason) = self.poll_read(context) {
            return Poll::Ready(reason);
        }
        if self.yielding {
            context.waker().wake_by_ref();
        }
        match self.poll_write(context) {
            Poll::Ready(Reason::Io(kind)) => self.poll_last_words(context, kind),
            other => {
                // Whoever took something before the waker was there found nobody to wake.
                if self.stalled && self.copy_link().is_none_or(|link| link.has_room()) {
                    context.waker().wake_by_ref();
                }
                other
            }
        }
    }

    /// Writing failed since the peer is gone; what it said before may still be there: answers, and
    /// why it went.
    fn poll_last_words(&mut self, context: &mut Context<'_>, kind: io::ErrorKind) -> Poll<Reason> {
        match self.poll_read(context) {
            Poll::Ready(Reason::Io(_)) => Poll::Ready(Reason::Io(kind)),
            // The task has had its turn and is woken at once: then reading comes first again.
            Poll::Pending if !coop::has_budget_remaining() => Poll::Pending,
            Poll::Pending => Poll::Ready(Reason::Io(kind)),
            other => other,
        }
    }

    /// Reads what is there; `Ready` only when the connection ends.
    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<Reason> {
        // Start-up may have read further than its own last message.
        if self.scanned == 0
            && !self.read.is_empty()
            && let Err(reason) = self.dispatch()
        {
            return Poll::Ready(reason);
        }
        if std::mem::take(&mut self.yielding) {
            self.shared.queue().stop_gathering();
        }
        loop {
            self.stalled = self.copying && self.poll_copy().is_pending();
            if self.stalled {
                return Poll::Pending;
            }
            match self.socket.poll_ready(context) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Reason::Io(error.kind())),
                Poll::Pending => return Poll::Pending,
            }
            // Not before there is something to read: by then callers have let go of what they were
            // answered, and the same buffer serves again.
            self.read.reserve(READ_ROOM);
            match self.socket.poll_read(context, &mut self.read) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Reason::Eof),
                Poll::Ready(Err(error)) => return Poll::Ready(Reason::Io(error.kind())),
                Poll::Ready(Ok(_)) => {
                    if let Err(reason) = self.dispatch() {
                        return Poll::Ready(reason);
                    }
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Writes what may be written; `Ready` only when the connection ends.
    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<Reason> {
        let shared = Arc::clone(&self.shared);
        loop {
            let mut queue = shared.queue();
            if let Some(reason) = &queue.closing {
                return Poll::Ready(reason.clone());
            }
            if let Err(error) = queue.flush_if_idle() {
                return Poll::Ready(Reason::Io(error.kind()));
            }
            if queue.is_copying() {
                queue.wake_sender();
            }
            // Registered under the lock, before parking: a request that comes now wakes this task.
            if !queue
                .driver
                .as_ref()
                .is_some_and(|waker| waker.will_wake(context.waker()))
            {
                queue.driver = Some(context.waker().clone());
            }
            if let Some(socket) = &queue.socket {
                if !queue.has_output() {
                    return Poll::Pending;
                }
                match socket.poll_ready(context) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(error)) => return Poll::Ready(Reason::Io(error.kind())),
                    Poll::Pending => return Poll::Pending,
                }
                if let Err(error) = queue.write_some() {
                    return Poll::Ready(Reason::Io(error.kind()));
                }
                continue;
            }
            if self.outgoing.is_empty() && queue.has_output() {
                self.outgoing = queue.take_output();
                self.flushing = true;
            }
            drop(queue);
            if !self.flushing {
                return Poll::Pending;
            }
            match self.socket.poll_write(context, &mut self.outgoing) {
                Poll::Ready(Ok(())) => self.flushing = false,
                Poll::Ready(Err(error)) => return Poll::Ready(Reason::Io(error.kind())),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Tells everybody who waits why there is nothing more to come.
    fn end(&mut self, reason: Reason) -> Arc<Ended> {
        let ended = Arc::new(Ended::new(reason, self.last_words.take()));
        let shared = Arc::clone(&self.shared);
        let waiting = {
            let mut queue = shared.queue();
            // Never within a request, which these bytes could complete.
            let between_requests = !queue.has_output();
            if let Some(socket) = queue.socket.take()
                && ended.by_us()
                && between_requests
            {
                // Best effort: the socket is closed right after, which says the same.
                drop(socket.try_write(TERMINATE));
            }
            queue.ended = Some(Arc::clone(&ended));
            queue.write = BytesMut::new();
            queue.drain()
        };
        let current = self.group.drain(..).map(|member| (member.slot, true));
        let unanswered: Vec<_> = current.chain(waiting).collect();
        shared
            .answered
            .fetch_add(unanswered.len(), Ordering::Release);
        for (slot, sent) in unanswered {
            slot.fill(Outcome::Ended {
                cause: Arc::clone(&ended),
                sent,
            });
        }
        shared.end_events();
        ended
    }
}

impl Future for Driver {
    type Output = Arc<Ended>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let driver = self.get_mut();
        match driver.poll_io(context) {
            Poll::Ready(reason) => Poll::Ready(driver.end(reason)),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let ended = self.shared.queue().ended.is_some();
        if !ended {
            self.end(Reason::ByUs);
        }
    }
}
