//! What each message means for the requests that wait: the order in which a server may answer.

use std::sync::atomic::Ordering;

use bytes::{Buf, Bytes};

use super::Driver;
use crate::DatabaseError;
use crate::ended::Reason;
use crate::event::{Event, Notification};
use crate::frame::{self, HEADER, tag};
use crate::queue::{Form, Member};
use crate::reply;
use crate::slot::Outcome;

/// A member's answer, which waits for its group's end.
#[derive(Debug)]
pub(super) struct Answered {
    progress: Progress,
    /// `None` when the server passed over it.
    frames: Option<Bytes>,
}

/// How far the answer to the current member is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    steps: usize,
    parsed: usize,
    described: usize,
    closed: usize,
    bound: bool,
    failed: bool,
}

impl Progress {
    /// Whether a statement that has one step is at its end, be it a bad one.
    pub(super) fn is_over(&self) -> bool {
        self.steps > 0 || self.failed
    }
}

impl Driver {
    /// Looks at every whole message that was read.
    pub(super) fn dispatch(&mut self) -> Result<(), Reason> {
        loop {
            let unseen = self.read.get(self.scanned..).unwrap_or_default();
            let Some((tag, length)) = frame::peek(unseen, self.shared.message_max)? else {
                return Ok(());
            };
            if self.group.is_empty() {
                self.shared.queue().take_group(&mut self.group);
            }
            let start = self.scanned;
            self.scanned += length;
            match tag {
                tag::DATA_ROW | tag::COPY_DATA => self.expect_step()?,
                tag::NOTICE | tag::NOTIFICATION | tag::PARAMETER_STATUS => {
                    self.aside(tag, start)?;
                }
                tag::READY => self.ready(start)?,
                tag::ERROR => self.error(start)?,
                tag::COPY_IN | tag::COPY_OUT | tag::COPY_DONE => self.copy_step(tag, start)?,
                tag::ROW_DESCRIPTION | tag::NO_DATA => {
                    self.described(tag, start);
                    self.step(tag)?;
                }
                _ => self.step(tag)?,
            }
        }
    }

    /// The member that is being answered.
    pub(super) fn current(&self) -> Option<&Member> {
        self.group.get(self.answers.len())
    }

    fn is_last(&self) -> bool {
        self.answers.len() + 1 == self.group.len()
    }

    pub(super) fn expect_step(&self) -> Result<(), &'static str> {
        let member = self.current().ok_or("a row that nobody asked for")?;
        if self.progress.failed {
            return Err("a row after an error");
        }
        let may = self.progress.bound || matches!(member.form, Form::Simple | Form::Fetch);
        may.then_some(())
            .ok_or("a row before its statement was bound")
    }

    /// A message that belongs to one request and moves it on.
    pub(super) fn step(&mut self, tag: u8) -> Result<(), &'static str> {
        let member = self.group.get(self.answers.len());
        let member = member.ok_or("an answer that nobody asked for")?;
        let simple = member.form == Form::Simple;
        let progress = &mut self.progress;
        if progress.failed {
            return Err("an answer after an error");
        }
        match tag {
            tag::PARSE_COMPLETE if progress.parsed < member.parses() => {
                progress.parsed += 1;
                // A COPY is always prepared first.
                self.copying |= member.copy().is_some();
            }
            tag::CLOSE_COMPLETE if progress.closed < member.closes() => {
                progress.closed += 1;
            }
            tag::BIND_COMPLETE if member.form == Form::Extended && !progress.bound => {
                progress.bound = true;
            }
            tag::PARSE_COMPLETE | tag::CLOSE_COMPLETE | tag::BIND_COMPLETE => {
                return Err("more was prepared, bound or closed than was asked for");
            }
            tag::ROW_DESCRIPTION | tag::NO_DATA if member.form == Form::Describe => {
                progress.steps += 1;
            }
            tag::ROW_DESCRIPTION if progress.bound => {
                return Err("columns that are described after the rows began");
            }
            tag::PARAMETER_DESCRIPTION
            | tag::ROW_DESCRIPTION
            | tag::NO_DATA
            | tag::COPY_OUT
            | tag::COPY_DONE => {}
            tag::COMMAND_COMPLETE | tag::EMPTY_QUERY | tag::PORTAL_SUSPENDED => {
                if !simple {
                    if !progress.bound && member.form != Form::Fetch {
                        return Err("a completion before its statement was bound");
                    }
                    progress.bound = false;
                    progress.steps += 1;
                }
            }
            tag::COPY_IN | tag::COPY_BOTH => {
                return Err("COPY FROM STDIN needs the COPY interface");
            }
            _ => return Err("a message of a kind that is not expected here"),
        }
        if progress.steps > member.steps {
            return Err("more answers than statements");
        }
        let complete = !simple && progress.steps == member.steps;
        // The last member keeps collecting: a deferred constraint may still fail at the Sync.
        if complete && !self.is_last() {
            self.finish_member(self.scanned);
        }
        Ok(())
    }

    /// The session says what a statement returns, behind its Parse or for itself: notes whether its
    /// description says so too.
    fn described(&mut self, tag: u8, start: usize) {
        let index = self.answers.len();
        let prepared = self.progress.described..self.progress.parsed;
        self.progress.described = self.progress.parsed;
        let parsed = self
            .group
            .get_mut(index)
            .and_then(|member| member.written.as_mut())
            .and_then(|written| written.parses.get_mut(prepared)?.last_mut());
        let Some(parsed) = parsed else {
            return;
        };
        let body = self.read.get(start + HEADER..self.scanned);
        parsed.fits = match &parsed.columns {
            // The description is made of this answer.
            None => true,
            Some(columns) => reply::fits(tag, body.unwrap_or_default(), columns),
        };
    }

    /// Cuts the current member's answer off, which ends at `end`, and goes on to the next one.
    fn finish_member(&mut self, end: usize) {
        let frames = self.read.split_to(end).freeze();
        self.scanned -= end;
        self.answers.push(Answered {
            progress: std::mem::take(&mut self.progress),
            frames: Some(frames),
        });
    }

    fn error(&mut self, start: usize) -> Result<(), Reason> {
        let body = self
            .read
            .get(start + HEADER..self.scanned)
            .unwrap_or_default();
        let said = DatabaseError::from_fields(frame::error_fields(body));
        if said.is_fatal() {
            // Nothing follows, and the server need not be quick to close.
            self.last_words = Some(said);
            return Err(Reason::Eof);
        }
        self.current().ok_or("an error that nobody asked for")?;
        self.progress.failed = true;
        if self.current().and_then(Member::copy).is_some() {
            self.copy_failed();
        } else if !self.is_last() {
            self.finish_member(self.scanned);
            // The server passes over everything up to the Sync.
            self.answers.resize_with(self.group.len(), || Answered {
                progress: Progress::default(),
                frames: None,
            });
        }
        Ok(())
    }

    /// The end of a group: only now are its answers handed out.
    fn ready(&mut self, start: usize) -> Result<(), &'static str> {
        let status = self
            .read
            .get(start + HEADER)
            .copied()
            .filter(|status| matches!(status, b'I' | b'T' | b'E'))
            .ok_or("a ReadyForQuery without the state of the transaction")?;
        if self.group.is_empty() {
            return Err("a ReadyForQuery that nobody asked for");
        }
        self.finish_last(start)?;
        let end = self.scanned;
        self.read.advance(end);
        self.scanned = 0;
        self.shared.status.store(status, Ordering::Release);
        // The session lives on, whatever was said.
        self.last_words = None;
        {
            let mut queue = self.shared.queue();
            queue.group_answered(self.group.len(), &mut self.filled);
            for (member, Answered { progress, .. }) in self.group.iter().zip(&self.answers) {
                let Some(written) = &member.written else {
                    continue;
                };
                let (parsed, parses) = written
                    .parses
                    .split_at_checked(progress.parsed)
                    .unwrap_or_default();
                parsed.iter().for_each(|parsed| queue.names.settle(parsed));
                let closes = written.closes.get(progress.closed..).unwrap_or_default();
                if !parses.is_empty() || !closes.is_empty() {
                    queue.names.take_back(parses, closes);
                }
            }
            self.yielding = queue.gather(self.group.len());
            // What the socket does not take now, or an error, is seen before the driver parks.
            drop(queue.flush_if_idle());
        }
        self.shared
            .answered
            .fetch_add(self.group.len(), Ordering::Release);
        let answers = self.answers.drain(..).map(|answered| answered.frames);
        for (member, frames) in self.group.drain(..).zip(answers) {
            member
                .slot
                .fill(frames.map_or(Outcome::Skipped, Outcome::Answered));
            self.filled.push(member.slot);
        }
        Ok(())
    }

    /// Ends the answer of the group's last member, which reaches up to `ReadyForQuery`.
    fn finish_last(&mut self, ready_at: usize) -> Result<(), &'static str> {
        let Some(member) = self.current() else {
            return Ok(());
        };
        if !self.is_last() {
            return Err("a ReadyForQuery before all statements were answered");
        }
        let progress = self.progress;
        let complete = progress.steps == member.steps && !progress.bound;
        if !(complete || progress.failed || member.form == Form::Simple) {
            return Err("a ReadyForQuery before the statement was answered");
        }
        self.finish_member(ready_at);
        if complete && progress.failed && self.group.len() > 1 {
            // The shared transaction failed at its very end: nobody's answer counts.
            for answered in &mut self.answers {
                answered.frames = None;
            }
        }
        Ok(())
    }

    /// Notices, notifications and parameter changes: they may come at any time.
    fn aside(&mut self, tag: u8, start: usize) -> Result<(), &'static str> {
        let body = self
            .read
            .get(start + HEADER..self.scanned)
            .unwrap_or_default();
        match tag {
            tag::NOTICE => {
                let notice = DatabaseError::from_fields(frame::error_fields(body));
                // A crash of another session is told by a warning, and then by the end.
                if notice.code().class() == "57" {
                    self.last_words = Some(notice.clone());
                }
                self.shared.tell(Event::Notice(notice));
            }
            tag::NOTIFICATION => {
                let notification = Notification::read(body).ok_or("a malformed notification")?;
                self.shared.tell(Event::Notification(notification));
            }
            _ => {
                let mut body = frame::Body(body);
                let pair = (body.cstr().ok(), body.cstr().ok());
                let (Some(name), Some(value)) = pair else {
                    return Err("a malformed ParameterStatus");
                };
                let text = String::from_utf8_lossy;
                self.shared.set_parameter(&text(name), &text(value));
            }
        }
        if self.group.is_empty() {
            let end = self.scanned;
            self.read.advance(end);
            self.scanned = 0;
        }
        Ok(())
    }
}
