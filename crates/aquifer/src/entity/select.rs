use std::fmt;

use aquifer_wire::FromRow;
use aquifer_wire::types::{ColumnType, NotNull};

use super::{Col, Expr, In, Side, Source, sql};
use aquifer_wire::types::Value;

/// What is selected besides or instead of an entity: a tuple of columns and expressions, which gives
/// rows that are tuples of their types.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no list of what is selected",
    label = "expected a tuple of columns and expressions",
    note = "write (User::ID, User::NAME); one column alone is (User::ID,)"
)]
pub trait Select<S, I> {
    /// The type of a row.
    type Row;

    #[doc(hidden)]
    fn items(self, into: &mut Items);
}

/// For the library.
#[doc(hidden)]
#[derive(Debug, Default)]
pub struct Items(pub(super) sql::List<sql::Item<Value>>);

/// One column or expression of a list of what is selected.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be selected",
    label = "expected a column or an expression",
    note = "a window function is selected with its window: row_number().over(window()…)",
    note = "a CASE ends with .otherwise(…) or .or_null(), a document with .read_as::<…>()"
)]
pub trait Selected<S, I> {
    /// The type that it has in rows: an `Option` where a left join may find no row.
    type Value;

    #[doc(hidden)]
    fn item(self, into: &mut Items);
}

impl<S, I, E: Source + In<S, I>, T: ColumnType> Selected<S, I> for Col<E, T> {
    type Value = <E::Side as Side>::Of<T>;

    fn item(self, into: &mut Items) {
        into.0.push(self.node().into());
    }
}

impl<S, I, P: In<S, I>, T: ColumnType, K> Selected<S, I> for Expr<P, T, K> {
    type Value = <P::Side as Side>::Of<T>;

    fn item(self, into: &mut Items) {
        into.0.push(self.node.into());
    }
}

/// An expression under a name, made by [`Expr::named`].
pub struct Named<E> {
    expr: E,
    name: &'static str,
}

impl<S, T, K> Expr<S, T, K> {
    /// Selects it under that name, by which rows that are structs find it.
    #[must_use]
    pub fn named(self, name: &'static str) -> Named<Self> {
        Named { expr: self, name }
    }
}

impl<E> fmt::Debug for Named<E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Named({:?})", self.name)
    }
}

impl<S, I, E: Selected<S, I>> Selected<S, I> for Named<E> {
    type Value = E::Value;

    fn item(self, into: &mut Items) {
        self.expr.item(into);
        if let Some(item) = into.0.last_mut() {
            match sql::Name::new(self.name) {
                Ok(name) => item.alias = Some(name),
                Err(error) => item.expr = sql::Expr::Invalid(error),
            }
        }
    }
}

/// A struct that a query selects: each field from a column; derived.
///
/// A field without `column` is read from the column of its own name of the entity `of`. Types must be
/// those of the columns; `Option` where a left join may find no row. The struct is the select list, so
/// both can't differ.
///
/// ```
/// # use aquifer::entity::*;
/// # #[derive(Entity)] #[entity(table = "users", has_many(POSTS = Post::USER_ID))]
/// # struct User { #[entity(key)] id: i64, name: String }
/// # #[derive(Entity)] #[entity(table = "posts")]
/// # struct Post { #[entity(key)] id: i64, user_id: i64, title: String }
/// #[derive(Projection)]
/// #[entity(of = User)]
/// struct Headline {
///     name: String,
///     #[entity(column = Post::TITLE)]
///     headline: Option<String>,
/// }
///
/// let headlines = User::query().left_join(User::POSTS).select_as::<Headline, _>();
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be selected",
    label = "expected a struct that derives `Projection`"
)]
pub trait Projection<S, I>: FromRow {
    #[doc(hidden)]
    fn items(into: &mut Items);
}

impl Items {
    /// For the derive: a column that is not NULL, for a field of its type.
    #[doc(hidden)]
    pub fn exact<T: NotNull, E: Source>(&mut self, column: Col<E, T>, name: &'static str) {
        self.named(column.node(), column.name(), name);
    }

    /// For the derive: any column, for a field that is an `Option`.
    #[doc(hidden)]
    pub fn optional<N, E, T>(&mut self, column: Col<E, T>, name: &'static str)
    where
        E: Source,
        T: ColumnType<Nullable = N>,
    {
        self.named(column.node(), column.name(), name);
    }

    fn named(&mut self, expr: sql::Expr<Value>, column: &str, name: &'static str) {
        let alias = sql::Name::new(name).ok().filter(|_| column != name);
        self.0.push(sql::Item { expr, alias });
    }
}

macro_rules! tuples {
    ($(($($value:ident $index:ident $position:tt),+))+) => {
        $(
            impl<S, $($value: Selected<S, $index>, $index),+> Select<S, ($($index,)+)>
                for ($($value,)+)
            {
                type Row = ($($value::Value,)+);

                fn items(self, into: &mut Items) {
                    $(self.$position.item(into);)+
                }
            }
        )+
    };
}

tuples! {
    (A IA 0)
    (A IA 0, B IB 1)
    (A IA 0, B IB 1, C IC 2)
    (A IA 0, B IB 1, C IC 2, D ID 3)
    (A IA 0, B IB 1, C IC 2, D ID 3, E IE 4)
    (A IA 0, B IB 1, C IC 2, D ID 3, E IE 4, F IF 5)
    (A IA 0, B IB 1, C IC 2, D ID 3, E IE 4, F IF 5, G IG 6)
    (A IA 0, B IB 1, C IC 2, D ID 3, E IE 4, F IF 5, G IG 6, H IH 7)
    (A IA 0, B IB 1, C IC 2, D ID 3, E IE 4, F IF 5, G IG 6, H IH 7, J IJ 8)
    (A IA 0, B IB 1, C IC 2, D ID 3, E IE 4, F IF 5, G IG 6, H IH 7, J IJ 8, K IK 9)
    (A IA 0, B IB 1, C IC 2, D ID 3, E IE 4, F IF 5, G IG 6, H IH 7, J IJ 8, K IK 9, L IL 10)
    (A IA 0, B IB 1, C IC 2, D ID 3, E IE 4, F IF 5, G IG 6, H IH 7, J IJ 8, K IK 9, L IL 10, M IM 11)
}
