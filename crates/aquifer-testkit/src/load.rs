use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::postgres::Postgres;

/// How many rows there are to read; row `n` has the value [`Load::value`].
const ROWS: i64 = 100;

/// `port` and `session` say who did it: a row that a server has written after it was replaced, on a
/// session that was opened after that, is a write to the wrong primary. There is no unique index, so
/// that what is done twice shows.
const SCHEMA: &str = "
    create table lookups (id bigint primary key, value bigint not null);
    create function session_start() returns timestamptz stable language sql
        as 'select backend_start from pg_stat_get_activity(pg_backend_pid())';
    create table ledger (
        id bigint not null,
        written_at timestamptz not null default clock_timestamp(),
        session timestamptz not null default session_start()
    );
";

/// Between two calls of a task: enough of them to notice each millisecond, few enough to leave the
/// servers some of a small machine.
const PAUSE: Duration = Duration::from_millis(10);

/// Far above every deadline of a client: it hangs.
const HUNG: Duration = Duration::from_secs(30);

/// The library, or a peer of it, as [`Load`] calls it. Each call has a deadline of its own.
pub trait Client: Clone + Send + Sync + 'static {
    /// Reads `select value from lookups where id = $1`; the error is one line.
    fn read(&self, id: i64) -> impl Future<Output = Result<i64, String>> + Send;

    /// Does `insert into ledger (id) values ($1)`, at most once, in whatever form.
    fn write(&self, id: i64) -> impl Future<Output = Wrote> + Send;

    /// Finds out what became of a write that was [`Wrote::Unknown`]; `None` if it has no way to.
    fn resolve(&self, id: i64) -> impl Future<Output = Option<bool>> + Send;
}

/// What a caller is told about a write.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wrote {
    /// It is done.
    Done,
    /// It is not done, and never will be.
    NotDone(String),
    /// It may have been done.
    Unknown(String),
}

/// Many tasks that read and write until they are stopped, and remember what they were told.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    next: AtomicI64,
    reads: AtomicU64,
    begun: Mutex<HashMap<i64, Instant>>,
    writes: Mutex<Vec<Write>>,
    complaints: Mutex<Complaints>,
}

#[derive(Debug)]
struct Write {
    id: i64,
    at: Instant,
    told: Wrote,
}

/// Errors by their text, and the longest call.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Complaints {
    /// What reads were told, how often.
    pub reads: BTreeMap<String, u64>,
    /// What writes were told, how often.
    pub writes: BTreeMap<String, u64>,
    /// How long the longest call took.
    pub longest: Duration,
}

/// What was told, held against what the server has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ledger {
    /// Writes that were told to be done.
    pub done: u64,
    /// Writes that were told to be done and are not there.
    pub lost: u64,
    /// Writes that are there more than once.
    pub doubled: u64,
    /// Writes that were told, or resolved, not to be done and are there.
    pub invented: u64,
    /// Writes of which the caller was told that nobody knows.
    pub unknown: u64,
    /// Those of them that could not be resolved either.
    pub unresolved: u64,
}

impl Load {
    /// Makes the tables that it works on, in database `postgres`.
    pub fn prepare(server: &Postgres) {
        server.psql(SCHEMA);
        server.psql(&format!(
            "insert into lookups select n, 7 * n from generate_series(0, {}) as n",
            ROWS - 1
        ));
    }

    /// Starts so many tasks that write, and as many that read.
    pub fn start(client: &impl Client, tasks: usize) -> Self {
        let shared = Arc::new(Shared::default());
        let mut set = JoinSet::new();
        for _ in 0..tasks {
            set.spawn(write(client.clone(), Arc::clone(&shared)));
            set.spawn(read(client.clone(), Arc::clone(&shared)));
        }
        Self { shared, tasks: set }
    }

    /// A view of it for another thread.
    #[must_use]
    pub fn meter(&self) -> Meter {
        Meter(Arc::clone(&self.shared))
    }

    /// Ends all tasks after the call that they are in, and compares with what `server` has.
    ///
    /// # Cancel safety
    /// The tasks end; nothing is compared.
    pub async fn finish(self, client: &impl Client, server: &Postgres) -> Ledger {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.tasks.join_all().await;
        let mut resolved = HashMap::new();
        let unknown: Vec<i64> = {
            let writes = locked(&self.shared.writes);
            let unknown = |write: &&Write| matches!(write.told, Wrote::Unknown(_));
            writes
                .iter()
                .filter(unknown)
                .map(|write| write.id)
                .collect()
        };
        for id in unknown {
            resolved.insert(id, client.resolve(id).await);
        }
        let writes = locked(&self.shared.writes);
        compare(&writes, &resolved, &rows(server))
    }

    fn value(id: i64) -> i64 {
        7 * id
    }
}

/// What a [`Load`] has come to so far.
#[derive(Clone, Debug)]
pub struct Meter(Arc<Shared>);

impl Meter {
    /// How many writes were done.
    #[must_use]
    pub fn done(&self) -> usize {
        let writes = locked(&self.0.writes);
        let done = writes.iter().filter(|write| write.told == Wrote::Done);
        done.count()
    }

    /// When the first write was done after `moment`.
    #[must_use]
    pub fn first_done_after(&self, moment: Instant) -> Option<Instant> {
        let writes = locked(&self.0.writes);
        let done = writes.iter().filter(|write| write.told == Wrote::Done);
        done.map(|write| write.at).filter(|&at| at > moment).min()
    }

    /// Whether a write was asked for after `moment`.
    #[must_use]
    pub fn begun_after(&self, id: i64, moment: Instant) -> bool {
        let begun = locked(&self.0.begun);
        begun.get(&id).is_some_and(|&begun| begun > moment)
    }

    /// How many reads were answered, and how many failed.
    #[must_use]
    pub fn reads(&self) -> (u64, u64) {
        let failed = locked(&self.0.complaints).reads.values().sum();
        (self.0.reads.load(Ordering::Relaxed), failed)
    }

    /// The errors so far.
    #[must_use]
    pub fn complaints(&self) -> Complaints {
        locked(&self.0.complaints).clone()
    }
}

async fn write(client: impl Client, shared: Arc<Shared>) {
    while !shared.stop.load(Ordering::Relaxed) {
        let id = shared.next.fetch_add(1, Ordering::Relaxed);
        let begun = Instant::now();
        locked(&shared.begun).insert(id, begun);
        let told = timeout(HUNG, client.write(id)).await;
        let told = told.unwrap_or_else(|_elapsed| Wrote::Unknown("hangs".to_owned()));
        let at = Instant::now();
        {
            let mut complaints = locked(&shared.complaints);
            complaints.longest = complaints.longest.max(at - begun);
            if let Wrote::NotDone(why) | Wrote::Unknown(why) = &told {
                *complaints.writes.entry(why.clone()).or_default() += 1;
            }
        }
        locked(&shared.writes).push(Write { id, at, told });
        sleep(PAUSE).await;
    }
}

async fn read(client: impl Client, shared: Arc<Shared>) {
    let mut id = 0;
    while !shared.stop.load(Ordering::Relaxed) {
        id = (id + 1) % ROWS;
        let begun = Instant::now();
        let answer = timeout(HUNG, client.read(id)).await;
        let complaint = match answer {
            Ok(Ok(value)) if value == Load::value(id) => None,
            Ok(Ok(_)) => Some("a wrong value".to_owned()),
            Ok(Err(why)) => Some(why),
            Err(_elapsed) => Some("hangs".to_owned()),
        };
        {
            let mut complaints = locked(&shared.complaints);
            complaints.longest = complaints.longest.max(begun.elapsed());
            match complaint {
                Some(why) => *complaints.reads.entry(why).or_default() += 1,
                None => drop(shared.reads.fetch_add(1, Ordering::Relaxed)),
            }
        }
        sleep(PAUSE).await;
    }
}

/// How often each write is there.
fn rows(server: &Postgres) -> HashMap<i64, u64> {
    let rows = server.psql("select id, count(*) from ledger group by id");
    let parsed = rows.lines().filter_map(|row| {
        let (id, count) = row.split_once('|')?;
        Some((id.parse().ok()?, count.parse().ok()?))
    });
    parsed.collect()
}

fn compare(
    writes: &[Write],
    resolved: &HashMap<i64, Option<bool>>,
    rows: &HashMap<i64, u64>,
) -> Ledger {
    let mut ledger = Ledger::default();
    for write in writes {
        let count = rows.get(&write.id).copied().unwrap_or_default();
        ledger.doubled += u64::from(count > 1);
        let told = match write.told {
            Wrote::Done => {
                ledger.done += 1;
                Some(true)
            }
            Wrote::NotDone(_) => Some(false),
            Wrote::Unknown(_) => {
                ledger.unknown += 1;
                resolved.get(&write.id).copied().flatten()
            }
        };
        match told {
            Some(true) => ledger.lost += u64::from(count == 0),
            Some(false) => ledger.invented += u64::from(count > 0),
            None => ledger.unresolved += 1,
        }
    }
    ledger
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_of_being_wrong_is_counted() {
        let at = Instant::now();
        let write = |id, told| Write { id, at, told };
        let unknown = || Wrote::Unknown(String::new());
        let writes = [
            write(1, Wrote::Done),
            write(2, Wrote::Done),
            write(3, Wrote::Done),
            write(4, Wrote::NotDone(String::new())),
            write(5, Wrote::NotDone(String::new())),
            write(6, unknown()),
            write(7, unknown()),
            write(8, unknown()),
        ];
        let resolved = HashMap::from([(6, Some(true)), (7, Some(false)), (8, None)]);
        let rows = HashMap::from([(1, 1), (2, 2), (5, 1), (7, 1)]);
        let expected = Ledger {
            done: 3,
            lost: 2,
            doubled: 1,
            invented: 2,
            unknown: 3,
            unresolved: 1,
        };
        assert_eq!(compare(&writes, &resolved, &rows), expected);
    }
}
