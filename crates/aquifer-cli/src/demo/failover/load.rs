//! Writers and readers that go on whatever happens, and remember what they were told.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aquifer::{Db, Error, ErrorKind, Session};
use tokio::task::JoinSet;
use tokio::time;

use crate::demo::excerpt::excerpt;
use crate::demo::figures;
use crate::demo::patience;
use crate::demo::stage::{Failure, Step};

const SOURCE: &str = include_str!("load.rs");

const WRITERS: usize = 8;
const READERS: usize = 8;
/// So that the load is one that people recognise: some hundred writes a second.
const PAUSE: Duration = Duration::from_millis(10);

const INSERT: &str = "insert into orders (id) values ($1)";

/// What a writer does.
pub(super) fn code() -> Vec<&'static str> {
    excerpt(SOURCE, "write")
}

/// What is written to.
pub(super) async fn create(db: &Db) -> Result<(), Error> {
    // Without a key of its own: a row that is written twice is there twice.
    db.execute_script("create table orders (id bigint not null)")
        .await
}

pub(super) struct Load {
    tasks: JoinSet<Told>,
    stop: Arc<AtomicBool>,
    /// When each write was acknowledged.
    written: Arc<Mutex<Vec<Instant>>>,
}

/// What the callers were told.
#[derive(Default)]
pub(super) struct Told {
    acknowledged: Vec<i64>,
    read_errors: Vec<Error>,
    write_errors: Vec<Error>,
    reads: usize,
    slowest_read: Duration,
}

impl Load {
    pub(super) fn start(db: &Db) -> Self {
        let mut load = Self {
            tasks: JoinSet::new(),
            stop: Arc::default(),
            written: Arc::default(),
        };
        let next = Arc::new(AtomicI64::new(0));
        for _ in 0..WRITERS {
            let (db, next) = (db.clone(), Arc::clone(&next));
            let (stop, written) = (Arc::clone(&load.stop), Arc::clone(&load.written));
            load.tasks
                .spawn(async move { write(&db, &next, &stop, &written).await });
        }
        for _ in 0..READERS {
            let (db, stop) = (db.clone(), Arc::clone(&load.stop));
            load.tasks.spawn(async move { read(&db, &stop).await });
        }
        load
    }

    /// Waits until so many more writes were acknowledged.
    pub(super) async fn proceed(&self, writes: usize) -> Result<(), Failure> {
        let goal = self.written().len() + writes;
        patience::until("the writers get on", async || {
            Ok(self.written().len() >= goal)
        })
        .await
        .map(drop)
    }

    /// When the first write was acknowledged after this moment, as far as one that was under way
    /// then can be told apart: those were acknowledged within a millisecond or never.
    pub(super) fn first_after(&self, moment: Instant) -> Option<Instant> {
        let after = moment + Duration::from_millis(50);
        self.written()
            .iter()
            .copied()
            .filter(|written| *written > after)
            .min()
    }

    pub(super) async fn finish(mut self) -> Result<Told, Failure> {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Told::default();
        while let Some(told) = self.tasks.join_next().await {
            let told = told?;
            all.acknowledged.extend(told.acknowledged);
            all.read_errors.extend(told.read_errors);
            all.write_errors.extend(told.write_errors);
            all.reads += told.reads;
            all.slowest_read = all.slowest_read.max(told.slowest_read);
        }
        Ok(all)
    }

    fn written(&self) -> std::sync::MutexGuard<'_, Vec<Instant>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[rustfmt::skip] // Laid out for the width of a terminal.
async fn order(db: &Db, id: i64) -> Result<(), Error> {
    // ANCHOR: write
    let key = format!("order {id}"); // sent again when its answer is lost, done once
    match db.idempotent(key).execute(INSERT, (id,)).await {
        Err(error) if error.kind() == ErrorKind::AlreadyDone => Ok(()),
        done => done.map(drop),
    }
    // ANCHOR_END: write
}

async fn write(
    db: &Db,
    next: &AtomicI64,
    stop: &AtomicBool,
    written: &Mutex<Vec<Instant>>,
) -> Told {
    let mut told = Told::default();
    while !stop.load(Ordering::Relaxed) {
        let id = next.fetch_add(1, Ordering::Relaxed);
        match order(db, id).await {
            Ok(()) => {
                told.acknowledged.push(id);
                let mut written = written.lock().unwrap_or_else(PoisonError::into_inner);
                written.push(Instant::now());
            }
            Err(error) => told.write_errors.push(error),
        }
        time::sleep(PAUSE).await;
    }
    told
}

async fn read(db: &Db, stop: &AtomicBool) -> Told {
    let mut told = Told::default();
    while !stop.load(Ordering::Relaxed) {
        let begun = Instant::now();
        let asked = db.query_value::<i64>("select coalesce(max(id), 0) from orders", ());
        match asked.await {
            Ok(_) => told.reads += 1,
            Err(error) => told.read_errors.push(error),
        }
        told.slowest_read = told.slowest_read.max(begun.elapsed());
        time::sleep(PAUSE).await;
    }
    told
}

impl Told {
    /// Holds what the callers were told against what is there.
    pub(super) async fn report(&self, step: &mut Step, db: &Db) -> Result<(), Failure> {
        let there: Vec<i64> = db
            .query_column("select id from orders order by id", ())
            .await?;
        let lost = self
            .acknowledged
            .iter()
            .filter(|id| there.binary_search(id).is_err())
            .count();
        let doubled = there
            .iter()
            .zip(there.iter().skip(1))
            .filter(|(id, next)| id == next);
        let doubled = doubled.count();
        step.check(
            lost == 0 && doubled == 0,
            &format!(
                "{} acknowledged: lost {lost}, doubled {doubled}",
                figures::plural(self.acknowledged.len(), "write")
            ),
        );
        step.note(&format!(
            "{}, the slowest in {}",
            figures::plural(self.reads, "read"),
            figures::time(self.slowest_read)
        ));
        for (who, errors) in [
            ("reader", &self.read_errors),
            ("writer", &self.write_errors),
        ] {
            let found = match errors.first() {
                None => "0".to_owned(),
                Some(first) => format!("{}, such as: {first}", errors.len()),
            };
            step.check(
                errors.is_empty(),
                &format!("errors that reached a {who}: {found}"),
            );
        }
        Ok(())
    }
}
