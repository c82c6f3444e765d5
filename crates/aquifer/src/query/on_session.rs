//! How a query is begun on what is below this module; [`Db`](crate::Db) has the same of its own.

use super::attached::Attached;
use super::builder::QueryBuilder;
use super::input::IntoSource;
use crate::dedicated::Dedicated;
use crate::transaction::Transaction;

macro_rules! begin {
    ($($session:ty),+) => {$(
        impl $session {
            /// A query of that table, as on [`Db`](crate::Db::from).
            pub fn from(&self, source: impl IntoSource) -> QueryBuilder<Attached<'_>> {
                QueryBuilder::of(self, source)
            }

            /// A query, as on [`Db`](crate::Db::query_builder).
            pub fn query_builder(&self) -> QueryBuilder<Attached<'_>> {
                QueryBuilder::new(self)
            }
        }
    )+};
}

begin!(Transaction, Dedicated);
