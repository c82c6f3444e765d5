use aquifer_core::sql::{self, Connective, Operator, Test, escape_like};
use aquifer_wire::types::{IntoValue, Value};

use super::super::Tree;
use super::super::attached::Loose;
use super::super::draft::{Draft, comparison};
use super::super::expression::{fragment, not, web_search, words};
use super::super::input::{IntoExpression, IntoFragment, IntoOperand, IntoOperator};
use super::{QueryBuilder, SubQuery};

/// A column compared with a value; an error about the operator names the column.
#[inline]
fn compared(
    column: impl IntoExpression,
    operator: impl IntoOperator,
    operand: impl IntoOperand,
) -> Result<Tree, sql::Error> {
    let left = column.into_expression().tree?;
    match operator.into_operator() {
        Ok(operator) => comparison(left, operator, operand.into_operand()?),
        Err(error) => Err(about(&left, &error)),
    }
}

#[cold]
fn about(left: &Tree, error: &sql::Error) -> sql::Error {
    let what = match left {
        Tree::Column(column) => format!("column {column}: {}", error.what()),
        _ => error.what().to_owned(),
    };
    sql::Error::new(what, error.remedy().to_owned())
}

fn tested(column: impl IntoExpression, test: Test) -> Result<Tree, sql::Error> {
    Ok(Tree::Test(Box::new(column.into_expression().tree?), test))
}

fn between(
    column: impl IntoExpression,
    low: Value,
    high: Value,
    negated: bool,
) -> Result<Tree, sql::Error> {
    Tree::between(column.into_expression().tree?, low, high, negated)
}

/// The conditions of a closure as one.
fn group(
    build: impl FnOnce(SubQuery) -> SubQuery,
    connective: Option<Connective>,
) -> Result<Option<Tree>, sql::Error> {
    let empty = QueryBuilder {
        session: Loose,
        draft: Draft::default(),
    };
    let mut draft = build(empty).draft;
    draft.check()?;
    let filter = std::mem::take(&mut draft.select.filter);
    let mixed = connective == Some(Connective::And)
        && filter.connective == Connective::Or
        && filter.list.len() > 1;
    if mixed || draft.select.from.is_some() || !draft.select.order.is_empty() {
        return Err(sql::Error::new(
            "a group of conditions has something else in it",
            "use `where_` and its like alone in it, and `or_where` not within `where_all`",
        ));
    }
    if filter.is_empty() {
        return Ok(None);
    }
    let connective = connective.unwrap_or(filter.connective);
    Ok(Some(Tree::Group(connective, filter.list.into())))
}

fn pattern(before: &str, text: impl AsRef<str>, after: &str) -> Value {
    format!("{before}{}{after}", escape_like(text.as_ref())).into_value()
}

/// Conditions. They must all hold; where one of several must, say `where_any`, or begin each but the
/// first with `or_where`. The two are not mixed in one group, since it would depend on the reader which
/// ones belong together.
impl<S> QueryBuilder<S> {
    /// `column operator value`, as in `where_("age", ">=", 18)`.
    ///
    /// The operator is one of a list, see [`Operator`]. `=` with NULL (`None`) becomes `is null`, `<>`
    /// becomes `is not null`; other comparisons with NULL are an error. `in` and `not in` take a list,
    /// `between` a list of two. `like` takes a pattern; for what a user typed see
    /// [`where_contains`](Self::where_contains). The value may be a sub-query or another expression,
    /// such as [`col`](super::super::col).
    #[inline]
    pub fn where_(
        mut self,
        column: impl IntoExpression,
        operator: impl IntoOperator,
        value: impl IntoOperand,
    ) -> Self {
        self.draft.filter(compared(column, operator, value));
        self
    }

    /// As [`where_`](Self::where_), where one condition of the group must hold.
    pub fn or_where(
        mut self,
        column: impl IntoExpression,
        operator: impl IntoOperator,
        value: impl IntoOperand,
    ) -> Self {
        self.draft.or_filter(compared(column, operator, value));
        self
    }

    /// `column = value`.
    #[doc(alias = "whereEquals")]
    pub fn where_equals(self, column: impl IntoExpression, value: impl IntoOperand) -> Self {
        self.where_(column, Operator::Equal, value)
    }

    /// `column <> value`.
    pub fn where_not_equals(self, column: impl IntoExpression, value: impl IntoOperand) -> Self {
        self.where_(column, Operator::NotEqual, value)
    }

    /// The column is one of a list, which travels as one parameter; of an empty list no row is.
    #[doc(alias = "whereIn")]
    pub fn where_in(self, column: impl IntoExpression, list: impl IntoValue) -> Self {
        self.where_(column, Operator::In, list.into_value())
    }

    /// The column is none of a list, which must not contain NULL; every row is none of an empty one.
    #[doc(alias = "whereNotIn")]
    pub fn where_not_in(self, column: impl IntoExpression, list: impl IntoValue) -> Self {
        self.where_(column, Operator::NotIn, list.into_value())
    }

    /// As [`where_in`](Self::where_in), where one condition of the group must hold.
    pub fn or_where_in(self, column: impl IntoExpression, list: impl IntoValue) -> Self {
        self.or_where(column, Operator::In, list.into_value())
    }

    /// The column is one of those that a query returns.
    pub fn where_in_query<Q>(self, column: impl IntoExpression, query: QueryBuilder<Q>) -> Self {
        self.where_(column, Operator::In, query)
    }

    /// The column is none of those that a query returns, which must not return NULL.
    pub fn where_not_in_query<Q>(
        self,
        column: impl IntoExpression,
        query: QueryBuilder<Q>,
    ) -> Self {
        self.where_(column, Operator::NotIn, query)
    }

    /// `column is null`.
    #[doc(alias = "whereNull")]
    pub fn where_null(mut self, column: impl IntoExpression) -> Self {
        self.draft.filter(tested(column, Test::IsNull));
        self
    }

    /// `column is not null`.
    #[doc(alias = "whereNotNull")]
    pub fn where_not_null(mut self, column: impl IntoExpression) -> Self {
        self.draft.filter(tested(column, Test::IsNotNull));
        self
    }

    /// As [`where_null`](Self::where_null), where one condition of the group must hold.
    pub fn or_where_null(mut self, column: impl IntoExpression) -> Self {
        self.draft.or_filter(tested(column, Test::IsNull));
        self
    }

    /// As [`where_not_null`](Self::where_not_null), where one condition of the group must hold.
    pub fn or_where_not_null(mut self, column: impl IntoExpression) -> Self {
        self.draft.or_filter(tested(column, Test::IsNotNull));
        self
    }

    /// The column is from `low` to `high`, both included.
    #[doc(alias = "whereBetween")]
    pub fn where_between(
        mut self,
        column: impl IntoExpression,
        low: impl IntoValue,
        high: impl IntoValue,
    ) -> Self {
        let condition = between(column, low.into_value(), high.into_value(), false);
        self.draft.filter(condition);
        self
    }

    /// The column is below `low` or above `high`.
    pub fn where_not_between(
        mut self,
        column: impl IntoExpression,
        low: impl IntoValue,
        high: impl IntoValue,
    ) -> Self {
        let condition = between(column, low.into_value(), high.into_value(), true);
        self.draft.filter(condition);
        self
    }

    /// The column lies between both values, whichever of them is the lower one.
    pub fn where_between_symmetric(
        mut self,
        column: impl IntoExpression,
        one: impl IntoValue,
        other: impl IntoValue,
    ) -> Self {
        let condition = between(column, one.into_value(), other.into_value(), false);
        self.draft.filter(condition.map(|mut condition| {
            if let Tree::Between { symmetric, .. } = &mut condition {
                *symmetric = true;
            }
            condition
        }));
        self
    }

    /// SQL text in parentheses: a literal, or [`raw!`](crate::raw) with values.
    ///
    /// ```
    /// # use aquifer::{query, raw};
    /// let sql = query::from("users")
    ///     .where_("active", "=", true)
    ///     .where_raw(raw!("lower(email) = {} or vip", "a@b.c"))
    ///     .to_sql()?;
    /// assert_eq!(
    ///     sql,
    ///     r#"select * from "users" where "active" = $1 and (lower(email) = $2 or vip)"#
    /// );
    /// # Ok::<(), aquifer::Error>(())
    /// ```
    #[doc(alias = "whereRaw")]
    pub fn where_raw(mut self, text: impl IntoFragment) -> Self {
        self.draft.filter(fragment(text));
        self
    }

    /// As [`where_raw`](Self::where_raw), where one condition of the group must hold.
    pub fn or_where_raw(mut self, text: impl IntoFragment) -> Self {
        self.draft.or_filter(fragment(text));
        self
    }

    /// A condition that was made as an expression.
    pub fn where_expr(mut self, condition: impl IntoExpression) -> Self {
        self.draft.filter(condition.into_expression().tree);
        self
    }

    /// As [`where_expr`](Self::where_expr), where one condition of the group must hold.
    pub fn or_where_expr(mut self, condition: impl IntoExpression) -> Self {
        self.draft.or_filter(condition.into_expression().tree);
        self
    }

    /// Two columns compared.
    pub fn where_column(
        self,
        left: impl IntoExpression,
        operator: impl IntoOperator,
        right: impl IntoExpression,
    ) -> Self {
        self.where_(left, operator, right.into_expression())
    }

    /// The conditions of a closure in parentheses, joined as they are there.
    ///
    /// ```
    /// # use aquifer::query;
    /// let sql = query::from("t")
    ///     .where_("tenant", "=", 1)
    ///     .where_group(|group| group.where_("a", ">", 1).or_where_null("b"))
    ///     .to_sql()?;
    /// assert_eq!(sql, r#"select * from "t" where "tenant" = $1 and ("a" > $2 or "b" is null)"#);
    /// # Ok::<(), aquifer::Error>(())
    /// ```
    pub fn where_group(mut self, build: impl FnOnce(SubQuery) -> SubQuery) -> Self {
        if let Some(Some(group)) = self.draft.keep(group(build, None)) {
            self.draft.filter(Ok(group));
        }
        self
    }

    /// As [`where_group`](Self::where_group), where one condition of the group around it must hold.
    pub fn or_where_group(mut self, build: impl FnOnce(SubQuery) -> SubQuery) -> Self {
        if let Some(Some(group)) = self.draft.keep(group(build, None)) {
            self.draft.or_filter(Ok(group));
        }
        self
    }

    /// One of the conditions of a closure must hold; without any nothing is asked.
    pub fn where_any(mut self, build: impl FnOnce(SubQuery) -> SubQuery) -> Self {
        if let Some(Some(group)) = self.draft.keep(group(build, Some(Connective::Or))) {
            self.draft.filter(Ok(group));
        }
        self
    }

    /// All of the conditions of a closure must hold: for use within `where_any` and `or_where`.
    pub fn where_all(mut self, build: impl FnOnce(SubQuery) -> SubQuery) -> Self {
        if let Some(Some(group)) = self.draft.keep(group(build, Some(Connective::And))) {
            self.draft.filter(Ok(group));
        }
        self
    }

    /// The conditions of a closure must not hold together.
    pub fn where_not(mut self, build: impl FnOnce(SubQuery) -> SubQuery) -> Self {
        if let Some(Some(group)) = self.draft.keep(group(build, None)) {
            self.draft.filter(Ok(Tree::Not(Box::new(group))));
        }
        self
    }

    /// The query has a row.
    pub fn where_exists<Q>(self, query: QueryBuilder<Q>) -> Self {
        self.where_expr(super::super::expression::exists(query))
    }

    /// The query has no row.
    pub fn where_not_exists<Q>(self, query: QueryBuilder<Q>) -> Self {
        self.where_expr(not(super::super::expression::exists(query)))
    }

    /// The text contains another, whose `%` and `_` mean themselves; case matters.
    pub fn where_contains(self, column: impl IntoExpression, text: impl AsRef<str>) -> Self {
        self.where_(column, Operator::Like, pattern("%", text, "%"))
    }

    /// As [`where_contains`](Self::where_contains); case does not matter.
    pub fn where_icontains(self, column: impl IntoExpression, text: impl AsRef<str>) -> Self {
        self.where_(column, Operator::ILike, pattern("%", text, "%"))
    }

    /// The text begins with another, whose `%` and `_` mean themselves.
    pub fn where_starts_with(self, column: impl IntoExpression, text: impl AsRef<str>) -> Self {
        self.where_(column, Operator::Like, pattern("", text, "%"))
    }

    /// The text ends with another, whose `%` and `_` mean themselves.
    pub fn where_ends_with(self, column: impl IntoExpression, text: impl AsRef<str>) -> Self {
        self.where_(column, Operator::Like, pattern("%", text, ""))
    }

    /// What a path leads to in a document, compared as text; the path travels as a parameter.
    ///
    /// ```
    /// # use aquifer::query;
    /// let sql = query::from("t").where_json("meta", ["address", "city"], "=", "Bonn").to_sql()?;
    /// assert_eq!(sql, r#"select * from "t" where ("meta" #>> $1) = $2"#);
    /// # Ok::<(), aquifer::Error>(())
    /// ```
    pub fn where_json<P: Into<String>>(
        self,
        document: impl IntoExpression,
        path: impl IntoIterator<Item = P>,
        operator: impl IntoOperator,
        value: impl IntoOperand,
    ) -> Self {
        self.where_(
            super::super::expression::json_text(document, path),
            operator,
            value,
        )
    }

    /// Full text search: the text matches what somebody typed (`websearch_to_tsquery`).
    pub fn where_search(
        self,
        text: impl IntoExpression,
        configuration: &str,
        typed: impl Into<String>,
    ) -> Self {
        let found = words(configuration, text);
        self.where_(
            found,
            Operator::MatchesSearch,
            web_search(configuration, typed),
        )
    }
}
