use std::sync::Arc;

use super::board::{Cell, Counted};
use super::{Board, Mark, Noted, Stamp};

/// The right to keep one value that is read from the database from here on. Not `Clone`: a value that
/// is read again needs stamps that were read before that.
#[derive(Debug)]
#[must_use = "a value that was read without a ticket can't be kept"]
pub struct Ticket {
    proof: Proof,
    position: Option<u64>,
}

/// By what a value that is kept is known to be good.
#[derive(Debug)]
pub struct Proof {
    link: u64,
    /// A few, and each hit looks at all of them: side by side.
    parts: Box<[Part]>,
}

#[derive(Debug)]
struct Part {
    cell: Arc<Cell>,
    count: u64,
    mark: Mark,
}

impl Ticket {
    pub(super) fn new(link: u64, cells: Vec<Counted>, stamps: &[Stamp]) -> Self {
        let part = |((cell, count), stamp): (Counted, &Stamp)| Part {
            cell,
            count,
            mark: stamp.mark(),
        };
        let parts = cells.into_iter().zip(stamps).map(part).collect();
        let position = stamps.iter().try_fold(0, |most: u64, stamp| {
            stamp.position().map(|position| most.max(position))
        });
        Self {
            proof: Proof { link, parts },
            position,
        }
    }

    /// The marks to keep with the value where other processes find it, in the order of the tags.
    pub fn marks(&self) -> impl ExactSizeIterator<Item = Mark> + '_ {
        self.proof.marks()
    }

    /// How far a replica must have come in the write-ahead log for the value to be read from it. None if
    /// the value must be read from the primary.
    #[must_use]
    pub fn position(&self) -> Option<u64> {
        self.position
    }

    /// Whether nothing was heard of a change since. After one, nobody takes for good what was read under
    /// it.
    #[must_use]
    pub fn is_unchanged(&self) -> bool {
        self.proof.is_unchanged()
    }

    /// What the value that was read under this ticket is kept with in this process.
    #[must_use]
    pub fn proof(self) -> Proof {
        self.proof
    }
}

impl Proof {
    /// Whether the value is good without asking anyone: no announcement concerned it, and none can have
    /// been lost.
    #[must_use]
    pub fn holds(&self, board: &Board) -> bool {
        let link = board.link();
        link % 2 == 1 && link == self.link && self.is_unchanged()
    }

    /// Whether no change was heard of since; some may not have been heard of.
    #[must_use]
    #[inline]
    pub fn is_unchanged(&self) -> bool {
        let mut parts = self.parts.iter();
        parts.all(|part| part.cell.count() == part.count)
    }

    /// The marks that the value was read under, in the order of the tags.
    pub fn marks(&self) -> impl ExactSizeIterator<Item = Mark> + '_ {
        self.parts.iter().map(|part| part.mark)
    }

    /// Notes the same tags again, to find out whether the stamps still hold.
    pub fn note(&self, board: &Board) -> Noted {
        board.note_cells(self.parts.iter().map(|part| &part.cell))
    }

    /// The value goes on if its marks are those that were read now; else the ticket comes back, with
    /// which the value can be read anew.
    ///
    /// # Errors
    /// The ticket, where the value is not good any more.
    pub fn renewed(&self, now: Ticket) -> Result<Self, Ticket> {
        let was = self.parts.iter().map(|part| (&part.cell, part.mark));
        let is = now.proof.parts.iter().map(|part| (&part.cell, part.mark));
        let same = was.len() == is.len()
            && was
                .zip(is)
                .all(|(was, is)| Arc::ptr_eq(was.0, is.0) && was.1 == is.1);
        if same { Ok(now.proof) } else { Err(now) }
    }
}
