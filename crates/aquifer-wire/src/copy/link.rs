use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

/// Most bytes that wait for the handle of a COPY TO before the driver stops reading.
const WAITING_MAX: usize = 256 * 1024;

/// What the handle of one COPY and the driver share.
#[derive(Debug, Default)]
pub(crate) struct CopyLink(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    opened: Option<Opened>,
    /// Whole messages that the server sent, not yet taken.
    chunks: VecDeque<Bytes>,
    waiting: usize,
    /// The handle is gone: what still comes is thrown away.
    abandoned: bool,
    waker: Option<Waker>,
}

/// What the server said when the COPY began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Opened {
    pub(crate) direction: Direction,
    pub(crate) binary: bool,
}

/// Who sends the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// The client.
    In,
    /// The server.
    Out,
}

impl CopyLink {
    /// For the driver: the COPY has begun; false when it had already.
    pub(crate) fn open(&self, opened: Opened) -> bool {
        let waker = {
            let mut state = self.state();
            if state.opened.is_some() {
                return false;
            }
            state.opened = Some(opened);
            state.waker.take()
        };
        waker.into_iter().for_each(Waker::wake);
        true
    }

    pub(crate) fn opened(&self) -> Option<Opened> {
        self.state().opened
    }

    /// For the driver: whether the handle takes more now.
    pub(crate) fn has_room(&self) -> bool {
        let state = self.state();
        state.abandoned || state.waiting < WAITING_MAX
    }

    /// For the driver: leaves whole messages for the handle.
    pub(crate) fn push(&self, chunk: Bytes) {
        let waker = {
            let mut state = self.state();
            if state.abandoned {
                return;
            }
            state.waiting += chunk.len();
            state.chunks.push_back(chunk);
            state.waker.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }

    /// For the handle: what the server said when the COPY began.
    pub(crate) fn poll_opened(&self, context: &Context<'_>) -> Poll<Opened> {
        let mut state = self.state();
        match state.opened {
            Some(opened) => Poll::Ready(opened),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// For the handle: the next messages, and whether the driver waits for them to be taken.
    pub(crate) fn poll_chunk(&self, context: &Context<'_>) -> Poll<(Bytes, bool)> {
        let mut state = self.state();
        let was_full = state.waiting >= WAITING_MAX;
        let Some(chunk) = state.chunks.pop_front() else {
            state.waker = Some(context.waker().clone());
            return Poll::Pending;
        };
        state.waiting -= chunk.len();
        Poll::Ready((chunk, was_full && state.waiting < WAITING_MAX))
    }

    /// For the handle, when it goes.
    pub(crate) fn abandon(&self) {
        let mut state = self.state();
        state.abandoned = true;
        state.chunks.clear();
        state.waiting = 0;
        state.waker = None;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
