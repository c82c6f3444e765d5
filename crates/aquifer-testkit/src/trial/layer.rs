use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::sleep;

/// How many cells are read and written all the time.
pub const CELLS: u32 = 16;

/// How many cells there are besides that are read all the time and written now and then: whoever has
/// missed a write of one of them is not told of the next one before that is found out. Those above are for
/// herds.
pub(super) const CALM: u32 = 64;

/// A cache in front of the table `cells (id int, version bigint)`, as a process of a trial calls it.
pub trait Cached: Clone + Send + Sync + 'static {
    /// The version of a cell by the cache, which asks the database as `loading` says.
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

    /// Does `update cells set version = version + 1 where id = $1 returning version`, and then changes the
    /// cache.
    ///
    /// # Errors
    /// What went wrong, in one line; the database may have been written to, and the cache not.
    ///
    /// # Cancel safety
    /// As with an error.
    fn write(&self, cell: u32, way: Way) -> impl Future<Output = Result<i64, String>> + Send;

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
}

/// How slowly a value is loaded. Dropping it unused is not to load.
#[derive(Clone, Debug, Default)]
pub struct Loading {
    /// Before the database is asked.
    pub(super) before: Duration,
    /// Between the answer of the database and the cache.
    pub(super) after: Duration,
    pub(super) loads: Arc<AtomicU64>,
}

impl Way {
    /// Each cell has its own.
    #[must_use]
    pub fn of(cell: u32) -> Self {
        match cell % 4 {
            0 | 1 => Self::Delete,
            2 => Self::Set,
            _ => Self::Invalidate,
        }
    }
}

impl Loading {
    /// Asks the database by `ask`.
    ///
    /// # Cancel safety
    /// As `ask`.
    pub async fn around<T>(self, ask: impl Future<Output = T>) -> T {
        self.loads.fetch_add(1, Ordering::Relaxed);
        rest(self.before).await;
        let answer = ask.await;
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
