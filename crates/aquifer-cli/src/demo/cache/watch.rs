//! Tasks that read all the time, and know what they must see.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aquifer::{Db, Error};
use tokio::task::JoinSet;

use super::super::figures;
use super::super::patience;
use super::super::stage::{Failure, Step};
use super::{BOUND, price};

const WATCHERS: usize = 8;
/// Between two reads of a task, so that others have a processor too.
const PAUSE: Duration = Duration::from_millis(1);
/// So many reads are some.
const SOME: usize = 200;

pub(super) struct Watch {
    tasks: JoinSet<Seen>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    acknowledged: Mutex<Vec<(Instant, i64)>>,
    answered: AtomicUsize,
    stop: AtomicBool,
}

/// What the tasks saw.
#[derive(Default)]
pub(super) struct Seen {
    answered: usize,
    stale: usize,
    errors: Vec<Error>,
    slowest: Duration,
}

impl Watch {
    pub(super) fn start(db: &Db) -> Self {
        let shared = Arc::<Shared>::default();
        let mut tasks = JoinSet::new();
        for _ in 0..WATCHERS {
            let (db, shared) = (db.clone(), Arc::clone(&shared));
            tasks.spawn(async move { shared.read(&db).await });
        }
        Self { tasks, shared }
    }

    /// The writer of this price was told that it is done.
    pub(super) fn acknowledged(&self, price: i64) {
        self.shared.lock().push((Instant::now(), price));
    }

    /// Whether all prices were acknowledged so long ago that everybody must see them.
    pub(super) fn has_settled(&self) -> bool {
        let acknowledged = self.shared.lock();
        let last = acknowledged.last();
        last.is_none_or(|(when, _)| when.elapsed() >= BOUND)
    }

    /// Waits for some more reads.
    pub(super) async fn proceed(&self) -> Result<(), Failure> {
        let answered = || self.shared.answered.load(Ordering::Relaxed);
        let goal = answered() + SOME;
        let more = patience::until("reads go on", async || Ok(answered() >= goal));
        more.await.map(drop)
    }

    pub(super) async fn finish(mut self) -> Result<Seen, Failure> {
        self.shared.stop.store(true, Ordering::Relaxed);
        let mut all = Seen::default();
        while let Some(seen) = self.tasks.join_next().await {
            let seen = seen?;
            all.answered += seen.answered;
            all.stale += seen.stale;
            all.errors.extend(seen.errors);
            all.slowest = all.slowest.max(seen.slowest);
        }
        Ok(all)
    }
}

impl Shared {
    async fn read(&self, db: &Db) -> Seen {
        let mut seen = Seen::default();
        while !self.stop.load(Ordering::Relaxed) {
            let begun = Instant::now();
            let known = self.known_at(begun);
            match price(db).await {
                Ok(found) => {
                    seen.answered += 1;
                    seen.stale += usize::from(*found < known);
                    self.answered.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => seen.errors.push(error),
            }
            seen.slowest = seen.slowest.max(begun.elapsed());
            tokio::time::sleep(PAUSE).await;
        }
        seen
    }

    /// What everybody must see who begins to read then; prices only rise.
    fn known_at(&self, at: Instant) -> i64 {
        let acknowledged = self.lock();
        let mut known = acknowledged.iter().rev();
        known
            .find(|(when, _)| *when + BOUND <= at)
            .map_or(0, |(_, price)| *price)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(Instant, i64)>> {
        self.acknowledged
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    pub(super) fn report(&self, step: &mut Step) {
        step.note(&format!(
            "meanwhile {WATCHERS} tasks made {} reads, the slowest in {}",
            figures::count(self.answered),
            figures::time(self.slowest)
        ));
        let errors = match self.errors.first() {
            None => "0".to_owned(),
            Some(first) => format!("{}, such as: {first}", figures::count(self.errors.len())),
        };
        step.check(
            self.errors.is_empty(),
            &format!("errors that reached a reader: {errors}"),
        );
        step.check(
            self.stale == 0 && self.answered > 0,
            &format!(
                "reads of a price that was replaced more than a second before: {}",
                self.stale
            ),
        );
    }
}
