use std::borrow::Cow;

use aquifer_core::sql::{
    self, Branch, Call, Case, Column, Connective, Constant, Direction, Filter, Fragment, Function,
    Name, Nulls, Operator, Over, Test, TimeUnit, TypeName,
};
use aquifer_wire::types::{IntoValue, Value};

use super::input::{Expressions, IntoExpression, IntoFragment, IntoOperand, IntoOperator};
use super::window::Window;
use super::{Item, Order, Tree};

/// An expression: a column, a value, a function of others, text by [`raw!`](crate::raw).
///
/// Made by [`col`], [`val`], [`call`] and their like. What can't be part of a statement is kept as an
/// error until the statement is built.
///
/// ```
/// use aquifer::query::{self, col, count_all};
///
/// let total = query::from("orders")
///     .select((col("state"), count_all().alias("n")))
///     .group_by(["state"])
///     .having(count_all(), ">", 5)
///     .to_sql()?;
/// assert_eq!(
///     total,
///     r#"select "state", count(*) as "n" from "orders" group by "state" having count(*) > $1"#
/// );
/// # Ok::<(), aquifer::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Expression {
    pub(super) tree: Result<Tree, sql::Error>,
    pub(super) alias: Option<Name>,
}

impl From<Result<Tree, sql::Error>> for Expression {
    fn from(tree: Result<Tree, sql::Error>) -> Self {
        Self { tree, alias: None }
    }
}

impl From<Tree> for Expression {
    fn from(tree: Tree) -> Self {
        Ok(tree).into()
    }
}

/// The column of that name, as `name` or `table.name`.
pub fn col(name: impl Into<Cow<'static, str>>) -> Expression {
    Column::parse(name).map(Tree::Column).into()
}

/// The column of exactly that name, in which a dot is a dot.
pub fn col_exact(name: impl Into<Cow<'static, str>>) -> Expression {
    let name = Name::new(name);
    name.map(|name| Tree::Column(name.into())).into()
}

/// The column of the row that was to be inserted, in ON CONFLICT.
pub fn excluded(name: impl Into<Cow<'static, str>>) -> Expression {
    let table = Name::new("excluded");
    let column = table.and_then(|table| {
        Ok(Column {
            table: Some(table),
            name: Name::new(name)?,
        })
    });
    column.map(Tree::Column).into()
}

/// A value, which becomes a parameter of its own type.
pub fn val(value: impl IntoValue) -> Expression {
    Tree::TypedValue(value.into_value()).into()
}

/// NULL, DEFAULT and when the transaction began, as words of SQL.
pub fn now() -> Expression {
    Tree::Constant(Constant::CurrentTimestamp).into()
}

/// DEFAULT: in INSERT and UPDATE only.
pub fn default() -> Expression {
    Tree::Constant(Constant::Default).into()
}

/// The only value of a query, NULL where it has no row: for a query that stands among columns, where
/// it needs a name.
///
/// ```
/// use aquifer::query::{self, count_all};
///
/// let posts = query::from("posts").where_column("user_id", "=", "users.id").select(count_all());
/// let sql = query::from("users").select(("id", query::scalar(posts).alias("posts"))).to_sql()?;
/// assert_eq!(
///     sql,
///     r#"select "id", (select count(*) from "posts" where "user_id" = "users"."id") as "posts" from "users""#
/// );
/// # Ok::<(), aquifer::Error>(())
/// ```
pub fn scalar(query: impl IntoExpression) -> Expression {
    query.into_expression()
}

/// `exists (…)`.
pub fn exists(query: impl IntoExpression) -> Expression {
    let tree = query.into_expression().tree;
    tree.and_then(|tree| match tree {
        Tree::Select(select) => Ok(Tree::Exists(select)),
        _ => Err(sql::Error::new(
            "EXISTS was given something other than a query",
            "give it a query without `get` at its end",
        )),
    })
    .into()
}

/// A function by its name, as `lower` or `app.score`.
pub fn call(function: &'static str, arguments: impl Expressions) -> Expression {
    let tree = Function::parse(function)
        .and_then(|function| Ok(Tree::from(Call::new(function, arguments.into_trees()?))));
    tree.into()
}

/// `count(*)`.
pub fn count_all() -> Expression {
    Function::parse("count")
        .map(|count| Tree::from(Call::new(count, vec![Tree::All(None)])))
        .into()
}

macro_rules! aggregates {
    ($($(#[doc = $doc:literal])+ $name:ident;)+) => {$(
        $(#[doc = $doc])+
        pub fn $name(operand: impl IntoExpression) -> Expression {
            call(stringify!($name), [operand.into_expression()])
        }
    )+};
}

aggregates! {
    /// `count(…)`: how many are not NULL.
    count;
    /// `sum(…)`.
    sum;
    /// `avg(…)`.
    avg;
    /// `min(…)`.
    min;
    /// `max(…)`.
    max;
    /// `array_agg(…)`: all values as an array.
    array_agg;
    /// `jsonb_agg(…)`: all values as a document.
    jsonb_agg;
    /// `lower(…)`.
    lower;
    /// `upper(…)`.
    upper;
}

/// `date_trunc(…)`: when the unit began that a point of time lies in.
///
/// ```
/// use aquifer::query::{self, TimeUnit, count_all, date_trunc};
///
/// let month = || date_trunc(TimeUnit::Month, "ordered_at");
/// let sql = query::from("orders").select((month(), count_all())).group_by(month()).to_sql()?;
/// assert_eq!(
///     sql,
///     r#"select date_trunc('month', "ordered_at"), count(*) from "orders" group by date_trunc('month', "ordered_at")"#
/// );
/// # Ok::<(), aquifer::Error>(())
/// ```
pub fn date_trunc(unit: TimeUnit, time: impl IntoExpression) -> Expression {
    let unit = Expression::from(Tree::Constant(Constant::Unit(unit)));
    call("date_trunc", [unit, time.into_expression()])
}

/// `(a, b)`: several expressions that are compared at once.
pub fn row(list: impl Expressions) -> Expression {
    list.into_trees().map(Tree::Row).into()
}

/// `array[a, b]`.
pub fn array(list: impl Expressions) -> Expression {
    list.into_trees().map(Tree::Array).into()
}

/// `coalesce(…)`: the first that is not NULL.
pub fn coalesce(list: impl Expressions) -> Expression {
    call("coalesce", list)
}

/// `jsonb_build_object(…)`: a document with these members.
pub fn json_object<K: Into<String>, E: IntoExpression>(
    members: impl IntoIterator<Item = (K, E)>,
) -> Expression {
    let mut arguments = Vec::new();
    for (key, value) in members {
        arguments.push(val(key.into()));
        arguments.push(value.into_expression());
    }
    call("jsonb_build_object", arguments)
}

/// What a path leads to in a document, as text; the path travels as a parameter.
pub fn json_text<P: Into<String>>(
    document: impl IntoExpression,
    path: impl IntoIterator<Item = P>,
) -> Expression {
    json(document, Operator::PathText, path)
}

/// What a path leads to in a document, as a document.
pub fn json_path<P: Into<String>>(
    document: impl IntoExpression,
    path: impl IntoIterator<Item = P>,
) -> Expression {
    json(document, Operator::Path, path)
}

fn json<P: Into<String>>(
    document: impl IntoExpression,
    operator: Operator,
    path: impl IntoIterator<Item = P>,
) -> Expression {
    let path: Vec<String> = path.into_iter().map(Into::into).collect();
    let tree = document.into_expression().tree;
    tree.map(|left| Tree::binary(left, operator, Tree::Value(path.into_value())))
        .into()
}

/// `jsonb_set(…)`: a document where the path leads to another value.
pub fn json_set<P: Into<String>>(
    document: impl IntoExpression,
    path: impl IntoIterator<Item = P>,
    value: impl IntoValue,
) -> Expression {
    let path: Vec<String> = path.into_iter().map(Into::into).collect();
    let value = Expression::from(Tree::Value(value.into_value())).cast("jsonb");
    call("jsonb_set", [document.into_expression(), val(path), value])
}

/// `to_tsvector(configuration, …)`: the words of a text.
pub fn words(configuration: impl Into<String>, text: impl IntoExpression) -> Expression {
    call(
        "to_tsvector",
        [search_configuration(configuration), text.into_expression()],
    )
}

/// `websearch_to_tsquery(configuration, …)`: what somebody typed into a search field.
pub fn web_search(configuration: impl Into<String>, typed: impl Into<String>) -> Expression {
    call(
        "websearch_to_tsquery",
        [search_configuration(configuration), val(typed.into())],
    )
}

fn search_configuration(name: impl Into<String>) -> Expression {
    val(name.into()).cast("regconfig")
}

/// Holds if all of these do.
pub fn all(conditions: impl Expressions) -> Expression {
    group(Connective::And, conditions)
}

/// Holds if one of these does.
pub fn any(conditions: impl Expressions) -> Expression {
    group(Connective::Or, conditions)
}

fn group(connective: Connective, conditions: impl Expressions) -> Expression {
    let list = conditions.into_trees();
    list.map(|list| Tree::Group(connective, list)).into()
}

/// Holds if this does not.
pub fn not(condition: impl IntoExpression) -> Expression {
    let tree = condition.into_expression().tree;
    tree.map(|tree| Tree::Not(Box::new(tree))).into()
}

/// CASE: the value of the first condition that holds, else the other one.
pub fn case<C: IntoExpression, T: IntoOperand>(
    branches: impl IntoIterator<Item = (C, T)>,
    otherwise: impl IntoOperand,
) -> Expression {
    let branches = branches.into_iter().map(|(when, then)| {
        Ok(Branch {
            when: Filter::from(when.into_expression().tree?),
            then: then.into_operand()?,
        })
    });
    let tree = branches.collect::<Result<_, _>>().and_then(|branches| {
        Ok(Tree::Case(Box::new(Case {
            branches,
            otherwise: Some(otherwise.into_operand()?),
        })))
    });
    tree.into()
}

impl Expression {
    fn map(mut self, change: impl FnOnce(Tree) -> Result<Tree, sql::Error>) -> Self {
        self.tree = self.tree.and_then(change);
        self
    }

    /// The name that it has in the result.
    pub fn alias(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        match Name::new(name) {
            Ok(name) => self.alias = Some(name),
            Err(error) => self.tree = self.tree.and(Err(error)),
        }
        self
    }

    /// Compares it, as [`where_`](super::QueryBuilder::where_) does.
    pub fn is(self, operator: impl IntoOperator, operand: impl IntoOperand) -> Self {
        self.map(|left| {
            super::draft::comparison(left, operator.into_operator()?, operand.into_operand()?)
        })
    }

    /// `= operand`.
    pub fn eq(self, operand: impl IntoOperand) -> Self {
        self.is(Operator::Equal, operand)
    }

    /// `is null`.
    pub fn is_null(self) -> Self {
        self.map(|tree| Ok(Tree::Test(Box::new(tree), Test::IsNull)))
    }

    /// `is not null`.
    pub fn is_not_null(self) -> Self {
        self.map(|tree| Ok(Tree::Test(Box::new(tree), Test::IsNotNull)))
    }

    /// With an operator that gives a value: `+`, `||`, `->`.
    pub fn op(self, operator: impl IntoOperator, operand: impl IntoOperand) -> Self {
        self.map(|left| {
            Ok(Tree::binary(
                left,
                operator.into_operator()?,
                operand.into_operand()?,
            ))
        })
    }

    /// `= any (…)`: of a column or expression that is an array.
    pub fn eq_any(self, array: impl IntoOperand) -> Self {
        self.is_any(Operator::Equal, array)
    }

    /// The comparison holds with at least one element of an array, or one row of a query.
    pub fn is_any(self, operator: impl IntoOperator, of: impl IntoOperand) -> Self {
        self.quantified(operator, false, of)
    }

    /// The comparison holds with each element of an array, or each row of a query.
    pub fn is_all(self, operator: impl IntoOperator, of: impl IntoOperand) -> Self {
        self.quantified(operator, true, of)
    }

    fn quantified(self, operator: impl IntoOperator, all: bool, of: impl IntoOperand) -> Self {
        self.map(|left| {
            Ok(Tree::Quantified {
                left: Box::new(left),
                operator: operator.into_operator()?,
                all,
                right: Box::new(of.into_operand()?),
            })
        })
    }

    /// As a value of that type.
    pub fn cast(self, to: &str) -> Self {
        self.map(|tree| Ok(tree.cast(TypeName::parse(to)?)))
    }

    fn map_call(self, change: impl FnOnce(&mut Call<Value>) -> Result<(), sql::Error>) -> Self {
        self.map(|mut tree| {
            let Tree::Call(call) = &mut tree else {
                return Err(sql::Error::new(
                    "DISTINCT, FILTER, OVER or an order was said of what is no function",
                    "say it right behind the function, before a cast or operator",
                ));
            };
            change(call)?;
            Ok(tree)
        })
    }

    /// Each value once: `count(distinct …)`.
    pub fn distinct(self) -> Self {
        self.map_call(|call| {
            call.distinct = true;
            Ok(())
        })
    }

    /// The order in which an aggregate sees its values.
    pub fn ordered(self, by: impl IntoExpression, direction: Direction) -> Self {
        self.map_call(|call| {
            call.order.push(order(by, direction, None)?);
            Ok(())
        })
    }

    /// `within group (order by …)`: of what a percentile or `mode` is taken.
    ///
    /// ```
    /// use aquifer::query::{self, Direction, call, val};
    ///
    /// let median = call("percentile_cont", val(0.5)).within_group("total", Direction::Asc);
    /// let sql = query::from("orders").select(median).to_sql()?;
    /// assert_eq!(
    ///     sql,
    ///     r#"select percentile_cont($1::float8) within group (order by "total") from "orders""#
    /// );
    /// # Ok::<(), aquifer::Error>(())
    /// ```
    pub fn within_group(self, by: impl IntoExpression, direction: Direction) -> Self {
        self.map_call(|call| {
            call.order.push(order(by, direction, None)?);
            call.within_group = true;
            Ok(())
        })
    }

    /// `filter (where …)`: only of rows where this holds.
    pub fn filter(self, condition: impl IntoExpression) -> Self {
        self.map_call(|call| {
            call.filter.push(condition.into_expression().tree?);
            Ok(())
        })
    }

    /// `over (…)`.
    pub fn over(self, window: Window) -> Self {
        self.map_call(|call| {
            call.over = Some(Over::Window(Box::new(window.tree?)));
            Ok(())
        })
    }

    /// `over name`: a window that the query names by [`window`](super::QueryBuilder::window).
    pub fn over_named(self, name: impl Into<Cow<'static, str>>) -> Self {
        self.map_call(|call| {
            call.over = Some(Over::Named(Name::new(name)?));
            Ok(())
        })
    }

    pub(super) fn into_item(self) -> Result<Item, sql::Error> {
        Ok(Item {
            expr: self.tree?,
            alias: self.alias,
        })
    }
}

/// A step of an order.
pub(super) fn order(
    by: impl IntoExpression,
    direction: Direction,
    nulls: Option<Nulls>,
) -> Result<Order, sql::Error> {
    let by = by.into_expression().tree?;
    Ok(Order {
        by,
        direction,
        nulls,
    })
}

/// Text as an expression.
pub(super) fn fragment(text: impl IntoFragment) -> Result<Tree, sql::Error> {
    let Fragment { template, values } = text.into_fragment()?;
    if let Some(fault) = aquifer_core::scan::fragment_fault(&template) {
        return Err(sql::Error::new(
            format!("raw text {fault}"),
            "give one whole expression, with `{}` of raw! for values",
        ));
    }
    Ok(Tree::Raw(Fragment { template, values }))
}
