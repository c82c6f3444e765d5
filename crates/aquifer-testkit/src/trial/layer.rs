use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};
use tokio::time::sleep;

/// How many cells are read and written all the time.
pub const CELLS: u32 = 16;

/// How many cells there are besides that are read all the time and written now and then: whoever has
/// missed a write of one of them is not told of the next one before that is found out.
pub(super) const CALM: u32 = 64;

/// Lists there are besides, written now and then as well.
pub(super) const LISTS: u32 = 16;

/// How many cells a list has.
const LISTED: u32 = 4;

/// How many cells there are of all kinds; those above are for herds.
pub(super) const ALL_CELLS: u32 = CELLS + CALM + LISTS * LISTED;

/// A cache in front of the table `cells (id int, version bigint)` and the tables of all [`List`]s, as a process
/// of a trial calls it.
pub trait Cached: Clone + Send + Sync + 'static {
    /// The version of a cell by the cache, which asks the database as `loading` says; of a cell of a list by
    /// a result that is kept.
    ///
    /// # Errors
    /// What went wrong, in one line; it is counted.
    ///
    /// # Cancel safety
    /// A load may go on.
    fn read(&self, cell: u32, loading: Loading)
    -> impl Future<Output = Result<i64, String>> + Send;

    /// The version of a cell that is in the cache.
    ///
    /// # Errors
    /// What went wrong, in one line; it is counted.
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    fn peek(&self, cell: u32) -> impl Future<Output = Result<Option<i64>, String>> + Send;

    /// All cells of a list with their versions, by one query whose result is kept.
    ///
    /// # Errors
    /// What went wrong, in one line; it is counted.
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    fn list(&self, list: List) -> impl Future<Output = Result<Versions, String>> + Send;

    /// Does `update cells set version = version + 1 where id = $1 returning version`, reaches the
    /// failpoint, and then changes the cache; or the same with a cell of a list, in any form, where the cache
    /// finds out by itself.
    ///
    /// # Errors
    /// What went wrong, in one line; the database may have been written to, and the cache not.
    ///
    /// # Cancel safety
    /// As with an error.
    fn write(
        &self,
        cell: u32,
        way: Way,
        committed: Failpoint,
    ) -> impl Future<Output = Result<i64, String>> + Send;

    /// Makes a version negative in a transaction, reads the cell by the cache within it, and takes it
    /// back.
    ///
    /// # Errors
    /// What went wrong, in one line.
    ///
    /// # Cancel safety
    /// It is taken back.
    fn take_back(&self, cell: u32) -> impl Future<Output = Result<(), String>> + Send;

    /// Whether there are changes that others can't know of yet, as it says itself.
    fn owes(&self) -> bool;
}

/// Cells, each with its version.
pub type Versions = Vec<(u32, i64)>;

/// How the cache is changed after a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Way {
    /// Its value is removed.
    Delete,
    /// The tag of the cell is invalidated.
    Invalidate,
    /// The new value takes the place of the old one. Only one task of one process does so with a cell.
    Set,
    /// By the write itself: the cell is one of a list.
    Query,
}

/// Four cells in a table of their own, of the same columns as `cells`: `listed_0` has the first four.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct List(u32);

impl List {
    pub(super) fn all() -> impl Iterator<Item = Self> {
        (0..LISTS).map(Self)
    }

    /// The list that a cell belongs to; none for cells of `cells`.
    #[must_use]
    pub fn of(cell: u32) -> Option<Self> {
        let place = cell.checked_sub(CELLS + CALM)?;
        (cell < ALL_CELLS).then_some(Self(place / LISTED))
    }

    /// The name of its table.
    #[must_use]
    pub fn table(self) -> String {
        format!("listed_{}", self.0)
    }

    /// The cells, which are the values of the column `id` too.
    #[must_use]
    pub fn cells(self) -> Range<u32> {
        let first = CELLS + CALM + self.0 * LISTED;
        first..first + LISTED
    }
}

/// A place at which a process ends at once, as by `kill -9`, if it was told to.
#[derive(Clone, Debug, Default)]
pub struct Failpoint(Arc<AtomicBool>);

impl Failpoint {
    pub(super) fn arm(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whoever calls it is there.
    pub fn reach(&self) {
        if self.0.load(Ordering::Relaxed) {
            let _unstoppable = kill_process(getpid(), Signal::KILL);
        }
    }
}

/// How slowly a value is loaded. Dropping it unused is not to load.
#[derive(Clone, Debug, Default)]
pub struct Loading {
    /// Before the database is asked.
    pub(super) before: Duration,
    /// Between the answer of the database and the cache.
    pub(super) after: Duration,
    /// Every write must be seen that was acknowledged before.
    pub(super) fresh: bool,
    pub(super) loaded: Failpoint,
    pub(super) loads: Arc<AtomicU64>,
}

impl Way {
    /// Each cell has its own.
    #[must_use]
    pub fn of(cell: u32) -> Self {
        match cell % 4 {
            _ if List::of(cell).is_some() => Self::Query,
            0 | 1 => Self::Delete,
            2 => Self::Set,
            _ => Self::Invalidate,
        }
    }
}

impl Loading {
    /// Whether every write must be seen that was acknowledged anywhere before the call.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// Asks the database by `ask`.
    ///
    /// # Cancel safety
    /// As `ask`.
    pub async fn around<T>(self, ask: impl Future<Output = T>) -> T {
        self.loads.fetch_add(1, Ordering::Relaxed);
        rest(self.before).await;
        let answer = ask.await;
        self.loaded.reach();
        rest(self.after).await;
        answer
    }
}

/// Not at all if there is no time, which costs less than the shortest sleep.
async fn rest(time: Duration) {
    if time > Duration::ZERO {
        sleep(time).await;
    }
}
