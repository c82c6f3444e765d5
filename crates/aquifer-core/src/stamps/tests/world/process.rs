//! A process of the small world, and how it is told of changes.

use std::collections::VecDeque;

use super::super::super::{Board, Proof};
use super::super::TAG;
use super::super::rules::LeftOut;

#[derive(Clone, Copy)]
pub(super) enum Push {
    Changed,
    Flushed,
}

/// Whether announcements reach a process.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    Tracking,
    /// They are lost, and the process does not know it yet.
    Cut,
    /// It knows.
    Down,
    /// It has connected again, and is a step from being told of changes (or from believing so).
    Coming,
}

pub(super) struct Process {
    pub(super) board: Board,
    pub(super) local: Option<(u64, Proof)>,
    pub(super) inbox: VecDeque<Push>,
    pub(super) wire: Wire,
    /// The last of its own writes that a caller was told of.
    pub(super) told: u64,
}

impl Process {
    pub(super) fn new() -> Self {
        let board = Board::new();
        board.link_made();
        Self {
            board,
            local: None,
            inbox: VecDeque::new(),
            wire: Wire::Tracking,
            told: 0,
        }
    }

    pub(super) fn announce(&mut self, push: Push) {
        if self.wire == Wire::Tracking {
            self.inbox.push_back(push);
        }
    }

    pub(super) fn hear(&mut self, push: Push) {
        match push {
            Push::Changed => self.board.announced(TAG),
            Push::Flushed => self.board.all_changed(),
        }
    }

    /// The next state of its link.
    pub(super) fn turn_wire(&mut self, left_out: LeftOut) {
        self.wire = match self.wire {
            Wire::Tracking => {
                self.inbox.clear();
                Wire::Cut
            }
            Wire::Cut => {
                if left_out != LeftOut::DoubtWhenTheLinkIsLost {
                    self.board.link_lost();
                }
                if left_out == LeftOut::DoubtUntilTheLinkIsMade {
                    self.board.link_made();
                }
                Wire::Down
            }
            Wire::Down => {
                if left_out == LeftOut::TrackingBeforeTheLinkIsMade {
                    self.board.link_made();
                }
                Wire::Coming
            }
            Wire::Coming => {
                self.board.link_made();
                Wire::Tracking
            }
        };
    }
}
