//! What the database would do by itself, as far as it was said.

use std::collections::HashMap;

use aquifer_wire::types::{Raw, Value};

use super::cell;
use crate::entity::{ColumnMeta, Meta};
use crate::{Error, ErrorKind};

/// Makes a column's value of the row's number.
type Rule = Box<dyn Fn(u64) -> Value + Send + Sync>;

pub(super) struct Rules {
    values: HashMap<&'static str, Rule>,
    /// Columns whose values together are unique; the first is the key.
    pub(super) uniques: Vec<Vec<&'static str>>,
    /// Rows that were begun to be inserted.
    number: u64,
}

impl Rules {
    pub(super) fn of(meta: &Meta) -> Self {
        Self {
            values: HashMap::new(),
            uniques: vec![meta.key().map(ColumnMeta::name).collect()],
            number: 0,
        }
    }

    pub(super) fn set(&mut self, column: &'static str, rule: Rule) {
        self.values.insert(column, rule);
    }

    pub(super) fn unique(&mut self, columns: Vec<&'static str>) {
        self.uniques.push(columns);
    }

    pub(super) fn next_row(&mut self) {
        self.number += 1;
    }

    /// What a column takes that an insert gave no value.
    pub(super) fn value(&self, meta: &Meta, column: &ColumnMeta) -> Result<Raw, Error> {
        if let Some(rule) = self.values.get(column.name()) {
            return cell::cell(&rule(self.number));
        }
        if column.is_nullable() {
            return Ok(cell::null());
        }
        if column.is_version() {
            return Ok(cell::number(1));
        }
        if column.is_auto() {
            return Ok(cell::number(i64::try_from(self.number).unwrap_or(i64::MAX)));
        }
        let text = format!(
            "{}.{} got no value, and FakeRepository does not know the one that the table gives it; \
             say it by `default`",
            meta.entity(),
            column.field()
        );
        Err(Error::new(ErrorKind::Usage, text))
    }
}

/// The name that PostgreSQL gives such a constraint.
pub(super) fn constraint(meta: &Meta, columns: &[&str], is_key: bool) -> String {
    match is_key {
        true => format!("{}_pkey", meta.table()),
        false => format!("{}_{}_key", meta.table(), columns.join("_")),
    }
}
