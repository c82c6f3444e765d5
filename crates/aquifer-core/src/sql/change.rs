use super::{Cte, Expr, Filter, Item, Join, Name, Select, Source, Table};

/// INSERT.
#[derive(Clone, Debug)]
pub struct Insert<V> {
    /// WITH.
    pub with: Vec<Cte<V>>,
    /// Where to.
    pub into: Table,
    /// The columns that are given; others get their defaults.
    pub columns: Vec<Name>,
    /// What is inserted.
    pub source: InsertSource<V>,
    /// ON CONFLICT.
    pub conflict: Option<Box<Conflict<V>>>,
    /// RETURNING.
    pub returning: Vec<Item<V>>,
}

/// What an INSERT inserts.
#[derive(Clone, Debug)]
pub enum InsertSource<V> {
    /// One row of defaults.
    Defaults,
    /// Rows, each with one value for each column.
    Rows(Vec<Vec<Expr<V>>>),
    /// A list for each column: one text for any number of rows. The server takes the type of each
    /// list from its column.
    Lists(Vec<ColumnList<V>>),
    /// The rows of a query.
    Select(Box<Select<V>>),
}

/// What happens when a row is there already.
#[derive(Clone, Debug)]
pub struct Conflict<V> {
    /// Which rows are the same; any, when it is `None`, which suits DO NOTHING only.
    pub target: ConflictTarget<V>,
    /// What is done then.
    pub action: ConflictAction<V>,
}

/// By what rows are the same.
#[derive(Clone, Debug)]
pub enum ConflictTarget<V> {
    /// Any unique index.
    Any,
    /// The unique index on these columns; of a partial index also its condition.
    Columns(Vec<Name>, Filter<V>),
    /// The constraint of that name.
    Constraint(Name),
}

/// What is done with a row that is there already.
#[derive(Clone, Debug)]
pub enum ConflictAction<V> {
    /// It is left as it is.
    Nothing,
    /// It is changed; the row that was to be inserted is named `excluded`.
    Update {
        /// What is set.
        set: Vec<Assignment<V>>,
        /// Only where this holds.
        filter: Filter<V>,
    },
}

/// A column and what it is set to.
#[derive(Clone, Debug)]
pub struct Assignment<V> {
    /// The column.
    pub column: Name,
    /// What it is set to.
    pub value: Expr<V>,
}

/// UPDATE.
#[derive(Clone, Debug)]
pub struct Update<V> {
    /// WITH.
    pub with: Vec<Cte<V>>,
    /// Of what.
    pub table: Table,
    /// The name that it has in this statement.
    pub alias: Option<Name>,
    /// What is set.
    pub set: Vec<Assignment<V>>,
    /// Lists that the server is to take the type of these columns for, in their order; see
    /// [`InsertSource::Lists`]. They come first among the parameters and are joined as rows of this
    /// name.
    pub lists: Option<Lists<V>>,
    /// FROM.
    pub from: Option<Source<V>>,
    /// Joins behind FROM.
    pub joins: Vec<Join<V>>,
    /// WHERE.
    pub filter: Filter<V>,
    /// Whether all rows are meant where WHERE says nothing.
    pub all_rows: bool,
    /// RETURNING.
    pub returning: Vec<Item<V>>,
}

/// Rows that are given as a list for each column.
#[derive(Clone, Debug)]
pub struct Lists<V> {
    /// The name of these rows.
    pub alias: Name,
    /// The columns, which are columns of the table.
    pub columns: Vec<Name>,
    /// A list for each of them.
    pub lists: Vec<ColumnList<V>>,
}

/// The values of one column, for many rows.
#[derive(Clone, Debug)]
pub enum ColumnList<V> {
    /// A value for each row.
    Values(V),
    /// An array for each row. UNNEST takes arrays of arrays apart altogether, so their elements
    /// travel one behind the other, and of each row where its own begin and end.
    Arrays {
        /// All elements.
        elements: V,
        /// The place of each row's first one, counted from 1; NULL where the row has NULL.
        starts: V,
        /// The place of each row's last one; one less than the first for an empty array.
        ends: V,
    },
}

/// DELETE.
#[derive(Clone, Debug)]
pub struct Delete<V> {
    /// WITH.
    pub with: Vec<Cte<V>>,
    /// From what.
    pub table: Table,
    /// The name that it has in this statement.
    pub alias: Option<Name>,
    /// USING.
    pub using: Option<Source<V>>,
    /// Joins behind USING.
    pub joins: Vec<Join<V>>,
    /// WHERE.
    pub filter: Filter<V>,
    /// Whether all rows are meant where WHERE says nothing.
    pub all_rows: bool,
    /// RETURNING.
    pub returning: Vec<Item<V>>,
}

impl<V> Insert<V> {
    /// One row of defaults.
    #[must_use]
    pub fn into(table: Table) -> Self {
        Self {
            with: Vec::new(),
            into: table,
            columns: Vec::new(),
            source: InsertSource::Defaults,
            conflict: None,
            returning: Vec::new(),
        }
    }
}

impl<V> Update<V> {
    /// Nothing yet.
    #[must_use]
    pub fn of(table: Table) -> Self {
        Self {
            with: Vec::new(),
            table,
            alias: None,
            set: Vec::new(),
            lists: None,
            from: None,
            joins: Vec::new(),
            filter: Filter::default(),
            all_rows: false,
            returning: Vec::new(),
        }
    }
}

impl<V> Delete<V> {
    /// Nothing yet.
    #[must_use]
    pub fn from(table: Table) -> Self {
        Self {
            with: Vec::new(),
            table,
            alias: None,
            using: None,
            joins: Vec::new(),
            filter: Filter::default(),
            all_rows: false,
            returning: Vec::new(),
        }
    }
}
