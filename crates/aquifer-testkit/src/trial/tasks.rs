use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::layer::{ALL_CELLS, CALM, CELLS, Cached, Failpoint, List, Loading, Way};
use super::part::{Output, Part};
use super::reader::Reader;
use super::record::{Record, Write, now};
use super::writers::{write, write_calm};
use crate::numbers::Numbers;

const READERS: u64 = 16;
const WRITERS: u64 = 3;

/// Those that load calm cells.
const LOADERS: u64 = 2;

/// Callers who miss the same thing at once, in each process.
const HERD: usize = 250;

/// How long the load of a herd takes.
const HERD_LOAD: Duration = Duration::from_millis(100);

/// How often what is kept back is written, and it is asked what the cache owes.
const TICK: Duration = Duration::from_millis(20);

/// Far longer than a cache owes anything after all faults have ended.
const SETTLED_WITHIN: Duration = Duration::from_secs(30);

/// What a process of a trial does.
pub(super) struct Tasks<C> {
    shared: Arc<Shared<C>>,
    readers: JoinSet<()>,
    writers: JoinSet<()>,
}

/// What the tasks of a process share.
pub(super) struct Shared<C> {
    pub(super) part: Part,
    pub(super) cached: C,
    pub(super) output: Output,
    pub(super) loaded: Failpoint,
    pub(super) committed: Failpoint,
    writers_rest: AtomicBool,
    writers_end: AtomicBool,
    pub(super) readers_end: AtomicBool,
}

impl<C: Cached> Tasks<C> {
    pub(super) fn new(part: Part, cached: C, output: Output) -> Self {
        Self {
            shared: Arc::new(Shared {
                part,
                cached,
                output,
                loaded: Failpoint::default(),
                committed: Failpoint::default(),
                writers_rest: AtomicBool::new(false),
                writers_end: AtomicBool::new(false),
                readers_end: AtomicBool::new(false),
            }),
            readers: JoinSet::new(),
            writers: JoinSet::new(),
        }
    }

    /// Many ask for the same cell that nobody has; returns how many loads that took.
    pub(super) async fn herd(&self, cell: u32) -> u64 {
        let loads = Arc::new(AtomicU64::new(0));
        let loading = Loading {
            before: HERD_LOAD,
            loads: Arc::clone(&loads),
            ..Loading::default()
        };
        let mut herd = JoinSet::new();
        for _ in 0..HERD {
            let (cached, loading) = (self.shared.cached.clone(), loading.clone());
            herd.spawn(async move { cached.read(cell, loading).await });
        }
        for read in herd.join_all().await {
            self.shared.complain(read);
        }
        loads.load(Ordering::Relaxed)
    }

    pub(super) fn start(&mut self) {
        for task in 0..READERS {
            let numbers = self.shared.numbers(task);
            self.readers
                .spawn(Reader::new(Arc::clone(&self.shared), numbers).run());
        }
        for task in 0..WRITERS {
            let (shared, numbers) = (
                Arc::clone(&self.shared),
                self.shared.numbers(READERS + task),
            );
            self.writers.spawn(write(shared, task, numbers));
        }
        let mut tasks = READERS + WRITERS..;
        let me = Arc::clone(&self.shared);
        let shared = || Arc::clone(&me);
        let mut numbers = || me.numbers(tasks.next().unwrap_or_default());
        for cells in [CELLS..CELLS + CALM, CELLS + CALM..ALL_CELLS] {
            self.writers.spawn(write_calm(shared(), numbers(), cells));
        }
        for _ in 0..LOADERS {
            self.readers
                .spawn(Reader::new(shared(), numbers()).load_calm());
        }
        self.readers
            .spawn(Reader::new(shared(), numbers()).peek_calm());
        self.readers.spawn(Reader::new(shared(), numbers()).list());
        self.readers.spawn(watch(Arc::clone(&self.shared)));
    }

    /// Whether its writers make a pause.
    pub(super) fn rest(&self, rest: bool) {
        self.shared.writers_rest.store(rest, Ordering::Relaxed);
    }

    /// The process ends as soon as one of its loads or its writes of `cells` is there.
    pub(super) fn end_when(&self, place: &str) {
        match place {
            "loaded" => self.shared.loaded.arm(),
            "committed" => self.shared.committed.arm(),
            _ => panic!("a failpoint: {place:?}"),
        }
    }

    /// Ends the writers and waits until nothing is owed.
    pub(super) async fn quiet(&mut self) {
        self.rest(false);
        self.shared.writers_end.store(true, Ordering::Relaxed);
        join(&mut self.writers).await;
        let settled = timeout(SETTLED_WITHIN, async {
            while self.shared.cached.owes() {
                sleep(TICK).await;
            }
        });
        if settled.await.is_err() {
            let text = "it still owes what it could have made up for".to_owned();
            self.shared.output.write(&Record::Error(text));
        }
        self.shared.output.write(&Record::Settled(now()));
    }

    /// Ends the readers, and reads each cell once more.
    pub(super) async fn last(&mut self) {
        self.shared.readers_end.store(true, Ordering::Relaxed);
        join(&mut self.readers).await;
        let mut reader = Reader::new(Arc::clone(&self.shared), self.shared.numbers(0));
        for cell in 0..ALL_CELLS {
            reader.read(cell, Loading::default()).await;
        }
        for list in List::all() {
            reader.read_list(list).await;
        }
        reader.tell();
        self.shared.output.flush();
    }

    pub(super) async fn end(mut self) {
        self.rest(false);
        self.shared.writers_end.store(true, Ordering::Relaxed);
        self.shared.readers_end.store(true, Ordering::Relaxed);
        join(&mut self.writers).await;
        join(&mut self.readers).await;
    }
}

async fn join(set: &mut JoinSet<()>) {
    while let Some(ended) = set.join_next().await {
        ended.expect("no task of the trial panics");
    }
}

impl<C> Shared<C> {
    pub(super) fn numbers(&self, task: u64) -> Numbers {
        let process = u64::try_from(self.part.number).unwrap_or(0);
        Numbers::of(self.part.seed + 1_000 * process + task)
    }

    /// Whether there is another write to come, after a while.
    pub(super) async fn goes_on(&self, pause: Duration) -> bool {
        sleep(pause).await;
        while self.writers_rest.load(Ordering::Relaxed) {
            sleep(TICK).await;
        }
        !self.writers_end.load(Ordering::Relaxed)
    }

    pub(super) fn complain<T>(&self, outcome: Result<T, String>) -> Option<T> {
        match outcome {
            Ok(value) => Some(value),
            Err(text) => {
                self.output.write(&Record::Error(text));
                None
            }
        }
    }
}

impl<C: Cached> Shared<C> {
    /// Writes it down only if it was acknowledged.
    pub(super) async fn write(&self, cell: u32, begun: u64) {
        let committed = self.committed.clone();
        let written = self.cached.write(cell, Way::of(cell), committed).await;
        if let Some(version) = self.complain(written) {
            let acknowledged = now();
            self.output.write(&Record::Write(Write {
                cell,
                version,
                begun,
                acknowledged,
                owed: self.cached.owes(),
            }));
        }
    }
}

/// Says when nothing is owed any more, and writes what is kept back.
async fn watch<C: Cached>(shared: Arc<Shared<C>>) {
    let mut owed = false;
    while !shared.readers_end.load(Ordering::Relaxed) {
        let owes = shared.cached.owes();
        if owed && !owes {
            shared.output.write(&Record::Settled(now()));
        }
        owed = owes;
        shared.output.flush();
        sleep(TICK).await;
    }
}

pub(super) fn below(numbers: &mut Numbers, limit: u32) -> u32 {
    u32::try_from(numbers.below(u64::from(limit))).unwrap_or(0)
}
