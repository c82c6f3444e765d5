//! Two processes that read and change the same rows through their caches, and what every read must
//! have seen.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aquifer::{Cache, Config, Error};
use tokio::sync::Mutex as Row;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::super::super::support::until;
use super::super::{end, until_linked};

/// So much later than a change was acknowledged, nobody sees what was before.
const BOUND: Duration = Duration::from_secs(1);

const KEYS: usize = 16;
const READERS: usize = 4;

/// What counts as acknowledged towards other processes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Acknowledged {
    /// Every change.
    All,
    /// Those that Redis was told of; the others as soon as they were made up for, as documented.
    Told,
}

/// When a version was acknowledged.
type Change = (Instant, i64);

/// The database: the last version of each row.
#[derive(Default)]
struct Table {
    rows: [Row<()>; KEYS],
    versions: [AtomicI64; KEYS],
    /// Which changes have been acknowledged, and when.
    acknowledged: [Mutex<Vec<Change>>; KEYS],
}

/// A process with its cache.
pub(super) struct Process {
    pub(super) cache: Cache,
    table: Arc<Table>,
    /// What this process knows of by itself.
    own: [AtomicI64; KEYS],
    /// What it did not tell yet: rows and versions.
    owed: Mutex<Vec<(usize, i64)>>,
    /// How many loads of a row are under way.
    loading: Arc<[AtomicUsize; KEYS]>,
    reads: AtomicU64,
    writes: AtomicU64,
}

/// Load on two processes, until it is ended.
pub(super) struct Load {
    pub(super) one: Arc<Process>,
    pub(super) two: Arc<Process>,
    stop: Arc<AtomicBool>,
    tasks: JoinSet<()>,
}

/// All in one slot of a cluster.
fn key(row: usize) -> String {
    format!("user:{{user1000}}:{row}")
}

impl Table {
    fn acknowledge(&self, row: usize, version: i64) {
        let mut acknowledged = self.acknowledged[row].lock().unwrap();
        acknowledged.push((Instant::now(), version));
    }

    /// What everybody must know who begins to read then.
    fn known_at(&self, row: usize, at: Instant) -> i64 {
        let acknowledged = self.acknowledged[row].lock().unwrap();
        let known = acknowledged
            .iter()
            .rev()
            .filter(|(when, _)| *when + BOUND <= at);
        known.map(|(_, version)| *version).max().unwrap_or(0)
    }
}

impl Process {
    async fn new(config: &Config, table: &Arc<Table>) -> Arc<Self> {
        let cache = Cache::connect(config).await.unwrap();
        until_linked(&cache).await;
        Arc::new(Self {
            cache,
            table: Arc::clone(table),
            own: Default::default(),
            owed: Mutex::default(),
            loading: Arc::default(),
            reads: AtomicU64::new(0),
            writes: AtomicU64::new(0),
        })
    }

    async fn get(&self, row: usize) -> i64 {
        let (table, loading) = (Arc::clone(&self.table), Arc::clone(&self.loading));
        let load = move || async move {
            // One that is overtaken by a change goes on beside the next; there is no stampede.
            assert!(loading[row].fetch_add(1, Ordering::Relaxed) < 3);
            let version = table.versions[row].load(Ordering::SeqCst);
            // The way back from the database, on which it may be changed.
            tokio::time::sleep(Duration::from_millis(1)).await;
            loading[row].fetch_sub(1, Ordering::Relaxed);
            Ok::<_, Error>(version)
        };
        *self.cache.get_or_load(&key(row), load).await.unwrap()
    }

    async fn read(&self, row: usize) {
        let own = self.own[row].load(Ordering::SeqCst);
        let known = self.table.known_at(row, Instant::now());
        let found = self.get(row).await;
        assert!(
            found >= own,
            "row {row}: {found}, after its own change {own}"
        );
        assert!(found >= known, "row {row}: {found}, a second after {known}");
        assert!(found <= self.table.versions[row].load(Ordering::SeqCst));
        self.reads.fetch_add(1, Ordering::Relaxed);
    }

    async fn write(&self, row: usize, counts: Acknowledged) {
        let _locked = self.table.rows[row].lock().await;
        let version = self.table.versions[row].fetch_add(1, Ordering::SeqCst) + 1;
        self.cache.delete([key(row)]).await.unwrap();
        self.own[row].fetch_max(version, Ordering::SeqCst);
        if counts == Acknowledged::All || !self.cache.status().has_missed_bumps {
            self.table.acknowledge(row, version);
        } else {
            self.owed.lock().unwrap().push((row, version));
        }
        self.writes.fetch_add(1, Ordering::Relaxed);
    }

    /// What was owed counts as soon as nothing is owed any more.
    fn settle(&self) {
        let mut owed = self.owed.lock().unwrap();
        if !owed.is_empty() && !self.cache.status().has_missed_bumps {
            for (row, version) in owed.drain(..) {
                self.table.acknowledge(row, version);
            }
        }
    }
}

impl Load {
    pub(super) async fn start(config: &Config, counts: Acknowledged) -> Self {
        let table = Arc::default();
        let (one, two) = (
            Process::new(config, &table).await,
            Process::new(config, &table).await,
        );
        let (stop, mut tasks) = (Arc::<AtomicBool>::default(), JoinSet::new());
        for process in [&one, &two] {
            for reader in 0..READERS {
                let (process, stop) = (Arc::clone(process), Arc::clone(&stop));
                tasks.spawn(async move {
                    for row in (0..KEYS).cycle().skip(reader * KEYS / READERS) {
                        if stop.load(Ordering::Relaxed) {
                            return;
                        }
                        process.read(row).await;
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                });
            }
            let (process, stop) = (Arc::clone(process), Arc::clone(&stop));
            tasks.spawn(async move {
                for row in (0..KEYS).cycle() {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    process.write(row, counts).await;
                    process.settle();
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            });
        }
        let load = Self {
            one,
            two,
            stop,
            tasks,
        };
        load.goes_on().await;
        load
    }

    /// Both processes read and write some more.
    pub(super) async fn goes_on(&self) {
        for process in [&self.one, &self.two] {
            let (reads, writes) = (count(&process.reads), count(&process.writes));
            until("reads and writes go on", || {
                count(&process.reads) >= reads + 100 && count(&process.writes) >= writes + 10
            })
            .await;
        }
    }

    pub(super) async fn until_in_doubt(&self) {
        for process in [&self.one, &self.two] {
            super::super::until_in_doubt(&process.cache).await;
        }
    }

    pub(super) async fn until_well(&self) {
        for process in [&self.one, &self.two] {
            until("all is told and heard", || {
                let status = process.cache.status();
                status.is_linked && !status.has_missed_bumps
            })
            .await;
        }
    }

    /// Everything ends as it should, and both processes agree with the database.
    pub(super) async fn end(mut self) {
        self.until_well().await;
        self.goes_on().await;
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
        let table = Arc::clone(&self.one.table);
        for row in 0..KEYS {
            let version = table.versions[row].load(Ordering::SeqCst);
            for process in [&self.one, &self.two] {
                until("both agree with the database", || {
                    table.known_at(row, Instant::now()) == version
                })
                .await;
                assert_eq!(process.get(row).await, version);
            }
        }
        for process in [self.one, self.two] {
            let process = Arc::into_inner(process).unwrap();
            end(process.cache).await;
        }
    }
}

fn count(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
