use std::borrow::Cow;

use aquifer_core::sql::{self, Assignment, ColumnList, Name};
use aquifer_wire::types::{IntoValue, Value};

use super::Tree;
use super::input::IntoOperand;

type Pairs = Vec<(Name, Tree)>;

/// Columns with their new values, for `insert` and `update`; made by [`values!`](crate::values), or
/// one by one.
///
/// ```
/// use aquifer::query::{Record, now};
/// use aquifer::values;
///
/// let fixed = values! { name: "John", "e-mail": "j@b.c", created_at: now() };
/// let grown = Record::new().set("name", "John").set_some("age", None::<i32>);
/// assert_eq!((fixed.len(), grown.len()), (3, 1));
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Record {
    list: Pairs,
    fault: Option<sql::Error>,
}

impl Record {
    /// No columns yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A column and its value, or an expression such as [`col`](super::col)`("visits").op("+", 1)`.
    ///
    /// `None` is NULL.
    pub fn set(mut self, column: impl Into<Cow<'static, str>>, value: impl IntoOperand) -> Self {
        match Name::new(column).and_then(|name| Ok((name, value.into_operand()?))) {
            Ok((name, _)) if self.list.iter().any(|(known, _)| *known == name) => {
                self.fault.get_or_insert_with(|| {
                    sql::Error::new(
                        format!("column {name} is given twice"),
                        "give each column one value",
                    )
                });
            }
            Ok(pair) => self.list.push(pair),
            Err(error) => {
                self.fault.get_or_insert(error);
            }
        }
        self
    }

    /// A column, if there is a value; otherwise it is left as it is.
    pub fn set_some<T: IntoOperand>(
        self,
        column: impl Into<Cow<'static, str>>,
        value: Option<T>,
    ) -> Self {
        match value {
            Some(value) => self.set(column, value),
            None => self,
        }
    }

    /// How many columns there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(super) fn into_pairs(self) -> Result<Pairs, sql::Error> {
        match self.fault {
            Some(fault) => Err(fault),
            None => Ok(self.list),
        }
    }

    pub(super) fn into_assignments(self) -> Result<Vec<Assignment<Value>>, sql::Error> {
        let pairs = self.into_pairs()?;
        let assignments = pairs
            .into_iter()
            .map(|(column, value)| Assignment { column, value });
        Ok(assignments.collect())
    }
}

/// Rows turned into one list for each column.
pub(crate) struct Table {
    pub(crate) columns: Vec<Name>,
    pub(crate) lists: Vec<ColumnList<Value>>,
}

impl Table {
    /// All rows must have the same columns; the order does not matter.
    pub(super) fn of(rows: impl IntoIterator<Item = Record>) -> Result<Self, sql::Error> {
        let mut rows = rows.into_iter();
        let first = rows.next().map(Record::into_pairs).transpose()?;
        let mut columns = Vec::new();
        let mut lists: Vec<Vec<Value>> = Vec::new();
        for (name, tree) in first.unwrap_or_default() {
            lists.push(vec![plain(&name, tree)?]);
            columns.push(name);
        }
        for (number, row) in rows.enumerate() {
            let pairs = row.into_pairs()?;
            if pairs.len() != columns.len() {
                return Err(uneven(number + 2));
            }
            for (name, tree) in pairs {
                let at = columns.iter().position(|column| *column == name);
                match at.and_then(|at| lists.get_mut(at)) {
                    Some(list) => list.push(plain(&name, tree)?),
                    None => return Err(uneven(number + 2)),
                }
            }
        }
        let lists = columns.iter().zip(lists);
        let lists = lists.map(|(column, list)| column_list(column, list));
        let lists = lists.collect::<Result<_, _>>()?;
        Ok(Self { columns, lists })
    }
}

/// The values of a column in many rows; where they are arrays, their elements and where each begins
/// and ends.
pub(crate) fn column_list(
    column: &Name,
    values: Vec<Value>,
) -> Result<ColumnList<Value>, sql::Error> {
    if values.iter().all(|value| value.as_list().is_none()) {
        return Ok(ColumnList::Values(values.into_value()));
    }
    let (mut starts, mut ends) = (Vec::new(), Vec::new());
    let mut elements: Vec<Value> = Vec::new();
    for value in values {
        if value.is_null() {
            starts.push(None);
            ends.push(None);
            continue;
        }
        let Some(list) = value.into_list() else {
            return Err(not_all_lists(column));
        };
        if list.iter().any(|element| element.as_list().is_some()) {
            return Err(not_all_lists(column));
        }
        let start = place(elements.len() + 1)?;
        elements.extend(list);
        starts.push(Some(start));
        ends.push(Some(place(elements.len())?));
    }
    Ok(ColumnList::Arrays {
        elements: elements.into_value(),
        starts: starts.into_value(),
        ends: ends.into_value(),
    })
}

fn place(at: usize) -> Result<i32, sql::Error> {
    i32::try_from(at).map_err(|_too_many| {
        sql::Error::new(
            "the arrays of many rows have more elements than one array can have",
            "insert them by several statements",
        )
    })
}

#[cold]
fn not_all_lists(column: &Name) -> sql::Error {
    sql::Error::new(
        format!("column {column} is given arrays and other values, or arrays of arrays"),
        "give each row a plain list or NULL, insert such rows one by one, or use `copy_into`",
    )
}

fn plain(name: &Name, tree: Tree) -> Result<Value, sql::Error> {
    match tree {
        Tree::Value(value) | Tree::TypedValue(value) => Ok(value),
        _ => Err(sql::Error::new(
            format!("column {name} is given an expression"),
            "many rows at once take values only",
        )),
    }
}

#[cold]
fn uneven(number: usize) -> sql::Error {
    sql::Error::new(
        format!("row {number} has other columns than the first one"),
        "give all rows the same columns, `None` for NULL",
    )
}

/// Columns with their values, for `insert` and `update`: names as Rust has them, or as text.
///
/// ```no_run
/// # use aquifer::{Db, Error, values};
/// # async fn example(db: &Db) -> Result<(), Error> {
/// db.from("users").insert(values! { name: "John", "last seen": None::<i64> }).await?;
/// # Ok(()) }
/// ```
#[macro_export]
macro_rules! values {
    ($($column:tt : $value:expr),* $(,)?) => {
        $crate::query::Record::new()$(.set($crate::query::name_of_column(stringify!($column)), $value))*
    };
}

/// What [`values!`](crate::values) makes of a column: `name`, `r#type` or `"any text"`.
#[doc(hidden)]
#[must_use]
pub fn name_of_column(written: &'static str) -> &'static str {
    let quoted = written
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    quoted
        .or_else(|| written.strip_prefix("r#"))
        .unwrap_or(written)
}
