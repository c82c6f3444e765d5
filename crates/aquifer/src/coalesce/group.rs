//! One group of look-ups: a statement, and its rows handed out by key.

use std::collections::HashMap;
use std::fmt;
use std::future::poll_fn;
use std::panic::Location;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aquifer_wire::Reply;
use aquifer_wire::types::{Encode, Kind, Params, Type};

use super::LookupKey;
use super::queue::{Queue, Turn};
use super::rows::{KeyHashing, NONE, Rows};
use super::waiters::{Outcome, Waiters};
use crate::deadline::Deadline;
use crate::execute::{self, Engine};
use crate::session::sealed::Run;
use crate::statement::{Call, Sql};
use crate::transaction::Transaction;
use crate::wait::unless;
use crate::{Error, ErrorKind, Retry};

/// How long a look-up waits for the groups before its own, which may be stuck behind a lock.
pub(super) const PATIENCE: Duration = Duration::from_millis(5);

/// What the clones of one look-up share.
pub(super) struct Shared<K> {
    pub(super) engine: Arc<Engine>,
    pub(super) queue: Mutex<Queue<K>>,
    sql: Sql,
    /// The column that holds the key.
    column: &'static str,
    /// The statement's parameter was seen to be of a type that Rust compares as PostgreSQL does.
    checked: AtomicBool,
    hashing: KeyHashing,
}

/// The rows of a group, and the number of one look-up there.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) rows: Arc<Rows>,
    pub(super) number: usize,
}

/// Look-ups that are answered together; dropped before that, they are told that nobody comes.
#[derive(Debug)]
pub(super) struct Group<K>(pub(super) Vec<Arc<Waiters<K>>>);

impl<K> Group<K> {
    fn tell(&self, outcome: &Outcome) {
        let mut first = 0;
        for waiters in &self.0 {
            first += waiters.tell(outcome.clone(), first);
        }
    }

    async fn all_gone(&self) {
        for waiters in &self.0 {
            poll_fn(|context| waiters.poll_gone(context)).await;
        }
    }
}

impl<K> Drop for Group<K> {
    fn drop(&mut self) {
        self.tell(&Outcome::Closed);
    }
}

impl<K> Shared<K> {
    pub(super) fn new(engine: Arc<Engine>, sql: Sql, column: &'static str) -> Self {
        Self {
            engine,
            queue: Mutex::default(),
            sql,
            column,
            checked: AtomicBool::new(false),
            hashing: KeyHashing::default(),
        }
    }

    pub(super) fn text(&self) -> &str {
        self.sql.text()
    }

    pub(super) fn fits(&self) -> bool {
        self.checked.load(Ordering::Relaxed)
    }
}

impl<K: LookupKey> Shared<K> {
    /// Looks up one key by itself.
    pub(super) async fn find_alone(
        &self,
        key: K,
        within: Option<Transaction>,
        location: &'static Location<'static>,
    ) -> Result<Found, Error> {
        // Boxed: most callers are part of a group, and their future stays small.
        let keys = std::slice::from_ref(&key);
        let reply = Box::pin(self.run(&keys, within, location)).await?;
        let rows = self.by_key(reply, (vec![0], 1), |of: &K| (*of == key).then_some(0))?;
        let rows = Arc::new(rows);
        Ok(Found { rows, number: 0 })
    }

    async fn run(
        &self,
        keys: &(dyn Encode + Sync),
        within: Option<Transaction>,
        location: &'static Location<'static>,
    ) -> Result<Reply, Error> {
        if self.sql.params().is_some_and(|own| own.count() > 0) {
            return Err(unfit(
                "it can't bring parameters along: its only one is the list of keys",
            ));
        }
        let params = (keys,);
        let call = Call {
            sql: self.text(),
            params: &params,
            location,
        };
        let reply = match within {
            None => execute::run(&self.engine, call).await?,
            Some(transaction) => transaction.run(call).await?,
        };
        self.check()?;
        Ok(reply)
    }

    /// Refuses keys that PostgreSQL takes as equal where Rust does not, since rows are handed out by
    /// the key that they hold.
    fn check(&self) -> Result<(), Error> {
        if self.fits() {
            return Ok(());
        }
        let Some(statement) = self.engine.pools.catalog().statement(self.text()) else {
            return Ok(());
        };
        let [parameter] = statement.parameters() else {
            return Err(unfit("it needs one parameter, the list of keys"));
        };
        let Kind::Array(element) = parameter.kind() else {
            return Err(unfit(
                "its parameter must be a list, as in `where id = any($1)`",
            ));
        };
        if !compares_exactly(element) {
            let text = format!(
                "PostgreSQL compares {} otherwise than byte by byte, so rows can't be told apart by \
                 it; cast the column, for example to text, or use `query_opt`",
                element.name()
            );
            return Err(unfit(&text));
        }
        self.checked.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// The rows by look-up; see [`Rows::new`].
    ///
    /// A row whose key nobody asked for is an error: otherwise one that PostgreSQL found, since it
    /// writes the key in another way, would look like one that does not exist.
    fn by_key(
        &self,
        reply: Reply,
        places: (Vec<usize>, usize),
        place_of: impl Fn(&K) -> Option<usize>,
    ) -> Result<Rows, Error> {
        Rows::new(reply, self.column, places, place_of)?.ok_or_else(|| {
            unfit(&format!(
                "it returned a row with a key in column {:?} that was not asked for; the column \
                 must hold the key as it was given (a UUID as text in lower case, times in \
                 microseconds, no collation that takes different texts as equal)",
                self.column
            ))
        })
    }

    /// Runs one group and tells each of its members; once all have gone, it is given up.
    async fn answer(self: &Arc<Self>, group: &Group<K>) {
        let (mut keys, mut numbers) = (Vec::new(), Vec::new());
        let mut location = None;
        for waiters in &group.0 {
            waiters.take_keys(|waits| {
                let Some((key, asked)) = waits else {
                    numbers.push(NONE);
                    return;
                };
                location.get_or_insert(asked);
                numbers.push(keys.len());
                keys.push(key);
            });
        }
        let Some(location) = location else {
            return;
        };
        let mut places = HashMap::with_capacity_and_hasher(keys.len(), &self.hashing);
        let mut distinct = Vec::with_capacity(keys.len());
        let place_of_key: Vec<usize> = keys
            .iter()
            .map(|key| {
                *places.entry(key).or_insert_with(|| {
                    distinct.push(key);
                    distinct.len() - 1
                })
            })
            .collect();
        let run = Box::pin(self.run(&distinct, None, location));
        let Some(outcome) = self.attended(group, run).await else {
            return;
        };
        let outcome = outcome.and_then(|reply| {
            let place = |number: usize| place_of_key.get(number).copied().unwrap_or(NONE);
            let of_members = numbers.into_iter().map(place).collect();
            let place_of = |key: &K| places.get(key).copied();
            self.by_key(reply, (of_members, distinct.len()), place_of)
        });
        group.tell(&match outcome {
            Ok(rows) => Outcome::Found(Arc::new(rows)),
            Err(error) if distinct.len() > 1 && may_be_one_key(&error) => Outcome::Alone,
            Err(error) => Outcome::Failed(error),
        });
    }

    /// What `run` returns, or `None` once all members have gone. Meanwhile it has an eye on those
    /// who wait: one timer for all of them.
    async fn attended<T>(
        self: &Arc<Self>,
        group: &Group<K>,
        run: impl Future<Output = T>,
    ) -> Option<T> {
        let run = pin!(run);
        let mut run = pin!(unless(run, group.all_gone()));
        loop {
            match Deadline::after(PATIENCE).run(run.as_mut()).await {
                Ok(outcome) => return outcome,
                Err(_tick) => {
                    self.lose_patience();
                    self.expire(group);
                }
            }
        }
    }
}

/// Runs a group, and those that have gathered meanwhile, until others take on who waits.
pub(super) async fn serve<K: LookupKey>(mut turn: Turn<K>, first: Option<Group<K>>) {
    let mut next = first;
    loop {
        let group = match next.take() {
            Some(group) => group,
            None => match turn.gather().await {
                Some(group) => group,
                None => return,
            },
        };
        turn.shared().answer(&group).await;
        turn.answered();
    }
}

/// Whether the failure may be due to a single key: one that can't be sent, makes the server fail, or
/// is written otherwise than the server does.
///
/// What says that the server is overloaded or away concerns all, and asking once for each of them
/// would make it worse.
fn may_be_one_key(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::Encode | ErrorKind::Decode | ErrorKind::Limit | ErrorKind::Usage => true,
        ErrorKind::Database => error.retry() == Retry::Never,
        _ => false,
    }
}

/// Whether PostgreSQL takes values of that type as equal exactly where their bytes are.
pub(crate) fn compares_exactly(ty: &Type) -> bool {
    let exact = [
        Type::BOOL,
        Type::BYTEA,
        Type::CHAR,
        Type::DATE,
        Type::INT2,
        Type::INT4,
        Type::INT8,
        Type::OID,
        Type::TEXT,
        Type::TIME,
        Type::TIMESTAMP,
        Type::TIMESTAMPTZ,
        Type::UUID,
        Type::VARCHAR,
    ];
    match ty.kind() {
        Kind::Enum(_) => true,
        Kind::Domain(base) => compares_exactly(base),
        _ => exact.contains(ty),
    }
}

fn unfit(why: &str) -> Error {
    let text = format!("the statement can't be used for look-ups: {why}");
    Error::new(ErrorKind::Usage, text)
}

impl<K> fmt::Debug for Shared<K> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Shared")
            .field("sql", &self.text())
            .finish_non_exhaustive()
    }
}
