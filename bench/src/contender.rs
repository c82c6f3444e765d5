//! What a peer implements, and how a run drives it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::user::Keys;
use crate::workloads::{Sample, Work, Workload};
use crate::{Error, Place, User, cpu};

/// One way to work with the database; open when it is made.
///
/// A contender implements what its entry says that it [offers](Entry::offers).
pub trait Contender: Send + Sync + 'static {
    /// The row with that key.
    fn user(&self, _id: i64) -> impl Future<Output = Result<User, Error>> + Send {
        async { not_offered() }
    }

    /// The rows with the keys from `first` to `last`.
    fn users(
        &self,
        _first: i64,
        _last: i64,
    ) -> impl Future<Output = Result<Vec<User>, Error>> + Send {
        async { not_offered() }
    }

    /// Adds an event of that user; returns how many rows were added.
    fn insert(&self, _user: i64) -> impl Future<Output = Result<u64, Error>> + Send {
        async { not_offered() }
    }

    /// Renames that account; returns how many rows were changed.
    fn update(&self, _account: i64) -> impl Future<Output = Result<u64, Error>> + Send {
        async { not_offered() }
    }

    /// Renames an account and adds an event, both or neither; returns how many rows were touched.
    fn transaction(&self, _key: i64) -> impl Future<Output = Result<u64, Error>> + Send {
        async { not_offered() }
    }

    /// Writes these rows; returns how many there were.
    fn load(&self, _users: &[User]) -> impl Future<Output = Result<u64, Error>> + Send {
        async { not_offered() }
    }

    /// Runs a read that takes so many seconds.
    fn slow(&self, _seconds: f64) -> impl Future<Output = Result<(), Error>> + Send {
        async { not_offered() }
    }

    /// Takes a connection and gives it back, without a statement of its own.
    fn acquire(&self) -> impl Future<Output = Result<(), Error>> + Send {
        async { not_offered() }
    }
}

fn not_offered<T>() -> Result<T, Error> {
    Err("the contender does not offer this".into())
}

/// A future that is not named.
pub type Boxed<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

/// A contender on its way to being open.
pub type Opening = Boxed<Box<dyn Race>>;

/// A contender as the tables know it: its name, and how it is opened.
#[derive(Clone, Copy)]
pub struct Entry {
    /// As the tables call it.
    pub name: &'static str,
    /// What it can do.
    pub offers: &'static [Workload],
    /// Opens it on the server at this place.
    pub open: fn(place: Place) -> Opening,
}

/// A contender that is open, its type forgotten.
pub trait Race: Send + Sync {
    /// Lets so many tasks do that work for some time, each with a pause of random length before each
    /// piece; returns each counted piece's latency in nanoseconds.
    fn run_for(
        &self,
        workload: Workload,
        tasks: usize,
        time: Duration,
        pause: Duration,
    ) -> Boxed<Vec<u32>>;

    /// Lets so many tasks share that number of pieces of work, without measuring anything.
    fn run_count(&self, workload: Workload, tasks: usize, pieces: usize) -> Boxed<()>;

    /// Processor time of the client so far, in seconds.
    fn processor_time(&self) -> f64 {
        cpu::client()
    }

    /// The most memory that the client had so far, in kB.
    fn peak_memory(&self) -> u64 {
        cpu::peak_memory("self")
    }
}

/// Forgets the contender's type.
pub fn race<C: Contender>(contender: C) -> Box<dyn Race> {
    Box::new(Racer(Arc::new(contender)))
}

/// A contender in the hands of those who drive it, whatever the work.
pub struct Racer<C>(Arc<C>);

impl<C: Contender> Race for Racer<C> {
    fn run_for(
        &self,
        workload: Workload,
        tasks: usize,
        time: Duration,
        pause: Duration,
    ) -> Boxed<Vec<u32>> {
        workload.run_for(self, Turn { tasks, time, pause })
    }

    fn run_count(&self, workload: Workload, tasks: usize, pieces: usize) -> Boxed<()> {
        workload.run_count(self, tasks, pieces)
    }
}

/// One contender's turn.
#[derive(Clone, Copy)]
pub struct Turn {
    tasks: usize,
    time: Duration,
    pause: Duration,
}

impl<C: Contender> Racer<C> {
    /// As [`Race::run_for`], for one kind of work.
    pub(crate) fn time<W: Work>(&self, turn: Turn) -> Boxed<Vec<u32>> {
        let contender = Arc::clone(&self.0);
        Box::pin(async move {
            let end = Instant::now() + turn.time;
            let running: Vec<_> = (0..turn.tasks)
                .map(|task| {
                    let contender = Arc::clone(&contender);
                    tokio::spawn(work_until::<C, W>(contender, task, end, turn.pause))
                })
                .collect();
            let mut latencies = Vec::new();
            for task in running {
                latencies.extend(task.await??);
            }
            Ok(latencies)
        })
    }

    /// As [`Race::run_count`], for one kind of work.
    pub(crate) fn count<W: Work>(&self, tasks: usize, pieces: usize) -> Boxed<()> {
        let contender = Arc::clone(&self.0);
        Box::pin(async move {
            let left = Arc::new(AtomicUsize::new(pieces));
            let running: Vec<_> = (0..tasks)
                .map(|task| {
                    let (contender, left) = (Arc::clone(&contender), Arc::clone(&left));
                    tokio::spawn(work_count::<C, W>(contender, task, left))
                })
                .collect();
            for task in running {
                task.await??;
            }
            Ok(())
        })
    }
}

async fn work_until<C: Contender, W: Work>(
    contender: Arc<C>,
    task: usize,
    end: Instant,
    pause: Duration,
) -> Result<Vec<u32>, Error> {
    let mut keys = Keys::of_task(task);
    let mut latencies = Vec::with_capacity(16 * 1024);
    let mut before = Instant::now();
    while before < end {
        if !pause.is_zero() {
            // A key is as random as it need be.
            tokio::time::sleep(pause.mul_f64(2.0 * keys.part())).await;
            before = Instant::now();
        }
        let sample = W::once(&*contender, &mut keys).await?;
        let after = Instant::now();
        if sample == Sample::Counted {
            latencies.push(u32::try_from((after - before).as_nanos()).unwrap_or(u32::MAX));
        }
        before = after;
    }
    Ok(latencies)
}

async fn work_count<C: Contender, W: Work>(
    contender: Arc<C>,
    task: usize,
    left: Arc<AtomicUsize>,
) -> Result<(), Error> {
    let mut keys = Keys::of_task(task);
    let take = |left: usize| left.checked_sub(1);
    while left
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
        .is_ok()
    {
        W::once(&*contender, &mut keys).await?;
    }
    Ok(())
}
