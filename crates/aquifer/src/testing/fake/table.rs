//! The rows, and what changes them.

use aquifer_core::sql::{ConflictAction, ConflictTarget, Expr, Insert, InsertSource};
use aquifer_wire::types::{IntoValue, Raw, Value};

use super::cell::{self, Row};
use super::condition::{Scope, unsupported};
use super::rules::{Rules, constraint};
use crate::entity::{ColumnMeta, Meta, gone, is_marked, other_columns};
use crate::{Error, ErrorKind, clock};

pub(super) struct Table {
    pub(super) meta: &'static Meta,
    pub(super) rules: Rules,
    rows: Vec<Row>,
}

impl Table {
    pub(super) fn of(meta: &'static Meta) -> Self {
        Self {
            meta,
            rules: Rules::of(meta),
            rows: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Inserts a row, or changes one as ON CONFLICT says; returns it.
    pub(super) fn insert(&mut self, statement: Insert<Value>) -> Result<Row, Error> {
        let names = statement.columns.iter().map(|name| name.as_str());
        let given = match statement.source {
            InsertSource::Defaults => Vec::new(),
            InsertSource::Rows(mut rows) => rows.pop().unwrap_or_default(),
            _ => return Err(unsupported("insert … select")),
        };
        let given: Vec<(&str, Expr<Value>)> = names.zip(given).collect();
        self.rules.next_row();
        let columns = self.meta.columns().iter();
        let row = columns.map(|column| {
            let value = given.iter().find(|(name, _)| *name == column.name());
            match value {
                Some((_, Expr::Value(value))) => cell::cell(value),
                Some(_) => Err(unsupported("an expression in an insert")),
                None => self.rules.value(self.meta, column),
            }
        });
        let row: Row = row.collect::<Result<_, _>>()?;
        if let Some(conflict) = &statement.conflict {
            let ConflictTarget::Columns(target, _) = &conflict.target else {
                return Err(unsupported("on conflict of a constraint"));
            };
            let target: Vec<&str> = target.iter().map(|name| name.as_str()).collect();
            if let Some(position) = self.conflicting(&target, &row)? {
                return self.resolve(&conflict.action, position, &row);
            }
        }
        self.check_unique(&row, None)?;
        self.rows.push(row.clone());
        Ok(row)
    }

    pub(super) fn insert_many(&mut self, rows: Vec<Insert<Value>>) -> Result<u64, Error> {
        let (before, number) = (self.rows.len(), rows.len() as u64);
        let mut pairs = rows.iter().zip(rows.iter().skip(1));
        if let Some(same) = pairs.position(|(one, next)| one.columns != next.columns) {
            return Err(other_columns(self.meta, same + 1).into());
        }
        for row in rows {
            if let Err(error) = self.insert(row) {
                // All or none.
                self.rows.truncate(before);
                return Err(error);
            }
        }
        Ok(number)
    }

    /// Writes what an entity holds over the row of its key.
    pub(super) fn save(&mut self, values: Vec<Value>) -> Result<Row, Error> {
        let unmarked =
            self.meta.version().is_none() && !is_marked(self.meta, values.iter().cloned());
        let mark = self.meta.soft_delete().filter(|_| unmarked);
        let columns = self.meta.columns().iter();
        let pairs: Vec<_> = columns.zip(values).collect();
        let is_it = |row: &Row| {
            let cell = mark.and_then(|mark| self.cell(row, mark.name()));
            if cell.is_some_and(|cell| !cell.is_null()) {
                return Ok(false);
            }
            let known = row.iter().zip(&pairs);
            let mut known = known.filter(|(_, (column, _))| column.is_key() || column.is_version());
            known.try_fold(true, |all, (cell, (_, value))| {
                Ok::<_, Error>(all && is_equal(cell, &cell::cell(value)?)?)
            })
        };
        let Some(position) = position(&self.rows, is_it)? else {
            return Err(gone(self.meta));
        };
        let mut row = self.rows.get(position).cloned().unwrap_or_default();
        for (cell, (column, value)) in row.iter_mut().zip(&pairs) {
            if column.is_version() {
                *cell = raised(cell);
            } else if !(column.is_key() || column.is_auto()) {
                *cell = cell::cell(value)?;
            }
        }
        self.check_unique(&row, Some(position))?;
        self.replace(position, row.clone());
        Ok(row)
    }

    pub(super) fn delete(&mut self, key: &[Value]) -> Result<bool, Error> {
        let Some(position) = self.find(key, false)? else {
            return Ok(false);
        };
        match self.meta.soft_delete() {
            Some(_) => {
                let now = cell::cell(&clock::wall().into_value())?;
                self.mark(position, &now);
            }
            None => drop(self.rows.remove(position)),
        }
        Ok(true)
    }

    pub(super) fn restore(&mut self, key: &[Value]) -> Result<bool, Error> {
        let Some(position) = self.find(key, true)? else {
            return Ok(false);
        };
        self.mark(position, &cell::null());
        Ok(true)
    }

    /// Sets or takes off the mark of a deleted row.
    fn mark(&mut self, position: usize, mark: &Raw) {
        let marked = self.meta.soft_delete().map(ColumnMeta::name);
        let columns = self.meta.columns().iter();
        let cells = self.rows.get_mut(position).into_iter().flatten();
        for (cell, column) in cells.zip(columns) {
            if Some(column.name()) == marked {
                *cell = mark.clone();
            } else if column.is_version() {
                *cell = raised(cell);
            }
        }
    }

    /// The row with that key that is marked as deleted, or is not.
    fn find(&self, key: &[Value], deleted: bool) -> Result<Option<usize>, Error> {
        let key: Vec<Raw> = key.iter().map(cell::cell).collect::<Result<_, _>>()?;
        let names: Vec<&str> = self.meta.key().map(ColumnMeta::name).collect();
        let mark = self.meta.soft_delete().map(ColumnMeta::name);
        position(&self.rows, |row| {
            let is_marked = mark.and_then(|mark| self.cell(row, mark));
            if is_marked.is_some_and(|cell| !cell.is_null()) != deleted {
                return Ok(false);
            }
            let cells = names.iter().map(|name| self.cell(row, name));
            cells.zip(&key).try_fold(true, |all, (cell, wanted)| {
                let same = cell.map(|cell| is_equal(cell, wanted)).transpose()?;
                Ok(all && same == Some(true))
            })
        })
    }

    fn resolve(
        &mut self,
        action: &ConflictAction<Value>,
        position: usize,
        excluded: &Row,
    ) -> Result<Row, Error> {
        let ConflictAction::Update { set, filter } = action else {
            return Err(unsupported("do nothing"));
        };
        if !filter.is_empty() {
            return Err(unsupported("do update … where"));
        }
        let mut row = self.rows.get(position).cloned().unwrap_or_default();
        for assignment in set {
            let name = assignment.column.as_str();
            let columns = self.meta.columns().iter();
            let known = columns.zip(row.iter_mut());
            let mut known = known.filter(|(column, _)| column.name() == name);
            let Some((column, cell)) = known.next() else {
                return Err(unsupported("a column that the entity has not"));
            };
            *cell = match &assignment.value {
                Expr::Column(from) if from.table.as_ref().is_some_and(is_excluded) => {
                    let scope = Scope {
                        meta: self.meta,
                        row: excluded,
                    };
                    let from = from.name.clone();
                    scope.value(&Expr::Column(aquifer_core::sql::Column {
                        table: None,
                        name: from,
                    }))?
                }
                _ if column.is_version() => raised(cell),
                _ => return Err(unsupported("an expression in do update")),
            };
        }
        self.check_unique(&row, Some(position))?;
        self.replace(position, row.clone());
        Ok(row)
    }

    fn replace(&mut self, position: usize, row: Row) {
        if let Some(known) = self.rows.get_mut(position) {
            *known = row;
        }
    }

    /// The row that has the values of a conflict's columns already.
    fn conflicting(&self, target: &[&str], row: &Row) -> Result<Option<usize>, Error> {
        let is_target = |unique: &Vec<&str>| {
            unique.len() == target.len() && target.iter().all(|column| unique.contains(column))
        };
        if !self.rules.uniques.iter().any(is_target) {
            let text = format!(
                "no unique index on {} of {} is known to FakeRepository; say it by `unique`",
                target.join(", "),
                self.meta.entity()
            );
            return Err(Error::new(ErrorKind::Usage, text));
        }
        self.same(target, row, None)
    }

    fn check_unique(&self, row: &Row, except: Option<usize>) -> Result<(), Error> {
        for (number, unique) in self.rules.uniques.iter().enumerate() {
            if self.same(unique, row, except)?.is_some() {
                let constraint = constraint(self.meta, unique, number == 0);
                let error = aquifer_wire::Error::composed_unique_violation(
                    self.meta.schema(),
                    self.meta.table(),
                    &constraint,
                );
                return Err(Error::from_wire(error, true));
            }
        }
        Ok(())
    }

    /// Another row with the same values in these columns, none of which is NULL.
    fn same(
        &self,
        columns: &[&str],
        row: &Row,
        except: Option<usize>,
    ) -> Result<Option<usize>, Error> {
        let places: Vec<usize> = columns.iter().filter_map(|name| self.place(name)).collect();
        for (position, other) in self.rows.iter().enumerate() {
            let mut all = Some(position) != except;
            for place in &places {
                let cells = other.get(*place).zip(row.get(*place));
                // The first difference decides for nearly all rows.
                all = all && cells.map_or(Ok(false), |(one, other)| is_equal(one, other))?;
            }
            if all {
                return Ok(Some(position));
            }
        }
        Ok(None)
    }

    fn place(&self, column: &str) -> Option<usize> {
        let mut columns = self.meta.columns().iter();
        columns.position(|known| known.name() == column)
    }

    fn cell<'a>(&self, row: &'a Row, column: &str) -> Option<&'a Raw> {
        row.get(self.place(column)?)
    }
}

fn is_excluded(table: &aquifer_core::sql::Name) -> bool {
    table.as_str() == "excluded"
}

fn is_equal(one: &Raw, other: &Raw) -> Result<bool, Error> {
    if let Some(equal) = cell::equal_by_bytes(one, other) {
        return Ok(equal);
    }
    Ok(cell::compare(one, other)?.is_some_and(std::cmp::Ordering::is_eq))
}

fn raised(version: &Raw) -> Raw {
    match cell::integer(version) {
        Some(number) => cell::number(number.saturating_add(1)),
        None => version.clone(),
    }
}

fn position(
    rows: &[Row],
    is_it: impl Fn(&Row) -> Result<bool, Error>,
) -> Result<Option<usize>, Error> {
    for (position, row) in rows.iter().enumerate() {
        if is_it(row)? {
            return Ok(Some(position));
        }
    }
    Ok(None)
}
