use std::collections::{HashMap, HashSet};
use std::fmt;
use std::future::ready;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::vec::IntoIter;

use aquifer_core::sql::{self, InsertSource};
use aquifer_wire::Reply;
use aquifer_wire::types::{Raw, Type, Value};

use super::Repository;
use super::identity::Identity;
use super::session::AnySession;
use crate::coalesce::Lookup;
use crate::entity::{Entity, Insert, Pred, Query, SoftDelete, Values};
use crate::execute::Engine;
use crate::query::{Attached, CursorKey, CursorPage, QueryBuilder};
use crate::session::{Session, SessionFuture};
use crate::statement::{AssertSafe, SqlText, TableName};
use crate::transaction::Transaction;
use crate::{Error, ErrorKind};

/// Most rows of one INSERT; more travel by COPY, which does not hold them as arrays besides.
const ROWS_OF_ONE_INSERT: usize = 10_000;

/// The rows of an entity in PostgreSQL; made by [`Db::repo`](crate::Db::repo) and
/// [`Transaction::repo`](crate::Transaction::repo).
///
/// Cheap to clone. Only [`find`](Repository::find)s of one `Repo` and its clones travel together, so
/// make it once and hand it to whoever needs it.
///
/// One of a `Db` joins the transaction of the task that calls it, as every call on that `Db` does;
/// one of a transaction always works in that. Called through `dyn Repository`, the place that events
/// and the recorder of `testing` name is one in this library.
///
/// ```no_run
/// # use aquifer::{Db, Error, Repo, Repository, entity::Entity};
/// # #[derive(Entity)] #[entity(table = "users")]
/// # struct User { #[entity(key)] id: i64, name: String }
/// # async fn example(db: &Db) -> Result<(), Error> {
/// let users: Repo<User> = db.repo();
/// let ann = users.find(7).await?;
/// # Ok(()) }
/// ```
pub struct Repo<E: Entity>(Arc<Inner<E>>);

struct Inner<E: Entity> {
    session: AnySession,
    /// Where look-ups may travel together: not in a transaction of its own.
    engine: Option<Arc<Engine>>,
    /// Made by the first `find`.
    lookup: OnceLock<Option<Lookup<Identity, E>>>,
    /// A look-up showed that rows can't be told apart by the bytes of their keys.
    alone: AtomicBool,
}

impl<E: Entity> Repo<E> {
    pub(crate) fn new(session: impl Session + Send + 'static, engine: Option<Arc<Engine>>) -> Self {
        Self(Arc::new(Inner {
            session: AnySession::new(session),
            engine,
            lookup: OnceLock::new(),
            alone: AtomicBool::new(false),
        }))
    }

    /// A repository of another entity in the same session.
    #[must_use]
    pub fn other<O: Entity>(&self) -> Repo<O> {
        Repo(Arc::new(Inner {
            session: self.0.session.clone(),
            engine: self.0.engine.clone(),
            lookup: OnceLock::new(),
            alone: AtomicBool::new(false),
        }))
    }

    /// Where it works: for statements that methods of one's own send.
    ///
    /// ```
    /// # use aquifer::{Repo, Repository, SessionFuture, entity::Entity};
    /// # #[derive(Entity)] #[entity(table = "users")]
    /// # struct User { #[entity(key, auto)] id: i64, visits: i64 }
    /// trait UserRepository: Repository<User> {
    ///     fn count_visit(&self, id: i64) -> SessionFuture<'_, u64>;
    /// }
    ///
    /// impl UserRepository for Repo<User> {
    ///     fn count_visit(&self, id: i64) -> SessionFuture<'_, u64> {
    ///         let update = User::update().set(User::VISITS, User::VISITS + 1);
    ///         update.filter(User::ID.eq(id)).execute(self.session())
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn session(&self) -> &(impl Session + use<E>) {
        self.any_session()
    }

    fn any_session(&self) -> &AnySession {
        &self.0.session
    }

    #[track_caller]
    fn find_alone(&self, key: IntoIter<Value>) -> SessionFuture<'_, Option<E>> {
        let query = E::query().filter(Pred::<E>::of_key(key));
        query.optional(self.session())
    }

    /// Look-ups that travel together; `None` in a transaction, and for keys that can't.
    fn lookup(&self) -> Option<&Lookup<Identity, E>> {
        let engine = self.0.engine.as_ref()?;
        if self.0.alone.load(Ordering::Relaxed) {
            return None;
        }
        let lookup = self.0.lookup.get_or_init(|| {
            let key = single_key::<E>()?;
            // Which values stand in the list makes no difference to the text.
            let any = Pred::<E>::of_column(key, vec![Value::NULL]);
            let text = E::query().filter(any).to_sql().ok()?;
            let sql = AssertSafe(text).into_sql();
            Some(Lookup::new(Arc::clone(engine), sql, key))
        });
        lookup.as_ref()
    }
}

/// The only column of the key.
fn single_key<E: Entity>() -> Option<&'static str> {
    let mut key = E::META.key();
    match (key.next(), key.next()) {
        (Some(column), None) => Some(column.name()),
        _ => None,
    }
}

impl<E: Entity> Repository<E> for Repo<E> {
    #[track_caller]
    fn find(&self, key: E::Key) -> SessionFuture<'_, Option<E>> {
        let values = Values::of_key::<E>(key);
        let identity = match values.as_slice() {
            [value] => Identity::of(value).filter(Identity::is_as_written),
            _ => None,
        };
        let (Some(lookup), Some(identity)) = (self.lookup(), identity) else {
            return self.find_alone(values);
        };
        let failed = move |error: Error| -> SessionFuture<'_, Option<E>> {
            if error.kind() != ErrorKind::Usage {
                return Box::pin(ready(Err(error)));
            }
            // PostgreSQL compares such keys in another way than byte by byte.
            if !lookup.fits() {
                self.0.alone.store(true, Ordering::Relaxed);
            }
            self.find_alone(values)
        };
        Box::pin(lookup.find_or(identity, Location::caller(), failed))
    }

    #[track_caller]
    fn find_many(&self, keys: Vec<E::Key>) -> SessionFuture<'_, Vec<Option<E>>> {
        let location = Location::caller();
        let keys: Vec<Vec<Value>> = keys
            .into_iter()
            .map(|key| Values::of_key::<E>(key).collect())
            .collect();
        Box::pin(async move {
            if keys.is_empty() {
                return Ok(Vec::new());
            }
            let wanted = keys.iter().map(|key| identities::<E>(key));
            let wanted: Vec<Vec<Identity>> = wanted.collect::<Result<_, _>>()?;
            let plan = E::query().filter(any_key::<E>(keys)).build();
            let session = Attached::to(self.session());
            let found = session.run(plan, location, |reply| in_order(&reply, wanted));
            found.await
        })
    }

    #[track_caller]
    fn fetch(&self, query: Query<E>) -> SessionFuture<'_, Vec<E>> {
        query.fetch(self.session())
    }

    #[track_caller]
    fn count(&self, query: Query<E>) -> SessionFuture<'_, u64> {
        query.count(self.session())
    }

    #[track_caller]
    fn exists(&self, query: Query<E>) -> SessionFuture<'_, bool> {
        query.exists(self.session())
    }

    #[track_caller]
    fn page(
        &self,
        query: Query<E>,
        key: &CursorKey,
        after: Option<&str>,
        size: u64,
    ) -> SessionFuture<'_, CursorPage<E>> {
        let draft = query.ordered_by_key().into_draft();
        QueryBuilder::begun(self.session(), draft).cursor_page_as(key, after, size)
    }

    #[track_caller]
    fn insert(&self, row: Insert<E>) -> SessionFuture<'_, E> {
        row.fetch(self.session())
    }

    #[track_caller]
    fn insert_many(&self, rows: Vec<Insert<E>>) -> SessionFuture<'_, u64> {
        if let Err(error) = check_rows(&rows) {
            return Box::pin(ready(Err(error)));
        }
        if rows.len() > ROWS_OF_ONE_INSERT || rows.iter().any(Insert::has_list) {
            return copy(self.any_session(), rows);
        }
        E::insert_many(rows).execute(self.session())
    }

    #[track_caller]
    fn save<'a>(&'a self, row: &'a mut E) -> SessionFuture<'a, ()> {
        row.save(self.session())
    }

    #[track_caller]
    fn delete(&self, key: E::Key) -> SessionFuture<'_, bool> {
        let delete = E::delete().filter(Pred::<E>::of_key(Values::of_key::<E>(key)));
        let deleted = delete.execute(self.session());
        Box::pin(async move { Ok(deleted.await? > 0) })
    }

    #[track_caller]
    fn restore(&self, key: E::Key) -> SessionFuture<'_, bool>
    where
        E: SoftDelete,
    {
        let restore = E::restore().filter(Pred::<E>::of_key(Values::of_key::<E>(key)));
        let restored = restore.execute(self.session());
        Box::pin(async move { Ok(restored.await? > 0) })
    }
}

/// The row has one of these keys.
fn any_key<E: Entity>(keys: Vec<Vec<Value>>) -> Pred<E> {
    match single_key::<E>() {
        Some(column) => Pred::of_column(column, keys.into_iter().flatten().collect()),
        None => crate::entity::any(keys.into_iter().map(Pred::of_key)),
    }
}

/// For each key its row, of which a second one is read anew: rows can't be copied.
fn in_order<E: Entity>(
    reply: &Reply,
    mut wanted: Vec<Vec<Identity>>,
) -> Result<Vec<Option<E>>, Error> {
    let types = key_types::<E>(reply)?;
    for key in &mut wanted {
        for (part, ty) in key.iter_mut().zip(&types) {
            *part = part.in_column(ty).ok_or_else(not_told_apart::<E>)?;
        }
    }
    let mut places = Vec::with_capacity(reply.len());
    reply.locate(0, |_first: Raw, place| {
        places.push(place);
        true
    })?;
    let rows: Vec<E> = reply.decode()?;
    let mut by_key = HashMap::with_capacity(rows.len());
    for (row, place) in rows.into_iter().zip(places) {
        let key: Vec<Value> = Values::of_key::<E>(row.key()).collect();
        let mut key = identities::<E>(&key)?;
        for (part, ty) in key.iter_mut().zip(&types) {
            *part = part.in_column(ty).ok_or_else(not_told_apart::<E>)?;
        }
        by_key.insert(key, (Some(row), place));
    }
    let asked: HashSet<_> = wanted.iter().collect();
    if by_key.keys().any(|key| !asked.contains(key)) {
        // Else it would look as if there were no row.
        return Err(not_told_apart::<E>());
    }
    let found = wanted.iter().map(|key| match by_key.get_mut(key) {
        None => Ok(None),
        Some((row @ Some(_), _)) => Ok(row.take()),
        Some((None, place)) => Ok(Some(reply.decode_one_at(*place)?)),
    });
    found.collect()
}

/// The types of the key's columns.
fn key_types<E: Entity>(reply: &Reply) -> Result<Vec<Type>, Error> {
    let columns = reply.columns();
    let types = E::META.key().map(|column| {
        let known = columns.position(column.name());
        let known = known.and_then(|position| columns.list().get(position));
        known.map(|column| column.ty().clone())
    });
    types.collect::<Option<_>>().ok_or_else(not_told_apart::<E>)
}

fn identities<E: Entity>(key: &[Value]) -> Result<Vec<Identity>, Error> {
    let parts = key.iter().map(Identity::of);
    parts.collect::<Option<_>>().ok_or_else(not_told_apart::<E>)
}

#[cold]
fn not_told_apart<E: Entity>() -> Error {
    let text = format!(
        "the keys of {} can't be told apart byte by byte, as PostgreSQL compares them in another way \
         or writes them otherwise than they were given; find them one by one, or fetch a query with \
         `is_in`",
        E::META.entity()
    );
    Error::new(ErrorKind::Usage, text)
}

#[track_caller]
fn copy<E: Entity>(session: &AnySession, rows: Vec<Insert<E>>) -> SessionFuture<'_, u64> {
    let (columns, rows) = match columns_and_rows(rows) {
        Ok(parts) => parts,
        Err(error) => return Box::pin(ready(Err(error.into()))),
    };
    let (schema, table) = (E::META.schema(), E::META.table());
    let table = schema.map_or_else(
        || TableName::from(table),
        |schema| TableName::from((schema, table)),
    );
    let begun = session.copy_into(table, columns.iter().map(sql::Name::as_str));
    Box::pin(async move {
        let mut writer = begun.await?;
        for row in rows {
            writer.write(row).await?;
        }
        writer.finish().await
    })
}

type Rows = Vec<Vec<Value>>;

fn columns_and_rows<E: Entity>(rows: Vec<Insert<E>>) -> Result<(Vec<sql::Name>, Rows), sql::Error> {
    let (mut columns, mut values) = (Vec::new(), Vec::with_capacity(rows.len()));
    for (number, row) in rows.into_iter().enumerate() {
        let statement = row.into_statement()?;
        if number == 0 {
            columns.clone_from(&statement.columns);
        }
        match (statement.source, columns == statement.columns) {
            (InsertSource::Rows(mut rows), true) => values.extend(rows.pop().map(plain)),
            _ => return Err(crate::entity::other_columns(E::META, number)),
        }
    }
    Ok((columns, values))
}

/// The values of a row; there is nothing else in one that is inserted with others.
fn plain(row: Vec<sql::Expr<Value>>) -> Vec<Value> {
    let values = row.into_iter().map(|value| match value {
        sql::Expr::Value(value) => value,
        _ => Value::NULL,
    });
    values.collect()
}

/// That rows can be inserted together.
pub(crate) fn check_rows<E: Entity>(rows: &[Insert<E>]) -> Result<(), Error> {
    if let Some(number) = rows.iter().position(Insert::has_no_value) {
        return Err(crate::entity::no_value(E::META, number).into());
    }
    let Some(number) = rows.iter().position(Insert::has_conflict) else {
        return Ok(());
    };
    let text = format!(
        "row {number} of {}, counted from 0, says what happens on a conflict, which is said for all \
         rows or none; `upsert` them one by one, or use `Entity::insert_many` and `on_conflict`",
        E::META.entity()
    );
    Err(Error::new(ErrorKind::Usage, text))
}

impl<E: Entity> Clone for Repo<E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<E: Entity> fmt::Debug for Repo<E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Repo")
            .field("entity", &E::META.entity())
            .finish_non_exhaustive()
    }
}

impl Transaction {
    /// The rows of an entity as this transaction sees and changes them.
    ///
    /// All work on its one connection, and nothing coalesces. The repository holds a clone of the
    /// transaction, so drop it where dropping the transaction is to roll it back; after the end its
    /// methods are errors.
    ///
    /// ```no_run
    /// # use aquifer::{Db, Error, Repo, Repository, entity::Entity};
    /// # #[derive(Entity)] #[entity(table = "users")]
    /// # struct User { #[entity(key)] id: i64, name: String }
    /// # async fn example(db: &Db) -> Result<(), Error> {
    /// let tx = db.begin().await?;
    /// let users: Repo<User> = tx.repo();
    /// users.delete(7).await?;
    /// tx.commit().await
    /// # }
    /// ```
    #[must_use]
    pub fn repo<E: Entity>(&self) -> Repo<E> {
        Repo::new(self.clone(), None)
    }
}
