use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::task::Waker;

use bytes::{Buf, BufMut, BytesMut};

use crate::ended::{Ended, Reason};
use crate::names::Names;
use crate::request::{Request, SYNC, Written};
use crate::slot::Slot;
use crate::socket::WriteHalf;
use crate::{Error, Kind};

/// Most requests of different callers under one Sync.
const GROUP_MAX: usize = 64;

/// Most slots kept for later requests.
const SPARE_MAX: usize = 2 * GROUP_MAX;

/// Requests that wait to be written or answered, and the bytes that wait to be written.
///
/// Invariants, all under the one lock around it:
/// - `pending` holds, oldest first, every request that the driver has not begun to read answers of;
///   the first `members_written` of them have been handed to the socket or stand in `write` behind
///   a Sync that will be, the others wait in `write`.
/// - the last `open` members have no Sync behind them yet.
/// - the first `released` bytes of `write` may go to the socket; the rest is held back.
/// - `turn` counts the requests that began, divided or ended a transaction.
/// - `groups_written` counts the groups (Syncs) that were written and not answered;
///   `groups_buffered` those that stand in `write` and are held back.
#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) write: BytesMut,
    pub(crate) names: Names,
    pub(crate) ended: Option<Arc<Ended>>,
    /// Why the driver is to end, if this side wants it.
    pub(crate) closing: Option<Reason>,
    pub(crate) driver: Option<Waker>,
    pub(crate) socket: Option<WriteHalf>,
    pending: VecDeque<Member>,
    pending_max: usize,
    /// Slots of answered requests, to be used again: one allocation less for each request.
    spare: Vec<Arc<Slot>>,
    members_written: usize,
    groups_buffered: usize,
    groups_written: usize,
    open: usize,
    released: usize,
    turn: u64,
    /// Callers that were answered since anything was written.
    returning: usize,
    /// How many requests are waited for before any goes; see [`gather`](Self::gather).
    gathering: usize,
}

/// One request among those that wait for their answer.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) slot: Arc<Slot>,
    pub(crate) written: Option<Box<Written>>,
    pub(crate) form: Form,
    pub(crate) steps: usize,
    /// A Sync follows it.
    pub(crate) last: bool,
}

impl Member {
    /// How many statements it prepares.
    pub(crate) fn parses(&self) -> usize {
        self.written
            .as_ref()
            .map_or(0, |written| written.parses.len())
    }

    /// How many prepared statements it closes.
    pub(crate) fn closes(&self) -> usize {
        self.written
            .as_ref()
            .map_or(0, |written| written.closes.len())
    }
}

/// By which protocol a request runs, which decides what may answer it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Extended,
    Describe,
    Simple,
}

/// Whether a request may stand under one Sync with requests of other callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a Sync is shared or it is not")]
pub enum Sharing {
    /// It has a Sync of its own and begins a transaction: with it a new turn begins.
    Opening,
    /// It has a Sync of its own: everything that may write.
    Own,
    /// It only reads: it is held until the lane is idle and then shares one Sync.
    Shared,
    /// It has a Sync of its own, and is part of what this turn of the session's transaction does:
    /// refused with [`Kind::Overtaken`] when a later one has begun; see [`Client::turn`].
    ///
    /// [`Client::turn`]: crate::Client::turn
    Within(u64),
}

impl Queue {
    pub(crate) fn new(socket: Option<WriteHalf>, names: Names, pending_max: usize) -> Self {
        Self {
            write: BytesMut::with_capacity(16 * 1024),
            names,
            ended: None,
            closing: None,
            driver: None,
            socket,
            pending: VecDeque::new(),
            pending_max,
            spare: Vec::new(),
            members_written: 0,
            groups_buffered: 0,
            groups_written: 0,
            open: 0,
            released: 0,
            turn: 0,
            returning: 0,
            gathering: 0,
        }
    }

    /// Takes a request in and writes what may be written now.
    ///
    /// # Errors
    /// When the connection has ended, the queue is full, or the request can't be written; nothing
    /// of it was sent then.
    pub(crate) fn push(
        &mut self,
        request: &Request<'_>,
        sharing: Sharing,
    ) -> Result<Arc<Slot>, Error> {
        if let Some(ended) = &self.ended {
            return Err(ended.error(false));
        }
        if let Some(reason) = &self.closing {
            return Err(Ended::new(reason.clone(), None).error(false));
        }
        if let Sharing::Within(turn) = sharing
            && turn != self.turn
        {
            let text = "the transaction went on before the request was sent";
            return Err(Error::new(Kind::Overtaken, text));
        }
        // What divides or ends a transaction, or waits for all before it, must not be lost, and
        // there is little of it.
        let may_exceed = matches!(request, Request::Control { .. } | Request::Sync);
        if self.pending.len() >= self.pending_max && !may_exceed {
            let text = format!(
                "{} requests wait on this connection already (requests_max)",
                self.pending.len()
            );
            return Err(Error::new(Kind::Limit, text));
        }
        let shared = sharing == Sharing::Shared;
        if !shared {
            self.close_group();
        }
        let start = self.write.len();
        let mut written = None;
        if let Err(error) = request.write(&mut self.names, &mut written, &mut self.write) {
            // A NUL in the text, or 2 GiB: take back what was begun.
            self.write.truncate(start);
            if let Some(written) = written {
                self.names.take_back(&written.parses, &written.closes);
            }
            return Err(Error::new(Kind::Limit, error.to_string()));
        }
        let slot = self.spare.pop().and_then(Slot::renew);
        let slot = slot.unwrap_or_else(Slot::new);
        self.pending.push_back(Member {
            slot: Arc::clone(&slot),
            written,
            form: Form::of(request),
            steps: request.steps(),
            last: false,
        });
        let turns = matches!(request, Request::Control { .. }) || sharing == Sharing::Opening;
        self.turn += u64::from(turns);
        self.open += 1;
        if !shared || self.open >= GROUP_MAX {
            self.finish_group(request);
        }
        if !shared || self.may_go() {
            self.flush();
        }
        Ok(slot)
    }

    /// Whether held requests may go: nothing written is unanswered, and there is a whole group, or
    /// nobody else to wait for.
    fn may_go(&self) -> bool {
        self.groups_written == 0 && (self.groups_buffered > 0 || self.open >= self.gathering)
    }

    fn finish_group(&mut self, request: &Request<'_>) {
        if matches!(request, Request::Simple { .. } | Request::Control { .. }) {
            // Query is answered by ReadyForQuery of its own.
            self.mark_group();
        } else {
            self.close_group();
        }
    }

    /// Ends the open group with a Sync.
    fn close_group(&mut self) {
        if self.open > 0 {
            self.write.put_slice(SYNC);
            self.mark_group();
        }
    }

    fn mark_group(&mut self) {
        if let Some(member) = self.pending.back_mut() {
            member.last = true;
        }
        self.open = 0;
        self.groups_buffered += 1;
    }

    /// How many requests began, divided or ended a transaction.
    pub(crate) fn turn(&self) -> u64 {
        self.turn
    }

    /// Hands all that waits to the socket, as far as it takes it, and wakes the driver for the rest.
    fn flush(&mut self) {
        self.release();
        // A broken socket keeps its bytes: the driver meets the error again and ends with it.
        if self.write_some().is_err() || self.released > 0 {
            self.wake_driver();
        }
    }

    /// Lets all that was held back go: from here on it counts as sent.
    fn release(&mut self) {
        self.close_group();
        self.groups_written += self.groups_buffered;
        self.groups_buffered = 0;
        self.members_written = self.pending.len();
        self.released = self.write.len();
        self.returning = 0;
        self.gathering = 0;
    }

    /// Writes what may go to a socket that callers may write to, as far as it takes it; TLS is
    /// written by the driver alone.
    ///
    /// # Errors
    /// When the socket is broken.
    pub(crate) fn write_some(&mut self) -> io::Result<()> {
        let Some(socket) = &self.socket else {
            return Ok(());
        };
        while let Some(bytes) = self
            .write
            .get(..self.released)
            .filter(|bytes| !bytes.is_empty())
        {
            match socket.try_write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.write.advance(count);
                    self.released -= count;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// For the driver: lets held requests go once nothing written is unanswered.
    ///
    /// # Errors
    /// When the socket is broken.
    pub(crate) fn flush_if_idle(&mut self) -> io::Result<()> {
        if self.may_go() && !self.pending.is_empty() {
            self.release();
        }
        self.write_some()
    }

    /// For the driver, where TLS stands between: the bytes that may go.
    pub(crate) fn take_output(&mut self) -> BytesMut {
        self.write.split_to(std::mem::take(&mut self.released))
    }

    /// Whether the socket did not take all that may go, or refused it.
    pub(crate) fn has_output(&self) -> bool {
        self.released > 0
    }

    /// The oldest group that was written, for the driver to read the answers of.
    pub(crate) fn take_group(&mut self, group: &mut VecDeque<Member>) {
        while self.members_written > 0 {
            let Some(member) = self.pending.pop_front() else {
                return;
            };
            self.members_written -= 1;
            let last = member.last;
            group.push_back(member);
            if last {
                return;
            }
        }
    }

    /// The answer to a group is complete; `filled` are the slots of groups before it, whose callers
    /// have had time to leave them.
    pub(crate) fn group_answered(&mut self, filled: &mut Vec<Arc<Slot>>) {
        self.groups_written = self.groups_written.saturating_sub(1);
        self.spare.append(filled);
        self.spare.truncate(SPARE_MAX);
    }

    /// For the driver, which is about to wake the callers of an answered group, `callers` of them:
    /// holds what waits until they are back or the driver has yielded once, and says whether to
    /// yield. Otherwise the first to come back would go alone, all others would wait for its answer,
    /// and so on for as long as the load lasts: two groups by turns, each a round trip late.
    pub(crate) fn gather(&mut self, callers: usize) -> bool {
        self.returning += callers;
        if self.groups_written == 0 {
            let together = std::mem::take(&mut self.returning) + self.open;
            self.gathering = if together > 1 { together } else { 0 };
        }
        self.gathering > 0
    }

    /// For the driver: it has yielded, whoever is not back is late.
    pub(crate) fn stop_gathering(&mut self) {
        self.gathering = 0;
    }

    /// All members left, with whether each was sent; for the end of the connection.
    pub(crate) fn drain(&mut self) -> Vec<(Arc<Slot>, bool)> {
        let sent = self.members_written;
        let members = self.pending.drain(..).enumerate();
        members
            .map(|(index, member)| (member.slot, index < sent))
            .collect()
    }

    /// Has the driver end the connection; the first reason stays.
    pub(crate) fn close(&mut self, reason: Reason) {
        self.closing.get_or_insert(reason);
        self.wake_driver();
    }

    fn wake_driver(&mut self) {
        if let Some(driver) = self.driver.take() {
            driver.wake();
        }
    }
}

impl Form {
    fn of(request: &Request<'_>) -> Self {
        match request {
            Request::Execute(_) | Request::Sync => Self::Extended,
            Request::Describe { .. } => Self::Describe,
            Request::Simple { .. } | Request::Control { .. } => Self::Simple,
        }
    }
}
