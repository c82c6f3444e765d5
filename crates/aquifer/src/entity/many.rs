//! Statements about many rows at once: each row's values given, or found by a query.

use aquifer_wire::types::{ColumnType, NotNull};

use super::name::quoted;
use super::{Col, ColumnMeta, Given, Meta, NoRow, sql};
use crate::query::{self, column_list};
use aquifer_wire::types::Value;

/// A tuple of values for the columns `C`, one for each.
#[diagnostic::on_unimplemented(
    message = "`{Self}` are no values for the columns `{C}`",
    label = "expected a tuple of one value for each column, in their order"
)]
pub trait ValuesOf<C> {
    #[doc(hidden)]
    fn into_values(self) -> Vec<sql::Expr<Value>>;
}

/// A row that a query selects and that the columns `C` can take, one value for each.
#[diagnostic::on_unimplemented(
    message = "a query of `{Self}` does not fill the columns `{C}`",
    label = "expected a query that selects one value for each column, in their order"
)]
pub trait Fills<C> {}

/// A type of values that a column of type `T` takes: the same, or without NULL.
#[diagnostic::on_unimplemented(
    message = "a column of type `{T}` can't take a `{Self}`",
    label = "expected a value of type `{T}`",
    note = "where a value may be NULL and the column takes none, say what it is then: \
            Order::TOTAL.sum().or(0)"
)]
pub trait Fits<T> {}

impl<T: ColumnType> Fits<T> for T {}
impl<T: NotNull> Fits<Option<T>> for T {}

macro_rules! tuples {
    ($(($($column:ident $value:ident $position:tt),+))+) => {
        $(
            impl<E, $($column, $value: Given<NoRow, $column, ()>),+>
                ValuesOf<($(Col<E, $column>,)+)> for ($($value,)+)
            {
                fn into_values(self) -> Vec<sql::Expr<Value>> {
                    vec![$(self.$position.into_given().0),+]
                }
            }

            impl<E, $($column, $value: Fits<$column>),+> Fills<($(Col<E, $column>,)+)>
                for ($($value,)+)
            {
            }
        )+
    };
}

tuples! {
    (A VA 0)
    (A VA 0, B VB 1)
    (A VA 0, B VB 1, C VC 2)
    (A VA 0, B VB 1, C VC 2, D VD 3)
    (A VA 0, B VB 1, C VC 2, D VD 3, F VF 4)
    (A VA 0, B VB 1, C VC 2, D VD 3, F VF 4, G VG 5)
    (A VA 0, B VB 1, C VC 2, D VD 3, F VF 4, G VG 5, H VH 6)
    (A VA 0, B VB 1, C VC 2, D VD 3, F VF 4, G VG 5, H VH 6, I VI 7)
}

/// Rows with their keys, by which others are changed.
#[derive(Clone, Debug)]
pub(super) struct GivenRows {
    columns: Vec<&'static str>,
    lists: Result<Vec<Vec<Value>>, sql::Error>,
}

impl GivenRows {
    pub(super) fn of(
        columns: Vec<&'static str>,
        rows: impl Iterator<Item = Vec<sql::Expr<Value>>>,
    ) -> Self {
        let mut lists = vec![Vec::new(); columns.len()];
        for row in rows {
            for ((list, value), column) in lists.iter_mut().zip(row).zip(&columns) {
                let sql::Expr::Value(value) = value else {
                    let lists = Err(computed(column));
                    return Self { columns, lists };
                };
                list.push(value);
            }
        }
        let lists = Ok(lists);
        Self { columns, lists }
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(&self.lists, Ok(lists) if lists.iter().all(Vec::is_empty))
    }

    /// Whether a column is set by which rows are not found.
    pub(super) fn sets_anything(&self, meta: &'static Meta) -> bool {
        let mut columns = self.columns.iter();
        columns.any(|column| !found_by(meta).any(|key| key.name() == *column))
    }

    /// The statement, with the rows that it takes the values from.
    pub(super) fn into_update(
        self,
        meta: &'static Meta,
        update: sql::Update<Value>,
    ) -> Result<sql::Update<Value>, sql::Error> {
        if self.is_empty() {
            return Err(no_rows(meta));
        }
        let is_given = |column: &ColumnMeta| self.columns.contains(&column.name());
        if let Some(missing) = meta.key().find(|column| !is_given(column)) {
            return Err(no_key(meta, missing));
        }
        let key: Vec<_> = found_by(meta)
            .filter(|column| is_given(column))
            .map(|column| quoted(column.name()))
            .collect();
        let columns: Vec<_> = self.columns.into_iter().map(quoted).collect();
        let lists = columns.iter().zip(self.lists?);
        let lists = lists.map(|(column, list)| column_list(column, list));
        let lists = lists.collect::<Result<_, _>>()?;
        query::many(update, &key, query::Rows { columns, lists })
    }
}

/// The columns by which rows are found where they are given.
fn found_by(meta: &'static Meta) -> impl Iterator<Item = &'static ColumnMeta> {
    meta.key().chain(meta.version())
}

#[cold]
fn computed(column: &str) -> sql::Error {
    sql::Error::new(
        format!("column {column:?} is given an expression"),
        "many rows at once take values only; what is the same for all rows is said by `set`",
    )
}

#[cold]
fn no_rows(meta: &Meta) -> sql::Error {
    sql::Error::new(
        format!("an update of many rows of {} was given none", meta.entity()),
        "send it by `execute` or `fetch`, which do nothing then",
    )
}

#[cold]
fn no_key(meta: &Meta, column: &ColumnMeta) -> sql::Error {
    sql::Error::new(
        format!(
            "the rows have no {}.{}, by which they are to be found",
            meta.entity(),
            column.field()
        ),
        "name all columns of the key among those that are given",
    )
}
