mod cell;
mod condition;
mod like;
mod rules;
mod select;
mod table;

use std::fmt;
use std::future::ready;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aquifer_wire::Reply;
use aquifer_wire::types::{IntoValue, Value};

use self::cell::Row;
use self::table::Table;
use crate::entity::{Col, ColumnsOf, Entity, Insert, Pred, Query, SoftDelete, Values};
use crate::query::{CursorKey, CursorPage};
use crate::repository::Repository;
use crate::session::SessionFuture;
use crate::{Error, ErrorKind};

/// A [`Repository`] that holds its rows in memory, for tests of services: nothing is connected to.
///
/// Cheap to clone; all clones are one, so that a test keeps one to look into. It does what a
/// [`Repo`](crate::Repo) does:
///
/// - Columns that are `auto` are counted up from 1 where they are integers; others need a rule, said
///   by [`auto`](Self::auto). What a `default` column takes must be said by
///   [`default`](Self::default), since the struct doesn't know. A version begins with 1.
/// - Keys are unique, and so is what [`unique`](Self::unique) says.
/// - Versions are raised and compared, rows are marked as deleted, pages and their cursors work.
/// - Conditions and orders are evaluated in memory as far as that can be: comparisons, `is_in`,
///   `between`, patterns, tests for NULL, `and`, `or`, `not`, `lower`, `upper`, `coalesce`. Text is
///   compared by its bytes, as by the collation `C`. Any other part of a query is an error that names
///   it.
/// - Texts with a NUL, and patterns that end in half an escape (`\`), are refused as the server
///   refuses them; such a pattern always, where the server does so once a text has got so far in it.
///
/// What it doesn't know, so that a test is honest: other constraints (foreign keys, CHECK, exclusion,
/// unique indexes that were not said), triggers, generated columns, privileges, raw SQL. It is part of
/// no transaction: what was written stays when one is rolled back. Values are stored as what they
/// encode to; those of array, composite and range types can't be compared. For all that there are
/// [`Template`](super::Template) and [`sandbox`](super::sandbox).
///
/// ```
/// use std::sync::Arc;
///
/// use aquifer::entity::Entity;
/// use aquifer::testing::FakeRepository;
/// use aquifer::{Error, Repository, insert};
///
/// #[derive(Entity)]
/// #[entity(table = "users")]
/// struct User {
///     #[entity(key, auto)]
///     id: i64,
///     email: String,
///     #[entity(default)]
///     active: bool,
/// }
///
/// # async fn example() -> Result<(), Error> {
/// let fake = FakeRepository::new().default(User::ACTIVE, true).unique(User::EMAIL);
/// let users: Arc<dyn Repository<User>> = Arc::new(fake);
/// let ann = users.insert(insert!(User { email: "ann@example.com" })).await?;
/// assert_eq!((ann.id, ann.active), (1, true));
/// assert!(users.insert(insert!(User { email: "ann@example.com" })).await.is_err());
/// # Ok(()) }
/// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
/// ```
#[doc(alias("mock", "in-memory", "stub"))]
pub struct FakeRepository<E> {
    table: Arc<Mutex<Table>>,
    entity: PhantomData<fn() -> E>,
}

impl<E: Entity> FakeRepository<E> {
    /// One without rows.
    #[must_use]
    #[expect(
        clippy::new_without_default,
        reason = "`default` says what a column takes"
    )]
    pub fn new() -> Self {
        Self {
            table: Arc::new(Mutex::new(Table::of(E::META))),
            entity: PhantomData,
        }
    }

    /// What a column takes where an insert gives it no value, as DEFAULT says in the table.
    #[must_use]
    pub fn default<T>(self, column: Col<E, T>, value: T) -> Self
    where
        T: IntoValue + Clone + Send + Sync + 'static,
    {
        self.auto(column, move |_number| value.clone())
    }

    /// What the database fills into a column, by the number of the row from 1: a UUID, the time.
    #[must_use]
    pub fn auto<T>(self, column: Col<E, T>, make: impl Fn(u64) -> T + Send + Sync + 'static) -> Self
    where
        T: IntoValue,
    {
        let rule = move |number| make(number).into_value();
        self.lock().rules.set(column.name(), Box::new(rule));
        self
    }

    /// That no two rows have the same values in these columns, as UNIQUE says in the table.
    #[must_use]
    pub fn unique(self, columns: impl ColumnsOf<E>) -> Self {
        let mut names = Vec::new();
        columns.names(&mut names);
        self.lock().rules.unique(names);
        self
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something at once: a fake never waits.
    fn answer<'a, T: Send + 'a>(
        &self,
        work: impl FnOnce(&mut Table) -> Result<T, Error>,
    ) -> SessionFuture<'a, T> {
        let outcome = work(&mut self.lock());
        Box::pin(ready(outcome))
    }
}

fn key_of<E: Entity>(key: E::Key) -> Vec<Value> {
    Values::of_key::<E>(key).collect()
}

fn read<E: Entity>(row: &Row) -> Result<E, Error> {
    let columns = E::META.columns().iter().map(|column| column.name());
    let reply = Reply::composed(columns.zip(row))?;
    reply.decode_first()?.ok_or_else(|| {
        let text = "a row of the fake repository can't be read";
        Error::new(ErrorKind::Decode, text)
    })
}

fn read_all<E: Entity>(rows: &[Row]) -> Result<Vec<E>, Error> {
    rows.iter().map(read).collect()
}

impl<E: Entity> Repository<E> for FakeRepository<E> {
    fn find(&self, key: E::Key) -> SessionFuture<'_, Option<E>> {
        self.first(E::query().filter(Pred::<E>::of_key(key_of::<E>(key))))
    }

    fn find_many(&self, keys: Vec<E::Key>) -> SessionFuture<'_, Vec<Option<E>>> {
        self.answer(|table| {
            let found = keys.into_iter().map(|key| {
                let condition = Pred::<E>::of_key(key_of::<E>(key));
                let select = E::query().filter(condition).into_draft().into_select()?;
                table.select(&select)?.first().map(read).transpose()
            });
            found.collect()
        })
    }

    fn fetch(&self, query: Query<E>) -> SessionFuture<'_, Vec<E>> {
        self.answer(|table| {
            let select = query.into_draft().into_select()?;
            read_all(&table.select(&select)?)
        })
    }

    fn count(&self, query: Query<E>) -> SessionFuture<'_, u64> {
        self.answer(|table| {
            let select = query.into_draft().into_select()?;
            Ok(table.select(&select)?.len() as u64)
        })
    }

    fn exists(&self, query: Query<E>) -> SessionFuture<'_, bool> {
        self.answer(|table| {
            let select = query.into_draft().into_select()?;
            Ok(!table.select(&select)?.is_empty())
        })
    }

    fn page(
        &self,
        query: Query<E>,
        key: &CursorKey,
        after: Option<&str>,
        size: u64,
    ) -> SessionFuture<'_, CursorPage<E>> {
        self.answer(|table| {
            let mut select = query.ordered_by_key().into_draft().into_select()?;
            (select.limit, select.offset) = (None, None);
            let page = table.page(select, key, after, size)?;
            Ok(CursorPage {
                rows: read_all(&page.rows)?,
                next: page.next,
            })
        })
    }

    fn insert(&self, row: Insert<E>) -> SessionFuture<'_, E> {
        self.answer(|table| read(&table.insert(row.into_statement()?)?))
    }

    fn insert_many(&self, rows: Vec<Insert<E>>) -> SessionFuture<'_, u64> {
        self.answer(|table| {
            crate::repository::check_rows(&rows)?;
            let rows = rows.into_iter().map(Insert::into_statement);
            let rows: Vec<_> = rows.collect::<Result<_, _>>()?;
            table.insert_many(rows)
        })
    }

    fn save<'a>(&'a self, row: &'a mut E) -> SessionFuture<'a, ()> {
        self.answer(|table| {
            let saved = table.save(Values::of(row).collect())?;
            *row = read(&saved)?;
            Ok(())
        })
    }

    fn delete(&self, key: E::Key) -> SessionFuture<'_, bool> {
        self.answer(|table| table.delete(&key_of::<E>(key)))
    }

    fn restore(&self, key: E::Key) -> SessionFuture<'_, bool>
    where
        E: SoftDelete,
    {
        self.answer(|table| table.restore(&key_of::<E>(key)))
    }
}

impl<E> Clone for FakeRepository<E> {
    fn clone(&self) -> Self {
        Self {
            table: Arc::clone(&self.table),
            entity: PhantomData,
        }
    }
}

impl<E: Entity> fmt::Debug for FakeRepository<E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values stay out.
        formatter
            .debug_struct("FakeRepository")
            .field("entity", &E::META.entity())
            .field("rows", &self.lock().len())
            .finish_non_exhaustive()
    }
}
