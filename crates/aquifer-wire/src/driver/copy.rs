//! What the driver does for a COPY besides what it does for every request.

use std::sync::Arc;
use std::task::Poll;

use super::Driver;
use crate::copy::{CopyLink, Direction, Opened};
use crate::frame::{HEADER, tag};

/// Least room for one read of a COPY TO.
const COPY_ROOM: usize = 64 * 1024;

impl Driver {
    /// The beginning of a COPY, or the end of what the server sends.
    pub(super) fn copy_step(&mut self, tag: u8, start: usize) -> Result<(), &'static str> {
        let Some(link) = self.copy_link() else {
            return self.step(tag);
        };
        self.expect_step()?;
        let direction = match tag {
            tag::COPY_IN => Direction::In,
            tag::COPY_OUT => Direction::Out,
            _ => {
                let outward = link
                    .opened()
                    .is_some_and(|opened| opened.direction == Direction::Out);
                return outward
                    .then_some(())
                    .ok_or("the end of a COPY that was not begun");
            }
        };
        let format = self.read.get(start + HEADER).copied();
        let binary = match format.filter(|_| start + HEADER < self.scanned) {
            Some(0) => false,
            Some(1) => true,
            _ => return Err("a COPY in an unknown format"),
        };
        if direction == Direction::Out {
            // Nothing is left to be sent; this has the server end the request behind its data.
            self.shared.queue().end_copy(&link, &[]);
        }
        link.open(Opened { direction, binary })
            .then_some(())
            .ok_or("a COPY that began twice")
    }

    /// The server refused, or broke off: it passes over everything up to the Sync.
    pub(super) fn copy_failed(&mut self) {
        if let Some(link) = self.copy_link() {
            self.shared.queue().end_copy(&link, &[]);
        }
    }

    /// Leaves what was read to the handle; `Pending` while that has enough.
    #[cold]
    pub(super) fn poll_copy(&mut self) -> Poll<()> {
        let Some(link) = self.copy_link() else {
            self.copying = false;
            return Poll::Ready(());
        };
        if self.progress.is_over() {
            // Also of a statement that turned out to be no COPY with the client. What is here goes
            // out with the answer as a whole.
            self.shared.queue().end_copy(&link, &[]);
            return Poll::Ready(());
        }
        let outward = link
            .opened()
            .is_some_and(|opened| opened.direction == Direction::Out);
        if outward && self.scanned > 0 {
            link.push(self.read.split_to(self.scanned).freeze());
            self.scanned = 0;
            self.read.reserve(COPY_ROOM);
        }
        if link.has_room() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// The COPY whose answer is being read.
    pub(super) fn copy_link(&self) -> Option<Arc<CopyLink>> {
        self.current()?.copy().cloned()
    }
}
