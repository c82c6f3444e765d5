//! One group of look-ups: a statement, and its rows handed out by key.

use std::collections::HashMap;
use std::fmt;
use std::future::poll_fn;
use std::panic::Location;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use aquifer_wire::types::{DecodeOwned, Kind, Params, Type};
use aquifer_wire::{Reply, Row};

use super::LookupKey;
use super::queue::{Queue, Turn, Waiting};
use crate::execute::{self, Engine};
use crate::session::sealed::Run;
use crate::statement::{Call, Sql};
use crate::transaction::Transaction;
use crate::{Error, ErrorKind, Retry};

/// How long a look-up waits for the group before its own, which may be stuck behind a lock.
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
}

/// The rows of one key, and the reply that they are part of.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) reply: Arc<Reply>,
    pub(super) rows: Vec<Row>,
}

/// What a member of a group is told.
#[derive(Debug)]
pub(super) enum Answer {
    Found(Found),
    Failed(Error),
    /// The group failed, perhaps by another member's key.
    Alone,
}

impl<K> Shared<K> {
    pub(super) fn new(engine: Arc<Engine>, sql: Sql, column: &'static str) -> Self {
        Self {
            engine,
            queue: Mutex::default(),
            sql,
            column,
            checked: AtomicBool::new(false),
        }
    }

    pub(super) fn text(&self) -> &str {
        self.sql.text()
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
        let (keys, reply) = Box::pin(self.run(vec![key], within, location)).await?;
        let mut found = self.by_key(&reply, &keys)?;
        let rows = found.pop().unwrap_or_default();
        Ok(Found {
            reply: Arc::new(reply),
            rows,
        })
    }

    async fn run(
        &self,
        keys: Vec<K>,
        within: Option<Transaction>,
        location: &'static Location<'static>,
    ) -> Result<(Vec<K>, Reply), Error> {
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
        Ok((params.0, reply))
    }

    /// Refuses keys that PostgreSQL takes as equal where Rust does not, since rows are handed out by
    /// the key that they hold.
    fn check(&self) -> Result<(), Error> {
        if self.checked.load(Ordering::Relaxed) {
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

    /// The rows of each key, in the order of `keys`.
    ///
    /// A row whose key nobody asked for is an error: otherwise one that PostgreSQL found, since it
    /// writes the key in another way, would look like one that does not exist.
    fn by_key(&self, reply: &Reply, keys: &[K]) -> Result<Vec<Vec<Row>>, Error> {
        let mut found = vec![Vec::new(); keys.len()];
        let places: HashMap<&K, usize> = keys.iter().zip(0..).collect();
        for row in reply.rows() {
            let key: K = decode(&row, self.column)?;
            let place = places.get(&key).and_then(|place| found.get_mut(*place));
            let Some(rows) = place else {
                return Err(unfit(&format!(
                    "it returned a row with a key in column {:?} that was not asked for; the column \
                     must hold the key as it was given (a UUID as text in lower case, times in \
                     microseconds, no collation that takes different texts as equal)",
                    self.column
                )));
            };
            rows.push(row);
        }
        Ok(found)
    }

    /// Runs one group and tells each of its members; once all have gone, it is given up.
    async fn answer(&self, mut members: Vec<Waiting<K>>) {
        let Some(location) = members.first().map(|member| member.location) else {
            return;
        };
        let (keys, places) = distinct(&members);
        let several = keys.len() > 1;
        let group = Box::pin(self.run(keys, None, location));
        let Some(outcome) = unless(group, all_gone(&mut members)).await else {
            return;
        };
        let outcome = match outcome {
            Ok((keys, reply)) => self.by_key(&reply, &keys).map(|found| (reply, found)),
            Err(error) => Err(error),
        };
        match outcome {
            Ok((reply, found)) => {
                let reply = Arc::new(reply);
                for (member, place) in members.into_iter().zip(places) {
                    let rows = found.get(place).cloned().unwrap_or_default();
                    let reply = Arc::clone(&reply);
                    // Whoever asked may have gone.
                    drop(member.answer.send(Answer::Found(Found { reply, rows })));
                }
            }
            Err(error) => {
                let alone = several && may_be_one_key(&error);
                for member in members {
                    let answer = if alone {
                        Answer::Alone
                    } else {
                        Answer::Failed(error.clone())
                    };
                    drop(member.answer.send(answer));
                }
            }
        }
    }
}

/// Runs a group, and those that have gathered meanwhile, until nobody waits.
pub(super) async fn serve<K: LookupKey>(members: Vec<Waiting<K>>, mut turn: Turn<K>) {
    let mut next = Some(members);
    while let Some(members) = next {
        let Some(shared) = turn.shared().map(Arc::clone) else {
            return;
        };
        shared.answer(members).await;
        next = turn.next();
    }
}

/// The keys of a group, each once, and for each member the place of its key.
fn distinct<K: LookupKey>(members: &[Waiting<K>]) -> (Vec<K>, Vec<usize>) {
    let mut keys = Vec::with_capacity(members.len());
    let mut known: HashMap<&K, usize> = HashMap::with_capacity(members.len());
    let mut places = Vec::with_capacity(members.len());
    for Waiting { key, .. } in members {
        let place = *known.entry(key).or_insert_with(|| {
            keys.push(key.clone());
            keys.len() - 1
        });
        places.push(place);
    }
    (keys, places)
}

async fn all_gone<K>(members: &mut [Waiting<K>]) {
    for member in members {
        member.answer.closed().await;
    }
}

/// What `future` returns, or `None` once `end` is over.
async fn unless<T>(future: impl Future<Output = T>, end: impl Future<Output = ()>) -> Option<T> {
    let (mut future, mut end) = (pin!(future), pin!(end));
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => end.as_mut().poll(context).map(|()| None),
    })
    .await
}

fn decode<K: DecodeOwned>(row: &Row, column: &str) -> Result<K, Error> {
    Ok(row.get(column)?)
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

fn compares_exactly(ty: &Type) -> bool {
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
