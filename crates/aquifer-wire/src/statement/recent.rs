//! What each thread has looked up of late in catalogs, so that it need not take their lock for it.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Statement;

/// A power of two.
const PLACES: usize = 64;
/// Longer texts are looked up in the catalog: comparing them costs as much, and this keeps its
/// statements until others take their place.
const TEXT_MAX: usize = 4096;

thread_local! {
    static RECENT: RefCell<[Option<Found>; PLACES]> = const { RefCell::new([const { None }; PLACES]) };
}

struct Found {
    edition: u64,
    statement: Arc<Statement>,
}

/// The number of a catalog's contents; it changes with everything that is taken out of the catalog,
/// and no other catalog ever has it.
#[derive(Debug)]
pub(super) struct Edition(AtomicU64);

impl Edition {
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(next()))
    }

    /// Under the catalog's lock.
    pub(super) fn change(&self) {
        self.0.store(next(), Ordering::Release);
    }

    pub(super) fn number(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

fn next() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The statement of that text, if this thread found it in this edition.
#[inline]
pub(super) fn find(edition: u64, sql: &str) -> Option<Arc<Statement>> {
    let find = |recent: &RefCell<[Option<Found>; PLACES]>| {
        let recent = recent.try_borrow().ok()?;
        let found = recent.get(place(sql))?.as_ref()?;
        let is_it = found.edition == edition && *found.statement.sql == *sql;
        is_it.then(|| Arc::clone(&found.statement))
    };
    RECENT.try_with(find).ok().flatten()
}

/// Remembers what was found, in place of what stood there.
pub(super) fn remember(edition: u64, sql: &str, statement: &Arc<Statement>) {
    if sql.len() > TEXT_MAX {
        return;
    }
    let found = Found {
        edition,
        statement: Arc::clone(statement),
    };
    let remember = |recent: &RefCell<[Option<Found>; PLACES]>| {
        let mut recent = recent.try_borrow_mut().ok()?;
        recent.get_mut(place(sql))?.replace(found)
    };
    // Dropped here, where nothing is borrowed. A thread that ends remembers nothing.
    drop(RECENT.try_with(remember));
}

/// By where the text stands: nearly always it is a constant. The same text elsewhere, or another one
/// in the same place, only costs a look into the catalog.
fn place(sql: &str) -> usize {
    let address = sql.as_ptr() as usize;
    (address ^ address >> 6 ^ sql.len()) % PLACES
}
