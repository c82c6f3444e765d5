mod ledger;

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::postgres::Postgres;
use ledger::{Told, Writes, compare, rows};

pub use ledger::Ledger;

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
const HUNG: Duration = Duration::from_secs(60);

/// The library, or a peer of it, as [`Load`] calls it. Each call has a deadline of its own.
pub trait Client: Clone + Send + Sync + 'static {
    /// Reads `select value from lookups where id = $1`.
    ///
    /// # Errors
    /// What went wrong, in one line; it is counted.
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    fn read(&self, id: i64) -> impl Future<Output = Result<i64, String>> + Send;

    /// Does `insert into ledger (id) values ($1)`, at most once, in whatever form.
    ///
    /// # Cancel safety
    /// The write may have been done.
    fn write(&self, id: i64) -> impl Future<Output = Wrote> + Send;

    /// Finds out what became of a write that was [`Wrote::Unknown`]; `None` if it has no way to.
    ///
    /// # Cancel safety
    /// It may be asked again.
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

#[derive(Debug)]
struct Shared {
    stop: AtomicBool,
    started: Instant,
    reads: AtomicU64,
    writes: Mutex<Writes>,
    complaints: Mutex<Complaints>,
}

/// Errors by their text, and the longest call.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Complaints {
    /// What reads were told, how often.
    pub reads: BTreeMap<String, u64>,
    /// What writes were told, how often.
    pub writes: BTreeMap<String, u64>,
    /// How long the longest read took.
    pub longest_read: Duration,
    /// How long the longest write took.
    pub longest_write: Duration,
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
        let shared = Arc::new(Shared::new());
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
        let unknown = locked(&self.shared.writes).unknown();
        for id in unknown {
            resolved.insert(id, client.resolve(id).await);
        }
        compare(&locked(&self.shared.writes), &resolved, &rows(server))
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
        locked(&self.0.writes).done()
    }

    /// When the first write was done after `moment`, which is some seconds ago at most.
    #[must_use]
    pub fn first_done_after(&self, moment: Instant) -> Option<Instant> {
        locked(&self.0.writes).first_done_after(moment)
    }

    /// Whether a write was asked for after `moment`.
    #[must_use]
    pub fn begun_after(&self, id: i64, moment: Instant) -> bool {
        let moment = self.0.since_start(moment);
        locked(&self.0.writes).begun_after(id, moment)
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

impl Shared {
    fn new() -> Self {
        Self {
            stop: AtomicBool::new(false),
            started: Instant::now(),
            reads: AtomicU64::new(0),
            writes: Mutex::new(Writes::new()),
            complaints: Mutex::default(),
        }
    }

    fn since_start(&self, moment: Instant) -> u32 {
        let since = moment.saturating_duration_since(self.started);
        u32::try_from(since.as_millis()).unwrap_or(u32::MAX)
    }
}

async fn write(client: impl Client, shared: Arc<Shared>) {
    while !shared.stop.load(Ordering::Relaxed) {
        let begun = Instant::now();
        let id = locked(&shared.writes).begin(shared.since_start(begun));
        let wrote = timeout(HUNG, client.write(id)).await;
        let wrote = wrote.unwrap_or_else(|_elapsed| Wrote::Unknown("hangs".to_owned()));
        let told = match &wrote {
            Wrote::Done => Told::Done,
            Wrote::NotDone(_) => Told::NotDone,
            Wrote::Unknown(_) => Told::Unknown,
        };
        locked(&shared.writes).end(id, told);
        {
            let mut complaints = locked(&shared.complaints);
            complaints.longest_write = complaints.longest_write.max(begun.elapsed());
            if let Wrote::NotDone(why) | Wrote::Unknown(why) = wrote {
                *complaints.writes.entry(why).or_default() += 1;
            }
        }
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
            complaints.longest_read = complaints.longest_read.max(begun.elapsed());
            match complaint {
                Some(why) => *complaints.reads.entry(why).or_default() += 1,
                None => drop(shared.reads.fetch_add(1, Ordering::Relaxed)),
            }
        }
        sleep(PAUSE).await;
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
