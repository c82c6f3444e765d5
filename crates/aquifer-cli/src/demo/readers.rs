//! Tasks that read without pause while things happen to the server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aquifer::{Db, Error, Session};
use tokio::task::JoinSet;

use super::excerpt::excerpt;
use super::figures;
use super::patience;
use super::stage::{Failure, Step};

const SOURCE: &str = include_str!("readers.rs");

const READERS: i64 = 32;

pub(super) struct Readers {
    tasks: JoinSet<Reads>,
    answered: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
}

/// What the readers saw.
#[derive(Debug, Default)]
pub(super) struct Reads {
    answered: usize,
    foreign: usize,
    errors: Vec<Error>,
    slowest: Duration,
}

/// What each of them does, again and again.
pub(super) fn code() -> Vec<&'static str> {
    excerpt(SOURCE, "read")
}

impl Readers {
    pub(super) fn start(db: &Db) -> Self {
        let mut readers = Self {
            tasks: JoinSet::new(),
            answered: Arc::default(),
            stop: Arc::default(),
        };
        for tag in 0..READERS {
            let (db, answered) = (db.clone(), Arc::clone(&readers.answered));
            let stop = Arc::clone(&readers.stop);
            readers
                .tasks
                .spawn(async move { read(&db, tag, &answered, &stop).await });
        }
        readers
    }

    /// Waits until `reads` more have been answered.
    pub(super) async fn proceed(&self, reads: usize) -> Result<(), Failure> {
        let goal = self.answered.load(Ordering::Relaxed) + reads;
        patience::until("the readers get on", async || {
            Ok(self.answered.load(Ordering::Relaxed) >= goal)
        })
        .await
        .map(drop)
    }

    pub(super) async fn finish(mut self) -> Result<Reads, Failure> {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Reads::default();
        while let Some(reads) = self.tasks.join_next().await {
            let reads = reads?;
            all.answered += reads.answered;
            all.foreign += reads.foreign;
            all.errors.extend(reads.errors);
            all.slowest = all.slowest.max(reads.slowest);
        }
        Ok(all)
    }
}

#[rustfmt::skip] // Laid out for the width of a terminal.
async fn read_one(db: &Db, tag: i64) -> Result<i64, Error> {
    // ANCHOR: read
    db.query_value("select $1 + min(id) from accounts", (tag,)).await
    // ANCHOR_END: read
}

async fn read(db: &Db, tag: i64, answered: &AtomicUsize, stop: &AtomicBool) -> Reads {
    let mut reads = Reads::default();
    while !stop.load(Ordering::Relaxed) {
        let begun = Instant::now();
        match read_one(db, tag).await {
            Ok(answer) => {
                reads.answered += 1;
                reads.foreign += usize::from(answer != tag + 1);
                answered.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => reads.errors.push(error),
        }
        reads.slowest = reads.slowest.max(begun.elapsed());
    }
    reads
}

impl Reads {
    /// Says what the readers saw; an error that reached one of them is a failure of the step.
    pub(super) fn report(&self, step: &mut Step) {
        step.note(&format!(
            "meanwhile {READERS} tasks made {} reads, the slowest in {}",
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
            self.foreign == 0 && self.answered > 0,
            &format!("answers that were meant for another: {}", self.foreign),
        );
    }
}
