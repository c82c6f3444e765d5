use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::{JoinSet, yield_now};
use tokio::time::{sleep, timeout};

use super::layer::{ALL_CELLS, CALM, CELLS, Cached, Failpoint, List, Loading, Way};
use super::part::{Output, Part};
use super::record::{Read, Record, Write, now};
use crate::numbers::Numbers;

const READERS: u64 = 16;
const WRITERS: u64 = 3;

/// Those that load calm cells.
const LOADERS: u64 = 2;

/// How long a loader waits for a load, which may go on after that.
const LOADED_WITHIN: Duration = Duration::from_millis(50);

/// How long the reader and the loaders of calm cells rest.
const CALM_PAUSE: Duration = Duration::from_millis(10);

/// Callers who miss the same thing at once, in each process.
const HERD: usize = 250;

/// How long the load of a herd takes.
const HERD_LOAD: Duration = Duration::from_millis(100);

/// Reads of one reader until it rests.
const BURST: usize = 64;

/// One of so many reads must see every write that was acknowledged before.
const FRESH: u64 = 50;

/// After so long a reader's record of what it reads again and again is written down.
const RUN_MAX: u64 = 100_000_000;

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

struct Shared<C> {
    part: Part,
    cached: C,
    output: Output,
    loaded: Failpoint,
    committed: Failpoint,
    writers_rest: AtomicBool,
    writers_end: AtomicBool,
    readers_end: AtomicBool,
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
    fn numbers(&self, task: u64) -> Numbers {
        let process = u64::try_from(self.part.number).unwrap_or(0);
        Numbers::of(self.part.seed + 1_000 * process + task)
    }

    /// Whether there is another write to come, after a while.
    async fn goes_on(&self, pause: Duration) -> bool {
        sleep(pause).await;
        while self.writers_rest.load(Ordering::Relaxed) {
            sleep(TICK).await;
        }
        !self.writers_end.load(Ordering::Relaxed)
    }

    fn complain<T>(&self, outcome: Result<T, String>) -> Option<T> {
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
    async fn write(&self, cell: u32, begun: u64) {
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

struct Reader<C> {
    shared: Arc<Shared<C>>,
    numbers: Numbers,
    /// Of each cell, and of fresh reads of each.
    runs: Vec<Read>,
    /// What each list showed last, by its first cell.
    lists: HashMap<u32, Vec<i64>>,
}

impl<C: Cached> Reader<C> {
    fn new(shared: Arc<Shared<C>>, numbers: Numbers) -> Self {
        let run = |place| Read {
            cell: place % ALL_CELLS,
            fresh: place >= ALL_CELLS,
            ..Read::default()
        };
        Self {
            shared,
            numbers,
            runs: (0..2 * ALL_CELLS).map(run).collect(),
            lists: HashMap::new(),
        }
    }

    async fn run(mut self) {
        while !self.shared.readers_end.load(Ordering::Relaxed) {
            for _ in 0..BURST {
                // Some cells are asked for more than others.
                let limit = 1 + self.numbers.below(u64::from(CELLS));
                let cell = u32::try_from(self.numbers.below(limit)).unwrap_or(0);
                if self.numbers.one_in(2) {
                    self.peek(cell).await;
                } else {
                    let mut loading = loading(&mut self.numbers);
                    loading.fresh = self.numbers.one_in(FRESH);
                    self.read(cell, loading).await;
                }
            }
            yield_now().await;
            sleep(self.shared.part.pause).await;
        }
        self.tell();
    }

    /// Looks at all calm cells, one after the other.
    async fn peek_calm(mut self) {
        while !self.shared.readers_end.load(Ordering::Relaxed) {
            for cell in CELLS..CELLS + CALM {
                self.peek(cell).await;
            }
            sleep(self.shared.part.pause.max(CALM_PAUSE)).await;
        }
        self.tell();
    }

    /// Sees to it that calm cells have values, some of which come so late that everything may have
    /// happened meanwhile.
    async fn load_calm(mut self) {
        while !self.shared.readers_end.load(Ordering::Relaxed) {
            let cell = CELLS + below(&mut self.numbers, CALM);
            let mut loading = Loading {
                loaded: self.shared.loaded.clone(),
                ..Loading::default()
            };
            if self.numbers.one_in(3) {
                loading.after = self.numbers.milliseconds(0, 2_000);
            }
            let start = now();
            let read = self.shared.cached.read(cell, loading);
            if let Ok(read) = timeout(LOADED_WITHIN, read).await
                && let Some(version) = self.shared.complain(read)
            {
                self.note((cell, false), version, start);
            }
            sleep(CALM_PAUSE).await;
        }
        self.tell();
    }

    /// Looks at all lists, and at some of their cells one by one.
    async fn list(mut self) {
        while !self.shared.readers_end.load(Ordering::Relaxed) {
            for list in List::all() {
                self.read_list(list).await;
                let cell = CELLS + CALM + below(&mut self.numbers, ALL_CELLS - CELLS - CALM);
                self.read(cell, Loading::default()).await;
            }
            sleep(self.shared.part.pause.max(CALM_PAUSE)).await;
        }
        self.tell();
    }

    async fn read_list(&mut self, list: List) {
        let start = now();
        let read = self.shared.cached.list(list).await;
        let Some(mut found) = self.shared.complain(read) else {
            return;
        };
        found.sort_unstable();
        let cells = found.iter().map(|(cell, _)| *cell);
        if !cells.eq(list.cells()) {
            // Which nobody has written.
            found = list.cells().map(|cell| (cell, i64::MIN)).collect();
        }
        for (cell, version) in &found {
            self.note((*cell, false), *version, start);
        }
        let versions: Vec<i64> = found.into_iter().map(|(_, version)| version).collect();
        let before = self.lists.get(&list.cells().start);
        if before != Some(&versions) {
            let record = Record::List(list.cells().start, versions.clone());
            self.shared.output.write(&record);
            self.lists.insert(list.cells().start, versions);
        }
    }

    async fn read(&mut self, cell: u32, mut loading: Loading) {
        loading.loaded = self.shared.loaded.clone();
        let fresh = loading.fresh;
        let read = self.shared.cached.read(cell, loading);
        let start = now();
        let read = if self.numbers.one_in(500) {
            // A caller who goes away.
            match timeout(self.numbers.milliseconds(0, 50), read).await {
                Ok(read) => read,
                Err(_gone) => return,
            }
        } else {
            read.await
        };
        if let Some(version) = self.shared.complain(read) {
            self.note((cell, fresh), version, start);
        }
    }

    async fn peek(&mut self, cell: u32) {
        let start = now();
        let read = self.shared.cached.peek(cell).await;
        if let Some(Some(version)) = self.shared.complain(read) {
            self.note((cell, false), version, start);
        }
    }

    fn note(&mut self, (cell, fresh): (u32, bool), version: i64, start: u64) {
        let end = now();
        let place = cell + if fresh { ALL_CELLS } else { 0 };
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        let Some(run) = self.runs.get_mut(place) else {
            return;
        };
        let goes_on = run.version == version && end - run.first_end < RUN_MAX;
        if run.count > 0 && !goes_on {
            self.shared.output.write(&Record::Read(*run));
            run.count = 0;
        }
        if run.count == 0 {
            run.version = version;
            run.first_end = end;
        }
        run.count += 1;
        run.last_start = start;
    }

    /// Writes down what is left.
    fn tell(&mut self) {
        for run in &mut self.runs {
            if run.count > 0 {
                self.shared.output.write(&Record::Read(*run));
                run.count = 0;
            }
        }
    }
}

/// Few loads are slow, some of them very: other values come and go meanwhile.
fn loading(numbers: &mut Numbers) -> Loading {
    let mut loading = Loading::default();
    let time = match numbers.below(1_000) {
        0..3 => numbers.milliseconds(0, 2_000),
        3..30 => numbers.milliseconds(0, 100),
        _ => return loading,
    };
    if numbers.one_in(3) {
        loading.before = time;
    } else {
        loading.after = time;
    }
    loading
}

async fn write<C: Cached>(shared: Arc<Shared<C>>, task: u64, mut numbers: Numbers) {
    while shared.goes_on(numbers.milliseconds(0, 100)).await {
        let own = own_cell(&shared.part);
        let cell = if task == 0 && numbers.one_in(2) {
            own
        } else {
            below(&mut numbers, CELLS)
        };
        let (way, begun) = (Way::of(cell), now());
        if way == Way::Set && (task, cell) != (0, own) {
            continue;
        }
        if way == Way::Delete && numbers.one_in(30) {
            let taken_back = shared.cached.take_back(cell).await;
            shared.complain(taken_back);
            continue;
        }
        if way != Way::Set && numbers.one_in(30) {
            // Whatever it has done by then, nobody was told.
            let _gone = timeout(numbers.milliseconds(0, 20), shared.write(cell, begun)).await;
        } else {
            shared.write(cell, begun).await;
        }
    }
}

async fn write_calm<C: Cached>(shared: Arc<Shared<C>>, mut numbers: Numbers, cells: Range<u32>) {
    while shared.goes_on(numbers.milliseconds(0, 500)).await {
        let cell = cells.start + below(&mut numbers, cells.end - cells.start);
        if Way::of(cell) != Way::Set || is_of(&shared.part, cell) {
            shared.write(cell, now()).await;
        }
    }
}

fn below(numbers: &mut Numbers, limit: u32) -> u32 {
    u32::try_from(numbers.below(u64::from(limit))).unwrap_or(0)
}

/// Values that take the place of others must not come in another order than they were written, so one
/// task writes them.
fn own_cell(part: &Part) -> u32 {
    let place = u32::try_from(part.place()).unwrap_or(0);
    4 * place + 2
}

/// Of calm cells too.
fn is_of(part: &Part, cell: u32) -> bool {
    let processes = u32::try_from(super::PROCESSES).unwrap_or(1);
    cell % (4 * processes) == own_cell(part)
}
