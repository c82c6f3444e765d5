use aquifer_wire::types::{DecodeOwned, Json, Value};
use aquifer_wire::{Columns, FromRow, Mapping, RowReader};

use super::draft::mark_condition;
use super::draft::{Deleted, item};
use super::name::{function, of_source, quoted};
use super::relation::twice;
use super::{Entity, Query, Relation, sql};

/// The column that holds the rows of the other table.
const RELATED: &str = "related rows";

/// A row, and those of another table that belong to it; what [`Query::with_many`] reads.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WithMany<A, B> {
    /// The row.
    pub row: A,
    /// Those that belong to it, by their key.
    pub related: Vec<B>,
}

impl<A: Entity> Query<A> {
    /// Reads the rows of another table with each row, in one statement: where the rows are few and
    /// one trip to the server is worth more than what JSON costs.
    ///
    /// The server sends the other rows as JSON, with the fields' names of the struct, which reads them
    /// through serde: `B` derives `Deserialize`, and has no fields that JSON writes in another way
    /// than serde reads them, such as a `SystemTime` or bytes. [`Relation::load`] has no such limits.
    /// Rows that are marked as deleted are passed over.
    ///
    /// ```no_run
    /// # use aquifer::{Db, Error, entity::Entity};
    /// # use serde::Deserialize;
    /// # #[derive(Entity)] #[entity(table = "users", has_many(POSTS = Post::USER_ID))]
    /// # struct User { #[entity(key)] id: i64, name: String }
    /// #[derive(Entity, Deserialize)]
    /// #[entity(table = "posts")]
    /// struct Post { #[entity(key)] id: i64, user_id: i64, title: String }
    ///
    /// # async fn example(db: &Db) -> Result<(), Error> {
    /// for user in User::query().limit(20).with_many(User::POSTS).fetch(db).await? {
    ///     println!("{}: {} posts", user.row.name, user.related.len());
    /// }
    /// # Ok(()) }
    /// ```
    pub fn with_many<B: Entity>(mut self, relation: Relation<A, B>) -> Query<A, WithMany<A, B>>
    where
        Json<Vec<B>>: DecodeOwned,
    {
        if of_source::<A>() == of_source::<B>() {
            self.draft.shared.fail(twice(&of_source::<B>()));
            return self.draft.into();
        }
        let related = aggregate(relation, self.draft.deleted);
        self.draft.append(sql::Item {
            expr: related,
            alias: Some(quoted(RELATED)),
        });
        self.draft.into()
    }
}

/// `(select json_agg(one) from (select … where … order by key) as one)`
fn aggregate<A: Entity, B: Entity>(relation: Relation<A, B>, deleted: Deleted) -> sql::Expr<Value> {
    let mut select = sql::Select::of(relation.source());
    let table = of_source::<B>();
    let columns = B::META.columns().iter();
    select.items = columns
        .map(|column| {
            let mut item = item(&table, column.name());
            item.alias = Some(quoted(column.field()));
            item
        })
        .collect();
    select.filter.push(relation.condition());
    let hidden = match deleted {
        Deleted::Shown => Deleted::Shown,
        _ => Deleted::Hidden,
    };
    select.filter.list.extend(mark_condition(B::META, hidden));
    for column in B::META.key() {
        select.order.push(sql::Order {
            by: item(&table, column.name()).expr,
            direction: sql::Direction::Asc,
            nulls: None,
        });
    }
    let one = quoted("one");
    let mut outer = sql::Select::of(sql::Source::Select {
        select: Box::new(select),
        alias: one.clone(),
        lateral: false,
    });
    let whole = sql::Column {
        table: None,
        name: one,
    };
    let call = sql::Call::new(function("json_agg"), vec![whole.into()]);
    outer.items = sql::Item::from(sql::Expr::from(call)).into();
    sql::Expr::Select(Box::new(outer))
}

impl<A: Entity, B: Entity> FromRow for WithMany<A, B>
where
    Json<Vec<B>>: DecodeOwned,
{
    fn resolve(columns: &Columns, mapping: &mut Mapping) -> Result<(), aquifer_wire::Error> {
        A::resolve(columns, mapping)?;
        mapping.column(columns, A::META.entity(), "related", RELATED)
    }

    fn read(row: &mut RowReader<'_>) -> Result<Self, aquifer_wire::Error> {
        let own = A::read(row)?;
        let related: Option<Json<Vec<B>>> = row.value(A::META.entity(), "related")?;
        Ok(Self {
            row: own,
            related: related.map(|Json(rows)| rows).unwrap_or_default(),
        })
    }
}
