use std::fmt;
use std::marker::PhantomData;

use aquifer_wire::types::ColumnType;

use super::name::{meta, of_source, quoted, table};
use super::scope::Phantom;
use super::{Col, In, Joined, Pred, Source, sql};
use aquifer_wire::types::Value;

/// Which rows of `B` belong to a row of `A`: a constant that `#[derive(Entity)]` makes of `has_many`
/// and `belongs_to`, or made by [`Source::on`].
///
/// It is joined by [`Query::join`](super::Query::join), and asked about by [`any`](Self::any).
pub struct Relation<A, B> {
    from: &'static str,
    to: &'static str,
    tables: Phantom<A, B>,
}

impl<A, B> Clone for Relation<A, B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A, B> Copy for Relation<A, B> {}

impl<A, B> fmt::Debug for Relation<A, B> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Relation({:?} = {:?})", self.from, self.to)
    }
}

impl<A, B> Relation<A, B> {
    /// Rows of `B` whose column equals that of a row of `A`.
    #[must_use]
    pub const fn new<T, U>(from: Col<A, T>, to: Col<B, U>) -> Self
    where
        T: ColumnType,
        U: ColumnType<Value = T::Value>,
    {
        Self {
            from: from.name(),
            to: to.name(),
            tables: PhantomData,
        }
    }
}

impl<A, B> Relation<A, B> {
    /// The columns of both sides.
    pub(crate) fn columns(self) -> (&'static str, &'static str) {
        (self.from, self.to)
    }
}

impl<A: Source, B: Source> Relation<A, B> {
    /// The rows of `A` to which a row of `B` belongs for which this holds.
    ///
    /// ```
    /// # use aquifer::entity::*;
    /// # #[derive(Entity)] #[entity(table = "users", has_many(POSTS = Post::USER_ID))]
    /// # struct User { #[entity(key)] id: i64 }
    /// # #[derive(Entity)] #[entity(table = "posts")]
    /// # struct Post { #[entity(key)] id: i64, user_id: i64, title: String }
    /// let authors = User::query().filter(User::POSTS.any(Post::TITLE.icontains("rust")));
    /// let silent = User::query().filter(!User::POSTS.exists());
    /// ```
    pub fn any<P: In<Joined<A, B>, I>, I>(self, condition: Pred<P>) -> Pred<A> {
        Pred::of(
            condition
                .node
                .and_then(|node| self.exists_where(Some(node))),
        )
    }

    /// The rows of `A` to which any row of `B` belongs.
    pub fn exists(self) -> Pred<A> {
        Pred::of(self.exists_where(None))
    }

    fn exists_where(
        self,
        condition: Option<sql::Expr<Value>>,
    ) -> Result<sql::Expr<Value>, sql::Error> {
        if of_source::<A>() == of_source::<B>() {
            return Err(twice(&of_source::<B>()));
        }
        let mut select = sql::Select::of(self.source());
        select.filter.push(self.condition());
        if let Some(deleted) = meta::<B>().soft_delete() {
            select
                .filter
                .push(not_deleted(of_source::<B>(), deleted.name()));
        }
        select.filter.list.extend(condition);
        Ok(sql::Expr::Exists(Box::new(select)))
    }

    /// The joined table.
    pub(super) fn source(self) -> sql::Source<Value> {
        sql::Source::Table {
            table: table(meta::<B>()),
            alias: B::ALIAS.map(quoted),
        }
    }

    /// Both columns are equal.
    pub(super) fn condition(self) -> sql::Expr<Value> {
        let column = |table, name| {
            sql::Expr::Column(sql::Column {
                table: Some(table),
                name: quoted(name),
            })
        };
        sql::Expr::binary(
            column(of_source::<B>(), self.to),
            sql::Operator::Equal,
            column(of_source::<A>(), self.from),
        )
    }
}

/// The row is not marked as deleted.
pub(super) fn not_deleted(table: sql::Name, column: &'static str) -> sql::Expr<Value> {
    let column = sql::Column {
        table: Some(table),
        name: quoted(column),
    };
    sql::Expr::Test(Box::new(column.into()), sql::Test::IsNull)
}

#[cold]
pub(super) fn twice(name: &sql::Name) -> sql::Error {
    sql::Error::new(
        format!("the table {name} stands in this query twice"),
        "give one of both another name by `alias!`",
    )
}
