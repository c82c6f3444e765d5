use std::fmt;
use std::marker::PhantomData;
use std::ops::Not;

use super::{Both, In, sql};
use aquifer_wire::types::{IntoValue, Value};

/// A condition on rows of the tables in `S`.
///
/// ```
/// # use aquifer::entity::*;
/// # #[derive(Entity)] #[entity(table = "users")]
/// # struct User { #[entity(key)] id: i64, name: String, active: bool, nick: Option<String> }
/// let condition = User::ACTIVE.eq(true).and(User::NICK.is_null().or(User::NAME.contains("50%")));
/// let query = User::query().filter(!condition);
/// ```
#[must_use = "a condition does nothing by itself: hand it to `filter`"]
pub struct Pred<S> {
    pub(super) node: Result<sql::Expr<Value>, sql::Error>,
    scope: PhantomData<fn() -> S>,
}

impl<S> Pred<S> {
    pub(super) fn new(node: sql::Expr<Value>) -> Self {
        Self::of(Ok(node))
    }

    pub(super) fn of(node: Result<sql::Expr<Value>, sql::Error>) -> Self {
        let scope = PhantomData;
        Self { node, scope }
    }

    pub(super) fn test(operand: sql::Expr<Value>, test: sql::Test) -> Self {
        Self::new(sql::Expr::Test(Box::new(operand), test))
    }

    pub(super) fn compare(left: sql::Expr<Value>, operator: sql::Operator, value: Value) -> Self {
        Self::of(sql::Expr::compare_expr(left, operator, value))
    }

    pub(super) fn among(left: sql::Expr<Value>, list: Value, negated: bool) -> Self {
        Self::of(sql::Expr::among(left, list, negated))
    }

    pub(super) fn like(left: sql::Expr<Value>, any_case: bool, pattern: String) -> Self {
        let operator = match any_case {
            true => sql::Operator::ILike,
            false => sql::Operator::Like,
        };
        Self::compare(left, operator, pattern.into_value())
    }

    /// Both hold.
    pub fn and<O>(self, other: Pred<O>) -> Pred<Both<S, O>> {
        Pred::of(join(sql::Connective::And, self.node, other.node))
    }

    /// At least one of both holds.
    pub fn or<O>(self, other: Pred<O>) -> Pred<Both<S, O>> {
        Pred::of(join(sql::Connective::Or, self.node, other.node))
    }
}

impl<S> Pred<S> {
    /// The same condition as one on rows of a wider scope, or of one that is written more simply: for
    /// lists and signatures, where all conditions have one type.
    ///
    /// ```
    /// # use aquifer::entity::*;
    /// # #[derive(Entity)] #[entity(table = "users")]
    /// # struct User { #[entity(key)] id: i64, name: String, active: bool }
    /// fn visible() -> Pred<User> {
    ///     User::ACTIVE.eq(true).and(User::NAME.ne("")).within()
    /// }
    /// let users = User::query().filter(any([User::ID.eq(1), visible()]));
    /// ```
    pub fn within<W, I>(self) -> Pred<W>
    where
        S: In<W, I>,
    {
        Pred::of(self.node)
    }
}

/// It does not hold; where it is neither true nor false, for NULL, neither does its opposite.
impl<S> Not for Pred<S> {
    type Output = Self;

    fn not(self) -> Self {
        Self::of(self.node.map(|node| sql::Expr::Not(Box::new(node))))
    }
}

/// All of these hold; of none, always.
pub fn all<S>(conditions: impl IntoIterator<Item = Pred<S>>) -> Pred<S> {
    group(sql::Connective::And, conditions)
}

/// At least one of these holds; of none, never.
pub fn any<S>(conditions: impl IntoIterator<Item = Pred<S>>) -> Pred<S> {
    group(sql::Connective::Or, conditions)
}

fn group<S>(connective: sql::Connective, conditions: impl IntoIterator<Item = Pred<S>>) -> Pred<S> {
    let list: Result<Vec<_>, _> = conditions.into_iter().map(|pred| pred.node).collect();
    Pred::of(list.map(|mut list| match (list.len(), connective) {
        (0, sql::Connective::And) => sql::Expr::Constant(sql::Constant::True),
        (0, sql::Connective::Or) => sql::Expr::Constant(sql::Constant::False),
        (1, _) => list.remove(0),
        _ => sql::Expr::Group(connective, list),
    }))
}

/// Conditions with the same connective stay in one group, however many there are.
fn join(
    connective: sql::Connective,
    left: Result<sql::Expr<Value>, sql::Error>,
    right: Result<sql::Expr<Value>, sql::Error>,
) -> Result<sql::Expr<Value>, sql::Error> {
    let (left, right) = (left?, right?);
    Ok(match left {
        sql::Expr::Group(own, mut list) if own == connective => {
            list.push(right);
            sql::Expr::Group(own, list)
        }
        left => sql::Expr::Group(connective, vec![left, right]),
    })
}

impl<S> fmt::Debug for Pred<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values stay out.
        formatter.debug_struct("Pred").finish_non_exhaustive()
    }
}
