use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Stamp, Ticket};

/// Which tags have changed, as far as this process was told.
///
/// Tags come as 64-bit hashes. Two that share one only make each other's values ask again.
#[derive(Debug)]
pub struct Board {
    /// Odd while announcements come. Raised when they cease and when they come again.
    link: AtomicU64,
    shards: [Mutex<Shard>; SHARDS],
}

/// Announcements and fills of different tags seldom meet at a lock; hits take none.
const SHARDS: usize = 16;

#[derive(Debug, Default)]
struct Shard {
    cells: HashMap<u64, Arc<Cell>, BuildHasherDefault<Hashed>>,
    /// At how many cells those are looked for that no value depends on any more.
    sweep_at: usize,
}

/// How often a tag was said to have changed, and how often by this process.
#[derive(Debug, Default)]
pub(super) struct Cell {
    all: AtomicU64,
    own: AtomicU64,
}

impl Cell {
    pub(super) fn count(&self) -> u64 {
        // Pairs with `raise`: who sees the count sees the commit that came before it.
        self.all.load(Ordering::Acquire)
    }

    fn own(&self) -> u64 {
        self.own.load(Ordering::Acquire)
    }

    fn raise(&self) {
        self.all.fetch_add(1, Ordering::AcqRel);
    }
}

/// What the board said of some tags before their stamps were read.
#[derive(Debug)]
#[must_use = "it is the beginning of a fill"]
pub struct Noted {
    link: u64,
    cells: Vec<Counted>,
    /// What the cells counted of this process's own changes, together: no count ever falls.
    own: u64,
}

/// A cell, and what it counted.
pub(super) type Counted = (Arc<Cell>, u64);

impl Board {
    /// A board whose link is not made yet: nothing holds until [`link_made`](Self::link_made).
    #[must_use]
    pub fn new() -> Self {
        Self {
            link: AtomicU64::new(0),
            shards: std::array::from_fn(|_| Mutex::default()),
        }
    }

    /// Notes what is known of these tags, before their stamps are read.
    pub fn note(&self, tags: impl IntoIterator<Item = u64>) -> Noted {
        // The link first: if it is lost from here on, the link noted is one of the past.
        let link = self.link();
        let counted = |tag| counted(self.shard(tag).cell(tag));
        Noted::new(link, tags.into_iter().map(counted).collect())
    }

    pub(super) fn note_cells<'a>(&self, cells: impl Iterator<Item = &'a Arc<Cell>>) -> Noted {
        let link = self.link();
        Noted::new(link, cells.map(Arc::clone).map(counted).collect())
    }

    /// This process has changed a tag's stamp, or is about to: what depends on it must ask.
    pub fn changed(&self, tag: u64) {
        // A tag without a cell has no value that depends on it, and no fill under way.
        if let Some(cell) = self.shard(tag).cells.get(&tag) {
            cell.own.fetch_add(1, Ordering::AcqRel);
            cell.raise();
        }
    }

    /// A tag's stamp was announced to have changed, by whomever: what depends on it must ask.
    ///
    /// Of a change of this process it is the echo, which comes at any time after [`changed`](Self::changed).
    pub fn announced(&self, tag: u64) {
        if let Some(cell) = self.shard(tag).cells.get(&tag) {
            cell.raise();
        }
    }

    /// Any tag may have changed: as when all keys were flushed.
    pub fn all_changed(&self) {
        self.link.fetch_add(2, Ordering::AcqRel);
    }

    /// Announcements may not come, or may have been lost: nothing holds until they come again.
    pub fn link_lost(&self) {
        self.turn(1);
    }

    /// Announcements of all that changes from here on will come.
    pub fn link_made(&self) {
        self.turn(0);
    }

    /// Whether announcements come.
    #[must_use]
    pub fn is_linked(&self) -> bool {
        self.link() % 2 == 1
    }

    /// How many tags values depend on, or lately did.
    #[must_use]
    pub fn tags(&self) -> usize {
        self.shards
            .iter()
            .map(|shard| lock(shard).cells.len())
            .sum()
    }

    pub(super) fn link(&self) -> u64 {
        self.link.load(Ordering::Acquire)
    }

    /// Raises the link's count if its remainder is `from`; else it is in the other state already.
    fn turn(&self, from: u64) {
        let turned = |link: u64| (link % 2 == from).then_some(link.wrapping_add(1));
        let _was = self
            .link
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, turned);
    }

    fn shard(&self, tag: u64) -> MutexGuard<'_, Shard> {
        let [first, ..] = &self.shards;
        let index = usize::try_from(tag % SHARDS as u64).unwrap_or(0);
        lock(self.shards.get(index).unwrap_or(first))
    }
}

impl Default for Board {
    fn default() -> Self {
        Self::new()
    }
}

impl Shard {
    fn cell(&mut self, tag: u64) -> Arc<Cell> {
        if let Some(cell) = self.cells.get(&tag) {
            return Arc::clone(cell);
        }
        if self.cells.len() >= self.sweep_at {
            // Who holds a cell's only other reference is a value or a fill; neither can come by one
            // while the shard is locked.
            self.cells.retain(|_, cell| Arc::strong_count(cell) > 1);
            self.sweep_at = (self.cells.len() * 2).max(SWEEP_MIN);
        }
        Arc::clone(self.cells.entry(tag).or_default())
    }
}

/// Below so many cells of a shard none is looked for.
const SWEEP_MIN: usize = 64;

impl Noted {
    fn new(link: u64, cells: Vec<Counted>) -> Self {
        let own = own(&cells);
        Self { link, cells, own }
    }

    /// Whether this process itself has changed none of these tags since.
    #[must_use]
    pub fn is_unchanged_here(&self) -> bool {
        own(&self.cells) == self.own
    }

    /// Whether no change of these tags was told since, as far as announcements come: a read that began
    /// then has missed none of them.
    #[must_use]
    pub fn is_unchanged(&self) -> bool {
        self.cells
            .iter()
            .all(|(cell, count)| cell.count() == *count)
    }

    /// As [`is_unchanged`](Self::is_unchanged), and announcements have come all the time.
    #[must_use]
    pub fn holds(&self, board: &Board) -> bool {
        let link = board.link();
        link % 2 == 1 && link == self.link && self.is_unchanged()
    }

    /// Goes on with the stamps that were read since, one for each tag in the order in which they were
    /// noted; nothing if their number differs.
    #[must_use]
    pub fn with(self, stamps: &[Stamp]) -> Option<Ticket> {
        let Self { link, cells, .. } = self;
        (cells.len() == stamps.len()).then(|| Ticket::new(link, cells, stamps))
    }
}

fn counted(cell: Arc<Cell>) -> Counted {
    let count = cell.count();
    (cell, count)
}

fn own(cells: &[Counted]) -> u64 {
    let counts = cells.iter().map(|(cell, _)| cell.own());
    counts.fold(0, u64::wrapping_add)
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tags are hashes already.
#[derive(Debug, Default)]
struct Hashed(u64);

impl std::hash::Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, tag: u64) {
        // The lowest bits chose the shard; all of a shard share them.
        self.0 = tag.rotate_right(8);
    }
}
