use std::fmt;
use std::panic::Location;

use aquifer_core::sql::{Rendered, Statement, Table};
use aquifer_wire::fingerprint;
use aquifer_wire::types::Value;

use super::Select;
use super::keeping::Keeping;
use super::lint::Lint;
use crate::Error;
use crate::statement::{Call, Keepable};

/// A statement that was built: its text, its parameters, and what is known about it.
///
/// Both tiers end here. Its `Debug` shows the text and how many parameters there are, never a value.
pub struct Plan {
    rendered: Rendered<Value>,
    is_select: bool,
    /// How its result is kept, if it is.
    keeping: Option<Box<Keeping>>,
}

impl Plan {
    pub(crate) fn of(statement: impl Into<Statement<Value>>) -> Result<Self, Error> {
        let statement = statement.into();
        let is_select = matches!(statement, Statement::Select(_));
        Ok(Self {
            rendered: statement.render()?,
            is_select,
            keeping: None,
        })
    }

    /// As [`of`](Self::of), of a query, without a pointer between.
    #[inline]
    pub(crate) fn of_select(mut select: Box<Select>) -> Result<Self, Error> {
        Ok(Self {
            rendered: select.render()?,
            is_select: true,
            keeping: None,
        })
    }

    #[inline]
    pub(crate) fn keeping(mut self, keeping: Option<Box<Keeping>>) -> Self {
        self.keeping = keeping;
        self
    }

    #[inline]
    pub(crate) fn kept(&self) -> Option<&Keeping> {
        self.keeping.as_deref()
    }

    pub(crate) fn locks(&self) -> bool {
        self.rendered.locks
    }

    /// The text, with parameters as `$1`.
    #[must_use]
    pub fn sql(&self) -> &str {
        &self.rendered.text
    }

    /// How many parameters it has.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.rendered.values.len()
    }

    /// The parameters, whose `Debug` shows their types only.
    #[must_use]
    pub fn values(&self) -> &[Value] {
        &self.rendered.values
    }

    /// The parameters as bytes that differ for values that do.
    pub(crate) fn conditions(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for value in self.values() {
            value.identify(&mut bytes);
        }
        bytes
    }

    pub(crate) fn params(&self) -> &(dyn aquifer_wire::types::Params + Sync) {
        &self.rendered.values
    }

    /// The tables and views that it reads, as far as they are named outside of raw text.
    pub fn tables_read(&self) -> impl Iterator<Item = &Table> {
        self.rendered.read.iter()
    }

    /// The tables that it inserts into, updates or deletes from.
    pub fn tables_written(&self) -> impl Iterator<Item = &Table> {
        self.rendered.written.iter()
    }

    /// Whether it only reads, as far as is known: functions and raw text may hide a write, which the
    /// server refuses where only reads are allowed.
    #[must_use]
    pub fn is_read(&self) -> bool {
        self.is_select && !self.rendered.locks && self.rendered.written.is_empty()
    }

    /// Whether a part was written by hand, whose tables are not known.
    #[must_use]
    pub fn has_raw(&self) -> bool {
        self.rendered.has_raw
    }

    /// A hash of the statement's shape: the same for all values, and the same that metrics have.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        fingerprint(self.sql())
    }

    /// What is allowed and seldom meant, as far as the statement alone tells; the server is not asked.
    ///
    /// ```
    /// use aquifer::query::{self, Lint, val};
    ///
    /// let plan = query::from("users").join("posts", "posts.id", ">", val(5)).build()?;
    /// let lints = plan.lints();
    /// assert!(lints.contains(&Lint::MissingLimit));
    /// assert!(lints.contains(&Lint::CartesianJoin { source: "posts".into() }));
    /// # Ok::<(), aquifer::Error>(())
    /// ```
    #[must_use]
    pub fn lints(&self) -> Vec<Lint> {
        let mut lints = Vec::new();
        if self.is_select && !self.rendered.limited {
            lints.push(Lint::MissingLimit);
        }
        if let Some(source) = &self.rendered.unconnected {
            let source = source.as_str().to_owned();
            lints.push(Lint::CartesianJoin { source });
        }
        lints
    }
}

impl Keepable for Plan {
    fn call(&self, location: &'static Location<'static>) -> Call<'_> {
        Call::built(self.sql(), self.params(), location)
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Plan")
            .field("sql", &self.sql())
            .field("parameters", &self.rendered.values)
            .finish_non_exhaustive()
    }
}
