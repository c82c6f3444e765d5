//! A statement on its way: its text, its parameters, and where the call stands in the source.

mod batch;
mod name;
mod sql;

use std::panic::Location;

use aquifer_wire::types::Params;

pub use self::batch::Batch;
pub(crate) use self::batch::Prepared;
pub(crate) use self::name::Name;
pub use self::name::TableName;
pub use self::sql::{AssertSafe, RawSql, Sql, SqlText, count_placeholders};

#[expect(unnameable_types, reason = "part of the sealed half of `Session`")]
/// One call on its way: the statement, its parameters and where it was made.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    pub(crate) sql: &'a str,
    pub(crate) params: &'a (dyn Params + Sync),
    pub(crate) location: &'static Location<'static>,
}

impl std::fmt::Debug for Call<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Values stay out.
        formatter
            .debug_struct("Call")
            .field("sql", &self.sql)
            .finish_non_exhaustive()
    }
}
