//! A statement on its way: its text, its parameters, and where the call stands in the source.

mod batch;
mod changed;
mod name;
mod sql;

use std::any::Any;
use std::panic::Location;

use aquifer_wire::types::Params;

pub use self::batch::Batch;
pub(crate) use self::batch::Prepared;
pub(crate) use self::changed::{Changed, ChangedTable, Text, text_of, value_text};
pub(crate) use self::name::Name;
pub use self::name::TableName;
pub use self::sql::{AssertSafe, RawSql, Sql, SqlText, count_placeholders};
use crate::{Error, ErrorKind};

#[expect(unnameable_types, reason = "part of the sealed half of `Session`")]
/// One call on its way: the statement, its parameters and where it was made.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    pub(crate) sql: &'a str,
    pub(crate) params: &'a (dyn Params + Sync),
    pub(crate) location: &'static Location<'static>,
}

impl<'a> Call<'a> {
    /// Takes the parameters of the call, or those that the text brings along.
    #[inline]
    pub(crate) fn new(
        sql: &'a Sql,
        params: &'a (impl Params + Send + Sync),
        location: &'static Location<'static>,
    ) -> Result<Self, Error> {
        let params: &(dyn Params + Sync) = match sql.params() {
            None => params,
            Some(own) if params.count() == 0 => own,
            Some(_) => {
                return Err(Error::new(
                    ErrorKind::Usage,
                    "the statement brings its own parameters (raw!), so that of the call must be ()",
                ));
            }
        };
        aquifer_wire::check_count(params)?;
        let sql = sql.text();
        Ok(Self {
            sql,
            params,
            location,
        })
    }
}

impl<'a> Call<'a> {
    /// A statement that was built, whose parameters were counted then.
    pub(crate) fn built(
        sql: &'a str,
        params: &'a (dyn Params + Sync),
        location: &'static Location<'static>,
    ) -> Self {
        Self {
            sql,
            params,
            location,
        }
    }
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

/// A query whose result may be kept, as far as whoever runs it must know it.
#[expect(unnameable_types, reason = "part of the sealed half of `Session`")]
pub trait Keepable: Any + Send + Sync {
    /// Its call.
    fn call(&self, location: &'static Location<'static>) -> Call<'_>;
}
