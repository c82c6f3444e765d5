use std::fmt;

use aquifer_wire::types::Params;

use super::sql::{Sql, SqlText};
use crate::{Error, ErrorKind};

/// Statements that travel together: one round trip, one transaction.
///
/// No statement may depend on another's result, nor on a table or setting that another makes, since
/// all are described before the first is run; for that use a transaction.
#[derive(Default)]
pub struct Batch<'a> {
    list: Vec<(Sql, Values<'a>)>,
}

type Values<'a> = Box<dyn Params + Send + Sync + 'a>;

/// One statement of a batch, as the connection takes it.
pub(crate) type Prepared<'b> = (&'b str, &'b (dyn Params + Sync));

impl<'a> Batch<'a> {
    /// No statements yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One more statement.
    #[must_use]
    pub fn add(mut self, sql: impl SqlText, params: impl Params + Send + Sync + 'a) -> Self {
        self.list.push((sql.into_sql(), Box::new(params)));
        self
    }

    /// How many statements there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is no statement.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The texts, for an event or an error.
    pub(crate) fn text(&self) -> String {
        let texts: Vec<_> = self.list.iter().map(|(sql, _)| sql.text()).collect();
        texts.join("; ")
    }

    /// The statements with their parameters.
    pub(crate) fn statements(&self) -> Result<Vec<Prepared<'_>>, Error> {
        self.list
            .iter()
            .map(|(sql, values)| prepared(sql, values.as_ref()))
            .collect()
    }
}

fn prepared<'b>(
    sql: &'b Sql,
    values: &'b (dyn Params + Send + Sync),
) -> Result<Prepared<'b>, Error> {
    match sql.params() {
        None => Ok((sql.text(), values as &(dyn Params + Sync))),
        Some(own) if values.count() == 0 => Ok((sql.text(), own)),
        Some(_) => Err(Error::new(
            ErrorKind::Usage,
            "a statement of the batch brings its own parameters (raw!), so its others must be ()",
        )),
    }
}

impl fmt::Debug for Batch<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_list()
            .entries(self.list.iter().map(|(sql, _)| sql.text()))
            .finish()
    }
}
