use super::{Call, Expr, Filter, Fragment, Name, Select, Table};

/// What rows come from.
#[derive(Clone, Debug)]
pub enum Source<V> {
    /// A table, view or CTE.
    Table {
        /// Which one.
        table: Table,
        /// The name that it has in this statement.
        alias: Option<Name>,
    },
    /// A sub-query.
    Select {
        /// The query.
        select: Box<Select<V>>,
        /// The name that it has in this statement.
        alias: Name,
        /// Whether it may use what stands before it.
        lateral: bool,
    },
    /// A function that returns rows.
    Call {
        /// The function.
        call: Box<Call<V>>,
        /// The name that it has in this statement.
        alias: Name,
        /// The names of its columns.
        columns: Vec<Name>,
        /// Whether it may use what stands before it.
        lateral: bool,
    },
    /// Text written by hand, as a sub-query in parentheses.
    Raw {
        /// The text.
        fragment: Fragment<V>,
        /// The name that it has in this statement.
        alias: Name,
    },
    /// Rows that are given.
    Values {
        /// The rows.
        rows: Vec<Vec<Expr<V>>>,
        /// The name that they have in this statement.
        alias: Name,
        /// The names of the columns.
        columns: Vec<Name>,
    },
}

impl<V> Source<V> {
    /// A table by its own name.
    #[must_use]
    pub fn table(table: Table) -> Self {
        Self::Table { table, alias: None }
    }

    /// By what name columns say that they are from here.
    #[must_use]
    pub fn name(&self) -> &Name {
        match self {
            Self::Table {
                alias: Some(alias), ..
            }
            | Self::Select { alias, .. }
            | Self::Call { alias, .. }
            | Self::Raw { alias, .. }
            | Self::Values { alias, .. } => alias,
            Self::Table { table, .. } => &table.name,
        }
    }
}

/// One more source.
#[derive(Clone, Debug)]
pub struct Join<V> {
    /// Which rows are kept.
    pub kind: JoinKind,
    /// What is joined.
    pub source: Source<V>,
    /// Which rows belong together; none for a cross join.
    pub on: Filter<V>,
    /// Columns of the same name that must be equal, instead of conditions.
    pub using: Vec<Name>,
}

/// Which rows a join keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinKind {
    /// Pairs.
    Inner,
    /// Pairs, and what is left over on the left.
    Left,
    /// Pairs, and what is left over on the right.
    Right,
    /// Pairs, and what is left over on both sides.
    Full,
    /// All with all.
    Cross,
}
