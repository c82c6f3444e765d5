//! What a peer implements, and how a run drives it.

use std::hint::black_box;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::user::{self, Keys};
use crate::{Error, User};

/// One way to run the statement; open when it is made.
pub trait Contender: Send + Sync + 'static {
    /// The row with that key.
    fn user(&self, id: i64) -> impl Future<Output = Result<User, Error>> + Send;
}

/// A future that is not named.
pub type Boxed<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

/// A contender as the tables know it: its name, and how it is opened.
#[derive(Clone, Copy)]
pub struct Entry {
    /// As the tables call it.
    pub name: &'static str,
    /// Opens it on the server at these connection parameters (libpq's `key=value` form).
    pub open: fn(parameters: String) -> Boxed<Box<dyn Race>>,
}

/// A contender that is open, its type forgotten.
pub trait Race: Send + Sync {
    /// Lets so many tasks ask one row after the other for that time, each with a pause of random
    /// length before each query; returns each query's latency in nanoseconds.
    fn run_for(&self, tasks: usize, time: Duration, pause: Duration) -> Boxed<Vec<u32>>;

    /// Lets so many tasks share that number of queries, without measuring anything.
    fn run_count(&self, tasks: usize, queries: usize) -> Boxed<()>;
}

/// Forgets the contender's type.
pub fn race<C: Contender>(contender: C) -> Box<dyn Race> {
    Box::new(Racer(Arc::new(contender)))
}

struct Racer<C>(Arc<C>);

impl<C: Contender> Race for Racer<C> {
    fn run_for(&self, tasks: usize, time: Duration, pause: Duration) -> Boxed<Vec<u32>> {
        let contender = Arc::clone(&self.0);
        Box::pin(async move {
            let end = Instant::now() + time;
            let running: Vec<_> = (0..tasks)
                .map(|task| tokio::spawn(ask_until(Arc::clone(&contender), task, end, pause)))
                .collect();
            let mut latencies = Vec::new();
            for task in running {
                latencies.extend(task.await??);
            }
            Ok(latencies)
        })
    }

    fn run_count(&self, tasks: usize, queries: usize) -> Boxed<()> {
        let contender = Arc::clone(&self.0);
        Box::pin(async move {
            let left = Arc::new(AtomicUsize::new(queries));
            let running: Vec<_> = (0..tasks)
                .map(|task| {
                    tokio::spawn(ask_count(Arc::clone(&contender), task, Arc::clone(&left)))
                })
                .collect();
            for task in running {
                task.await??;
            }
            Ok(())
        })
    }
}

async fn ask_until<C: Contender>(
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
            let part = keys.next().unwrap_or(0) as f64 / f64::from(user::ROWS);
            tokio::time::sleep(pause.mul_f64(2.0 * part)).await;
            before = Instant::now();
        }
        ask(&*contender, &mut keys).await?;
        let after = Instant::now();
        latencies.push(u32::try_from((after - before).as_nanos()).unwrap_or(u32::MAX));
        before = after;
    }
    Ok(latencies)
}

async fn ask_count<C: Contender>(
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
        ask(&*contender, &mut keys).await?;
    }
    Ok(())
}

/// One query, and a look at whether the row is the one that was asked for.
async fn ask<C: Contender>(contender: &C, keys: &mut Keys) -> Result<(), Error> {
    let id = keys.next().unwrap_or(1);
    let user = black_box(contender.user(id).await?);
    if user.id == id {
        Ok(())
    } else {
        Err(format!("asked for user {id}, got user {}", user.id).into())
    }
}
