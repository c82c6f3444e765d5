//! One file per peer. A new peer is a file here and a line in [`all`].

#[cfg(feature = "layer")]
mod aquifer;
mod aquifer_wire;
#[cfg(feature = "peers")]
mod bb8;
#[cfg(feature = "peers")]
mod deadpool;
#[cfg(feature = "peers")]
mod diesel_async;
pub mod node;
mod nothing;
#[cfg(feature = "peers")]
mod sea_orm;
#[cfg(feature = "peers")]
mod sqlx;
mod tokio_postgres;
#[cfg(feature = "peers")]
mod xitca_postgres;

#[cfg(feature = "layer")]
pub use self::aquifer::{AQUIFER, BATCH, COPY, INSERT_MANY, LOOKUP};
pub use self::aquifer_wire::TWO_SHARED as WIRE;
#[cfg(feature = "peers")]
pub use self::deadpool::DEADPOOL;
pub use self::nothing::NOTHING;
pub use self::tokio_postgres::{BARE, EXCLUSIVE, RAW_COPY, UNNEST};

use crate::Entry;

/// The contenders for the wire alone, in the order of the tables; with the feature `layer` also what
/// stands above it.
#[must_use]
pub fn of_the_wire() -> Vec<Entry> {
    let raw = tokio_postgres::ENTRIES.iter().copied();
    let wire = raw.chain(aquifer_wire::ENTRIES.iter().copied());
    #[cfg(feature = "layer")]
    let wire = wire
        .chain(aquifer::ENTRIES.iter().copied())
        .chain([aquifer::COUNTED, aquifer::FIND]);
    wire.collect()
}

/// Every contender, in the order of the tables.
#[cfg(feature = "peers")]
#[must_use]
pub fn all() -> Vec<Entry> {
    let wire = aquifer_wire::ENTRIES.iter().copied();
    let wire = wire.filter(|entry| entry.name == WIRE).collect::<Vec<_>>();
    [
        tokio_postgres::ENTRIES,
        deadpool::ENTRIES,
        bb8::ENTRIES,
        sqlx::ENTRIES,
        diesel_async::ENTRIES,
        sea_orm::ENTRIES,
        xitca_postgres::ENTRIES,
        node::ENTRIES,
        &wire,
        aquifer::ENTRIES,
    ]
    .concat()
}
