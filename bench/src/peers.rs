//! One file per peer. A new peer is a file here and a line in [`all`].

mod aquifer_wire;
mod nothing;
mod tokio_postgres;

pub use nothing::NOTHING;
pub use tokio_postgres::{BARE, EXCLUSIVE};

use crate::Entry;

/// Every contender for the wire, in the order of the tables.
#[must_use]
pub fn all() -> Vec<Entry> {
    [tokio_postgres::ENTRIES, aquifer_wire::ENTRIES].concat()
}
