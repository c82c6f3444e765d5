use super::{Expr, Filter, Join, List, Name, Source, Statement, Window};

/// SELECT.
#[derive(Clone, Debug)]
pub struct Select<V> {
    /// What is selected; everything when empty.
    pub items: List<Item<V>>,
    /// From where; there may be no source, as in `select $1`.
    pub from: Option<Source<V>>,
    /// Further sources.
    pub joins: Vec<Join<V>>,
    /// WHERE.
    pub filter: Filter<V>,
    /// ORDER BY.
    pub order: List<Order<V>>,
    /// LIMIT.
    pub limit: Option<V>,
    /// OFFSET.
    pub offset: Option<V>,
    /// All that few queries have.
    pub extra: Option<Box<SelectExtra<V>>>,
}

impl<V> Select<V> {
    /// Everything from there.
    #[must_use]
    pub fn of(from: Source<V>) -> Self {
        Self {
            from: Some(from),
            ..Self::default()
        }
    }

    /// The parts that few queries have, to be changed.
    pub fn extra(&mut self) -> &mut SelectExtra<V> {
        self.extra.get_or_insert_default()
    }
}

impl<V> Default for Select<V> {
    fn default() -> Self {
        Self {
            items: List::default(),
            from: None,
            joins: Vec::new(),
            filter: Filter::default(),
            order: List::default(),
            limit: None,
            offset: None,
            extra: None,
        }
    }
}

/// The parts of SELECT that few queries have.
#[derive(Clone, Debug)]
pub struct SelectExtra<V> {
    /// WITH.
    pub with: Vec<Cte<V>>,
    /// DISTINCT.
    pub distinct: Distinct<V>,
    /// GROUP BY.
    pub group: Vec<Expr<V>>,
    /// HAVING.
    pub having: Filter<V>,
    /// WINDOW.
    pub windows: Vec<(Name, Window<V>)>,
    /// UNION, INTERSECT, EXCEPT; order and limit of the query are those of the whole.
    pub combine: Vec<Combination<V>>,
    /// Also the rows that are equal to the last one by the order.
    pub with_ties: bool,
    /// FOR UPDATE and its like.
    pub locks: Vec<Lock>,
}

impl<V> Default for SelectExtra<V> {
    fn default() -> Self {
        Self {
            with: Vec::new(),
            distinct: Distinct::No,
            group: Vec::new(),
            having: Filter::default(),
            windows: Vec::new(),
            combine: Vec::new(),
            with_ties: false,
            locks: Vec::new(),
        }
    }
}

/// What is selected or returned.
#[derive(Clone, Debug)]
pub struct Item<V> {
    /// The value.
    pub expr: Expr<V>,
    /// The name of the column that it becomes.
    pub alias: Option<Name>,
}

impl<V> From<Expr<V>> for Item<V> {
    fn from(expr: Expr<V>) -> Self {
        Self { expr, alias: None }
    }
}

/// DISTINCT.
#[derive(Clone, Debug)]
pub enum Distinct<V> {
    /// All rows.
    No,
    /// Each row once.
    Rows,
    /// Of rows that have these in common, the first by the order.
    On(Vec<Expr<V>>),
}

/// One step of ORDER BY.
#[derive(Clone, Debug)]
pub struct Order<V> {
    /// By what.
    pub by: Expr<V>,
    /// In which direction.
    pub direction: Direction,
    /// Where NULL stands; the server's default is last for `asc` and first for `desc`.
    pub nulls: Option<Nulls>,
}

/// In which direction rows are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Direction {
    /// The smallest first.
    #[default]
    Asc,
    /// The largest first.
    Desc,
}

/// Where NULL stands in an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Nulls {
    /// Before all others.
    First,
    /// Behind all others.
    Last,
}

/// A query that stands in front of a statement under a name.
#[derive(Clone, Debug)]
pub struct Cte<V> {
    /// Its name.
    pub name: Name,
    /// The names of its columns; those of its query when empty.
    pub columns: Vec<Name>,
    /// Whether it may use itself.
    pub recursive: bool,
    /// Whether it is computed once (true), as part of the query around it (false), or as the server
    /// likes.
    pub materialized: Option<bool>,
    /// The query, or a statement that returns rows.
    pub statement: Statement<V>,
}

/// One more query whose rows are taken together with those before.
#[derive(Clone, Debug)]
pub struct Combination<V> {
    /// How.
    pub operator: SetOperator,
    /// Whether rows that occur several times do so in the result.
    pub all: bool,
    /// The other query.
    pub select: Select<V>,
}

/// How the rows of two queries are taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetOperator {
    /// Those of both.
    Union,
    /// Those that both have.
    Intersect,
    /// Those that only the first has.
    Except,
}

/// Locks the rows that are read, until the transaction ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    /// How strongly.
    pub strength: LockStrength,
    /// Of these tables; of all when empty.
    pub of: Vec<Name>,
    /// What happens when somebody else holds one.
    pub wait: LockWait,
}

/// How strongly rows are locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockStrength {
    /// `for update`: nobody else may change, delete or lock them.
    Update,
    /// `for no key update`: as `update`, but others may refer to them.
    NoKeyUpdate,
    /// `for share`: others may read and share them.
    Share,
    /// `for key share`: others may change all but their keys.
    KeyShare,
}

/// What happens when somebody else holds the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum LockWait {
    /// Wait for it.
    #[default]
    Wait,
    /// Leave that row out.
    SkipLocked,
    /// Fail at once.
    NoWait,
}
