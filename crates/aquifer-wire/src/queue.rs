mod copying;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use aquifer_core::overlap::Overlap;
use bytes::{Buf, BufMut, BytesMut};

use self::copying::Copying;
use crate::copy::CopyLink;
use crate::ended::{Ended, Reason};
use crate::names::Names;
use crate::request::{Request, SYNC, Written};
use crate::slot::{Slot, Slots};
use crate::socket::WriteHalf;
use crate::{Error, Kind};

/// Most requests of different callers under one Sync.
const GROUP_MAX: usize = 64;

/// Most slots kept for later requests.
const SPARE_MAX: usize = 2 * GROUP_MAX;

/// Requests that wait to be written or answered, and the bytes that wait to be written.
///
/// Invariants, all under the one lock around it:
/// - `groups` holds, oldest first, every group that the driver has not begun to read the answers of;
///   all but the last `groups_buffered` of them have been handed to the socket or stand in `write`
///   to be, the others wait in `write`.
/// - `open` are the requests behind them, which have no Sync yet.
/// - `waiting` counts the members of `groups` and `open`.
/// - the first `released` bytes of `write` may go to the socket; the rest is held back.
/// - `turn` counts the requests that began, divided or ended a transaction.
/// - `groups_written` counts the groups (Syncs) that were written and not answered;
///   `groups_buffered` those that stand in `write` and are held back.
/// - `unanswered` counts the requests of the groups that were written and not answered; `held` those
///   that are held back.
#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) write: BytesMut,
    pub(crate) names: Names,
    pub(crate) ended: Option<Arc<Ended>>,
    /// Why the driver is to end, if this side wants it.
    pub(crate) closing: Option<Reason>,
    pub(crate) driver: Option<Waker>,
    pub(crate) socket: Option<WriteHalf>,
    pub(crate) slots: Slots,
    groups: VecDeque<Group>,
    open: Group,
    /// One that the driver has emptied, to be filled again.
    empty: Group,
    waiting: usize,
    waiting_max: usize,
    /// Slots of answered requests, to be used again: one allocation less for each request.
    spare: Vec<Arc<Slot>>,
    groups_buffered: usize,
    groups_written: usize,
    unanswered: usize,
    held: usize,
    released: usize,
    turn: u64,
    /// Callers that were answered since anything was written.
    returning: usize,
    /// How many requests are waited for before any goes; see [`gather`](Self::gather).
    gathering: usize,
    /// How many groups may be written and not answered before others are held back.
    groups_max: usize,
    overlap: Overlap,
    /// Some of what is held back says how long the way is.
    telling: bool,
    /// When the group that is timed was written, and how many answers come up to its own.
    timed: Option<(Instant, usize)>,
    /// The COPY that has the connection to itself; `waiting_max` is 0 as long as there is one.
    copying: Option<Copying>,
}

/// The requests under one Sync, in order.
pub(crate) type Group = Vec<Member>;

/// One request among those that wait for their answer.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) slot: Arc<Slot>,
    pub(crate) written: Option<Box<Written>>,
    pub(crate) form: Form,
    pub(crate) steps: usize,
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

    /// The COPY that it is.
    pub(crate) fn copy(&self) -> Option<&Arc<CopyLink>> {
        self.written.as_ref()?.copy.as_ref()
    }
}

/// By which protocol a request runs, which decides what may answer it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Extended,
    Describe,
    Simple,
    /// More rows of a portal, which was bound by a request before.
    Fetch,
}

/// Whether a request may stand under one Sync with requests of other callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a Sync is shared or it is not")]
pub enum Sharing {
    /// It has a Sync of its own and begins a transaction: with it a new turn begins.
    Opening,
    /// It has a Sync of its own: everything that may write.
    Own,
    /// It only reads: it is held while as many others are under way as there should be at once, and
    /// then shares one Sync with those that came meanwhile.
    Shared,
    /// It has a Sync of its own, and is part of what this turn of the session's transaction does:
    /// refused with [`Kind::Overtaken`] when a later one has begun; see [`Client::turn`].
    ///
    /// [`Client::turn`]: crate::Client::turn
    Within(u64),
}

impl Sharing {
    /// The same with a Sync of its own.
    pub(crate) fn alone(self) -> Self {
        match self {
            Self::Shared => Self::Own,
            own => own,
        }
    }
}

impl Queue {
    pub(crate) fn new(socket: Option<WriteHalf>, names: Names, waiting_max: usize) -> Self {
        Self {
            write: BytesMut::with_capacity(16 * 1024),
            names,
            ended: None,
            closing: None,
            driver: None,
            socket,
            slots: Slots::default(),
            groups: VecDeque::new(),
            open: Group::new(),
            empty: Group::new(),
            waiting: 0,
            waiting_max,
            spare: Vec::new(),
            groups_buffered: 0,
            groups_written: 0,
            unanswered: 0,
            held: 0,
            released: 0,
            turn: 0,
            returning: 0,
            gathering: 0,
            groups_max: 1,
            overlap: Overlap::default(),
            telling: false,
            timed: None,
            copying: None,
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
        if self.waiting >= self.waiting_max {
            self.refuse(request)?;
        }
        let shared = sharing == Sharing::Shared;
        if !shared {
            self.close_group();
        }
        let start = self.write.len();
        let mut written = None;
        if let Err(error) = request.write(&mut self.names, &mut written, &mut self.write) {
            // A NUL in the text, or 1 GiB: take back what was begun.
            self.write.truncate(start);
            if let Some(written) = written {
                self.names.take_back(&written.parses, &written.closes);
            }
            return Err(Error::new(Kind::Limit, error.to_string()));
        }
        let slot = self.spare.pop().filter(Slot::is_left);
        let slot = slot.unwrap_or_else(|| self.slots.add());
        self.open.push(Member {
            slot: Arc::clone(&slot),
            written,
            form: Form::of(request),
            steps: request.steps(),
        });
        self.waiting += 1;
        self.held += 1;
        // Not what has a transaction to itself: it need not be over when it is answered.
        self.telling |= shared || matches!(request, Request::Sync);
        let turns = matches!(request, Request::Control { .. }) || sharing == Sharing::Opening;
        self.turn += u64::from(turns);
        if !shared || self.open.len() >= GROUP_MAX {
            self.finish_group(request);
        }
        if !shared || self.may_go() {
            self.flush();
        }
        Ok(slot)
    }

    /// Whether held requests may go: not too many others are under way, and there is a whole group,
    /// or nobody else to wait for.
    fn may_go(&self) -> bool {
        self.groups_written < self.groups_max
            && (self.groups_buffered > 0 || self.open.len() >= self.gathering)
    }

    fn finish_group(&mut self, request: &Request<'_>) {
        if let Request::Simple { .. } | Request::Control { .. } | Request::Copy { .. } = request {
            // Query is answered by ReadyForQuery of its own; the Sync of a COPY stands at its end.
            self.mark_group();
            if let Request::Copy { link, .. } = request {
                self.begin_copy(link);
            }
        } else {
            self.close_group();
        }
    }

    /// Ends the open group with a Sync.
    fn close_group(&mut self) {
        if !self.open.is_empty() {
            self.write.put_slice(SYNC);
            self.mark_group();
        }
    }

    fn mark_group(&mut self) {
        let next = std::mem::take(&mut self.empty);
        self.groups
            .push_back(std::mem::replace(&mut self.open, next));
        self.groups_buffered += 1;
        self.names.next_group();
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
        self.unanswered += std::mem::take(&mut self.held);
        self.released = self.write.len();
        self.returning = 0;
        if self.groups_written >= self.groups_max {
            self.gathering = 0;
        }
        if std::mem::take(&mut self.telling) && self.timed.is_none() {
            self.timed = Some((Instant::now(), self.groups_written));
        }
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

    /// For the driver: lets held requests go once they may.
    ///
    /// # Errors
    /// When the socket is broken.
    pub(crate) fn flush_if_idle(&mut self) -> io::Result<()> {
        if self.held > 0 && self.may_go() {
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

    /// The oldest group that was written, for the driver to read the answers of, in exchange for the
    /// one before it, which is empty by now.
    pub(crate) fn take_group(&mut self, group: &mut Group) {
        if self.groups.len() <= self.groups_buffered {
            return;
        }
        if let Some(oldest) = self.groups.pop_front() {
            self.waiting -= oldest.len();
            self.empty = std::mem::replace(group, oldest);
        }
    }

    /// The answer to a group of so many requests is complete; `filled` are the slots of groups before
    /// it, whose callers have had time to leave them.
    pub(crate) fn group_answered(&mut self, requests: usize, filled: &mut Vec<Arc<Slot>>) {
        self.groups_written = self.groups_written.saturating_sub(1);
        self.unanswered = self.unanswered.saturating_sub(requests);
        if let Some((written, answers)) = &mut self.timed {
            *answers -= 1;
            if *answers == 0 {
                self.overlap.answered(written.elapsed());
                self.groups_max = self.overlap.groups_max();
                self.timed = None;
            }
        }
        self.spare.append(filled);
        self.spare.truncate(SPARE_MAX);
    }

    /// For the driver, which is about to wake the callers of an answered group, `callers` of them:
    /// holds what waits until they are back or the driver has yielded once, and says whether to
    /// yield. Otherwise the first to come back would go alone, all others would wait for its answer,
    /// and so on for as long as the load lasts: two groups by turns, each a round trip late. Where
    /// several groups may be under way, each takes its share.
    pub(crate) fn gather(&mut self, callers: usize) -> bool {
        self.returning += callers;
        if self.groups_written < self.groups_max {
            let together = self.returning + self.open.len();
            let share = (self.unanswered + together).div_ceil(self.groups_max);
            self.gathering = if together > 1 { together.min(share) } else { 0 };
        }
        self.gathering > 0
    }

    /// The time that a request is on the way, there and back; `None` while nobody knows it.
    pub(crate) fn way(&self) -> Option<Duration> {
        self.overlap.way()
    }

    /// For the driver: it has yielded, whoever is not back is late.
    pub(crate) fn stop_gathering(&mut self) {
        self.gathering = 0;
        self.returning = 0;
    }

    /// All members left, with whether each was sent; for the end of the connection.
    pub(crate) fn drain(&mut self) -> Vec<(Arc<Slot>, bool)> {
        let sent = self.groups.len() - self.groups_buffered;
        let open = std::mem::take(&mut self.open);
        let groups = self.groups.drain(..).chain([open]).enumerate();
        self.waiting = 0;
        groups
            .flat_map(|(index, group)| {
                let slots = group.into_iter().map(|member| member.slot);
                slots.map(move |slot| (slot, index < sent))
            })
            .collect()
    }

    /// Has the driver end the connection; the first reason stays.
    pub(crate) fn close(&mut self, reason: Reason) {
        self.closing.get_or_insert(reason);
        self.wake_driver();
    }

    pub(crate) fn wake_driver(&mut self) {
        if let Some(driver) = self.driver.take() {
            driver.wake();
        }
    }
}

impl Form {
    fn of(request: &Request<'_>) -> Self {
        match request {
            Request::Execute(_)
            | Request::Sync
            | Request::Copy { .. }
            | Request::Portal { bound: Some(_), .. }
            | Request::ClosePortal { .. } => Self::Extended,
            Request::Portal { bound: None, .. } => Self::Fetch,
            Request::Describe { .. } => Self::Describe,
            Request::Simple { .. } | Request::Control { .. } => Self::Simple,
        }
    }
}
