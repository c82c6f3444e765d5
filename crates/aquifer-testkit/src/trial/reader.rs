use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::{sleep, timeout};

use super::layer::{ALL_CELLS, CALM, CELLS, Cached, List, Loading};
use super::record::{Read, Record, now};
use super::tasks::{Shared, below};
use crate::numbers::Numbers;

/// How long a loader waits for a load, which may go on after that.
const LOADED_WITHIN: Duration = Duration::from_millis(50);

/// How long the reader and the loaders of calm cells rest.
const CALM_PAUSE: Duration = Duration::from_millis(10);

/// Reads of one reader until it rests.
const BURST: usize = 64;

/// One of so many reads must see every write that was acknowledged before.
const FRESH: u64 = 200;

/// After so long a reader's record of what it reads again and again is written down.
const RUN_MAX: u64 = 100_000_000;

/// A task that reads, and writes down what it saw.
pub(super) struct Reader<C> {
    shared: Arc<Shared<C>>,
    numbers: Numbers,
    /// Of each cell, and of fresh reads of each.
    runs: Vec<Read>,
    /// What each list showed last, by its first cell.
    lists: HashMap<u32, Vec<i64>>,
}

impl<C: Cached> Reader<C> {
    pub(super) fn new(shared: Arc<Shared<C>>, numbers: Numbers) -> Self {
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

    pub(super) async fn run(mut self) {
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
    pub(super) async fn peek_calm(mut self) {
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
    pub(super) async fn load_calm(mut self) {
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
    pub(super) async fn list(mut self) {
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

    pub(super) async fn read_list(&mut self, list: List) {
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

    pub(super) async fn read(&mut self, cell: u32, mut loading: Loading) {
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
    pub(super) fn tell(&mut self) {
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
