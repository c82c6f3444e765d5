//! What the methods of the builder take: names, expressions, operators, values, text.

use std::borrow::Cow;

use aquifer_core::sql::{
    self, Direction, Fragment, Operator, Source, Table, aliased_column, aliased_table,
};
use aquifer_wire::types::{IntoValue, Value};

use super::builder::QueryBuilder;
use super::expression::{Expression, col, fragment};
use super::{Item, Tree};
use crate::statement::{AssertSafe, RawSql};

/// What can be an expression: the name of a column (`name`, `table.name`), an [`Expression`],
/// [`raw!`](crate::raw), a sub-query.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no expression",
    note = "a column is `\"name\"` or `String`; other expressions are made by the functions of `aquifer::query`, such as `val(7)`"
)]
pub trait IntoExpression {
    /// The expression.
    fn into_expression(self) -> Expression;
}

impl IntoExpression for Expression {
    fn into_expression(self) -> Expression {
        self
    }
}

impl IntoExpression for &'static str {
    #[inline]
    fn into_expression(self) -> Expression {
        col(self)
    }
}

impl IntoExpression for String {
    fn into_expression(self) -> Expression {
        col(self)
    }
}

impl IntoExpression for Cow<'static, str> {
    fn into_expression(self) -> Expression {
        col(self)
    }
}

impl IntoExpression for RawSql {
    fn into_expression(self) -> Expression {
        fragment(self).into()
    }
}

impl<S> IntoExpression for QueryBuilder<S> {
    fn into_expression(self) -> Expression {
        let select = self.draft.into_select();
        select.map(Tree::Select).into()
    }
}

/// What a column may be compared with or set to: a value, or an [`Expression`] such as [`col`].
#[diagnostic::on_unimplemented(
    message = "a column can't be compared with `{Self}`, or set to it",
    note = "for a type of your own derive `aquifer::Encode`; another column is `col(\"name\")`"
)]
pub trait IntoOperand {
    /// The operand.
    ///
    /// # Errors
    /// For an expression that can't be part of a statement.
    fn into_operand(self) -> Result<Tree, sql::Error>;
}

impl<T: IntoValue> IntoOperand for T {
    #[inline]
    fn into_operand(self) -> Result<Tree, sql::Error> {
        Ok(Tree::Value(self.into_value()))
    }
}

impl IntoOperand for Expression {
    fn into_operand(self) -> Result<Tree, sql::Error> {
        self.tree
    }
}

impl IntoOperand for RawSql {
    fn into_operand(self) -> Result<Tree, sql::Error> {
        fragment(self)
    }
}

impl<S> IntoOperand for QueryBuilder<S> {
    fn into_operand(self) -> Result<Tree, sql::Error> {
        self.into_expression().tree
    }
}

/// An operator: an [`Operator`], or its text, which must be one of the list.
pub trait IntoOperator {
    /// The operator.
    ///
    /// # Errors
    /// For a text that is none.
    fn into_operator(self) -> Result<Operator, sql::Error>;
}

impl IntoOperator for Operator {
    #[inline]
    fn into_operator(self) -> Result<Operator, sql::Error> {
        Ok(self)
    }
}

impl IntoOperator for &str {
    #[inline]
    fn into_operator(self) -> Result<Operator, sql::Error> {
        Operator::parse(self)
    }
}

impl IntoOperator for &String {
    fn into_operator(self) -> Result<Operator, sql::Error> {
        Operator::parse(self)
    }
}

/// A direction: a [`Direction`], or `asc` and `desc` in any case.
pub trait IntoDirection {
    /// The direction.
    ///
    /// # Errors
    /// For another text.
    fn into_direction(self) -> Result<Direction, sql::Error>;
}

impl IntoDirection for Direction {
    #[inline]
    fn into_direction(self) -> Result<Direction, sql::Error> {
        Ok(self)
    }
}

impl IntoDirection for &str {
    fn into_direction(self) -> Result<Direction, sql::Error> {
        if self.eq_ignore_ascii_case("asc") {
            return Ok(Direction::Asc);
        }
        if self.eq_ignore_ascii_case("desc") {
            return Ok(Direction::Desc);
        }
        let shown: String = self.chars().take(20).collect();
        Err(sql::Error::new(
            format!("{shown:?} is no direction of an order"),
            "say asc or desc, or use `Direction`",
        ))
    }
}

/// SQL text as part of a statement: `&'static str`, [`raw!`](crate::raw) or
/// [`AssertSafe`].
pub trait IntoFragment {
    /// The text with its values.
    ///
    /// # Errors
    /// None at present.
    fn into_fragment(self) -> Result<Fragment<Value>, sql::Error>;
}

impl IntoFragment for RawSql {
    fn into_fragment(self) -> Result<Fragment<Value>, sql::Error> {
        let (template, values) = self.into_parts();
        Ok(Fragment {
            template: template.into(),
            values,
        })
    }
}

/// Text in which braces are braces.
fn plain(text: Cow<'static, str>) -> Fragment<Value> {
    let template = if text.contains(['{', '}']) {
        text.replace('{', "{{").replace('}', "}}").into()
    } else {
        text
    };
    Fragment {
        template,
        values: Vec::new(),
    }
}

impl IntoFragment for &'static str {
    fn into_fragment(self) -> Result<Fragment<Value>, sql::Error> {
        Ok(plain(self.into()))
    }
}

impl IntoFragment for AssertSafe<String> {
    fn into_fragment(self) -> Result<Fragment<Value>, sql::Error> {
        Ok(plain(self.0.into()))
    }
}

/// A table (`users`, `app.users`, `users as u`), a [`TableName`](crate::TableName) is not needed; or
/// a sub-query with its alias.
pub trait IntoSource {
    /// The source.
    ///
    /// # Errors
    /// For what is no name of a table.
    fn into_source(self) -> Result<Source<Value>, sql::Error>;
}

fn table(text: impl Into<Cow<'static, str>>) -> Result<Source<Value>, sql::Error> {
    let (table, alias) = aliased_table(text)?;
    Ok(Source::Table { table, alias })
}

impl IntoSource for &'static str {
    #[inline]
    fn into_source(self) -> Result<Source<Value>, sql::Error> {
        table(self)
    }
}

impl IntoSource for String {
    fn into_source(self) -> Result<Source<Value>, sql::Error> {
        table(self)
    }
}

impl IntoSource for Table {
    fn into_source(self) -> Result<Source<Value>, sql::Error> {
        Ok(Source::table(self))
    }
}

/// A sub-query and the name that it has.
impl<S> IntoSource for (QueryBuilder<S>, &'static str) {
    fn into_source(self) -> Result<Source<Value>, sql::Error> {
        Ok(Source::Select {
            select: self.0.draft.into_select()?,
            alias: sql::Name::new(self.1)?,
            lateral: false,
        })
    }
}

/// A function that returns rows, such as `generate_series`, and the name that they have. It may use
/// columns of the sources before it.
impl IntoSource for (Expression, &'static str) {
    fn into_source(self) -> Result<Source<Value>, sql::Error> {
        rows_of_call(self.0, self.1, Vec::new())
    }
}

/// A function that returns rows, the name that they have, and those of their columns.
impl<const N: usize> IntoSource for (Expression, &'static str, [&'static str; N]) {
    fn into_source(self) -> Result<Source<Value>, sql::Error> {
        let columns = self.2.into_iter().map(sql::Name::new);
        rows_of_call(self.0, self.1, columns.collect::<Result<_, _>>()?)
    }
}

fn rows_of_call(
    call: Expression,
    alias: &'static str,
    columns: Vec<sql::Name>,
) -> Result<Source<Value>, sql::Error> {
    let Tree::Call(call) = call.tree? else {
        return Err(sql::Error::new(
            format!("the source {alias:?} is an expression, but no call of a function"),
            "give a function that returns rows, a query, or the name of a table",
        ));
    };
    Ok(Source::Call {
        call,
        alias: sql::Name::new(alias)?,
        columns,
        lateral: false,
    })
}

/// Several expressions: a tuple, array or `Vec`.
pub trait Expressions {
    /// The expressions.
    ///
    /// # Errors
    /// Of the first that can't be part of a statement.
    fn into_trees(self) -> Result<Vec<Tree>, sql::Error>;
}

/// What a query selects or returns: names (`name`, `t.name`, `name as alias`, `*`, `t.*`) and
/// expressions; one, or a tuple, array or `Vec` of them.
pub trait Items {
    /// The items.
    ///
    /// # Errors
    /// Of the first that can't be part of a statement.
    fn into_items(self) -> Result<Vec<Item>, sql::Error>;
}

/// One of [`Items`].
pub trait IntoItem {
    /// The item.
    ///
    /// # Errors
    /// For what can't be part of a statement.
    fn into_item(self) -> Result<Item, sql::Error>;
}

fn named(text: impl Into<Cow<'static, str>>) -> Result<Item, sql::Error> {
    let text = text.into();
    if text == "*" {
        return Ok(Tree::All(None).into());
    }
    if let Some(table) = text.strip_suffix(".*") {
        return Ok(Tree::All(Some(sql::Name::new(table.to_owned())?)).into());
    }
    let (column, alias) = aliased_column(text)?;
    Ok(Item {
        expr: Tree::Column(column),
        alias,
    })
}

impl IntoItem for &'static str {
    fn into_item(self) -> Result<Item, sql::Error> {
        named(self)
    }
}

impl IntoItem for String {
    fn into_item(self) -> Result<Item, sql::Error> {
        named(self)
    }
}

impl IntoItem for Expression {
    fn into_item(self) -> Result<Item, sql::Error> {
        self.into_item()
    }
}

impl IntoItem for RawSql {
    fn into_item(self) -> Result<Item, sql::Error> {
        Ok(fragment(self)?.into())
    }
}

macro_rules! single {
    ($($rust:ty),+) => {$(
        impl Items for $rust {
            fn into_items(self) -> Result<Vec<Item>, sql::Error> {
                Ok(vec![IntoItem::into_item(self)?])
            }
        }

        impl Expressions for $rust {
            fn into_trees(self) -> Result<Vec<Tree>, sql::Error> {
                Ok(vec![self.into_expression().tree?])
            }
        }
    )+};
}

single!(&'static str, String, Expression, RawSql);

impl<T: IntoItem, const N: usize> Items for [T; N] {
    fn into_items(self) -> Result<Vec<Item>, sql::Error> {
        self.into_iter().map(T::into_item).collect()
    }
}

impl<T: IntoItem> Items for Vec<T> {
    fn into_items(self) -> Result<Vec<Item>, sql::Error> {
        self.into_iter().map(T::into_item).collect()
    }
}

impl<T: IntoExpression, const N: usize> Expressions for [T; N] {
    fn into_trees(self) -> Result<Vec<Tree>, sql::Error> {
        self.into_iter()
            .map(|each| each.into_expression().tree)
            .collect()
    }
}

impl<T: IntoExpression> Expressions for Vec<T> {
    fn into_trees(self) -> Result<Vec<Tree>, sql::Error> {
        self.into_iter()
            .map(|each| each.into_expression().tree)
            .collect()
    }
}

impl Expressions for () {
    fn into_trees(self) -> Result<Vec<Tree>, sql::Error> {
        Ok(Vec::new())
    }
}

macro_rules! tuples {
    ($(($($name:ident)+))+) => {$(
        impl<$($name: IntoItem),+> Items for ($($name,)+) {
            #[expect(non_snake_case, reason = "each item is named as its type")]
            fn into_items(self) -> Result<Vec<Item>, sql::Error> {
                let ($($name,)+) = self;
                Ok(vec![$($name.into_item()?),+])
            }
        }

        impl<$($name: IntoExpression),+> Expressions for ($($name,)+) {
            #[expect(non_snake_case, reason = "each expression is named as its type")]
            fn into_trees(self) -> Result<Vec<Tree>, sql::Error> {
                let ($($name,)+) = self;
                Ok(vec![$($name.into_expression().tree?),+])
            }
        }
    )+};
}

tuples! {
    (A) (A B) (A B C) (A B C D) (A B C D E) (A B C D E F) (A B C D E F G) (A B C D E F G H)
    (A B C D E F G H I) (A B C D E F G H I J) (A B C D E F G H I J K) (A B C D E F G H I J K L)
}
