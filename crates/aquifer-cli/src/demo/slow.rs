//! Slow statements among many fast ones.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::chance::Chance;
use super::figures;
use super::lanes::TASKS;
use super::pools::{self, Pool};
use super::scene::Scene;
use super::schema::ACCOUNTS;
use super::server::Server;
use super::stage::{Chapter, Failure, Step};

/// Calls of each task.
const EACH: u32 = 50;
const PAUSE: Duration = Duration::from_millis(100);

pub(super) fn chapter() -> Chapter {
    Chapter {
        title: "1 % of the statements are slow",
        why: "On shared connections answers come in order, so what is slow must not be there: \
              it gets a connection of its own, and the fast ones go past it.",
        code: pools::code(&["fast", "slow"]),
    }
}

pub(super) async fn perform(
    step: &mut Step,
    scene: &Scene,
    server: &Server,
) -> Result<(), Failure> {
    let exclusive = Pool::ten_exclusive(server).await?;
    let others = all(&exclusive).await?;
    let ours = all(&Pool::Shared(scene.db.clone())).await?;
    exclusive.close().await?;
    step.note(&format!(
        "{} tasks send {} fast statements, and {} that take {} each",
        TASKS,
        figures::count(ours.fast.len()),
        ours.slow.len(),
        figures::time(PAUSE),
    ));
    step.draw(&format!(
        "{:<36}{:>10}{:>10}",
        "time of the fast ones", "p50", "p99"
    ));
    for (name, times) in [
        ("10 exclusive connections, ideal", &others),
        ("10 connections, 2 of them shared", &ours),
    ] {
        step.draw(&format!(
            "{name:<36}{:>10}{:>10}",
            figures::time(at(50, &times.fast)),
            figures::time(at(99, &times.fast))
        ));
    }
    // Both were measured here, so that a busy machine makes both longer.
    let (fast, slow) = (at(99, &ours.fast), at(50, &ours.slow));
    step.check(
        fast < slow,
        &format!(
            "99 of 100 fast ones took less than a single slow one: {} of {}",
            figures::time(fast),
            figures::time(slow)
        ),
    );
    Ok(())
}

/// How long the statements took, the shortest first.
#[derive(Default)]
struct Times {
    fast: Vec<Duration>,
    slow: Vec<Duration>,
}

fn at(percent: usize, sorted: &[Duration]) -> Duration {
    let place = sorted.len() * percent / 100;
    sorted.get(place).copied().unwrap_or_default()
}

async fn all(pool: &Pool) -> Result<Times, Failure> {
    // Known statements: what follows is the same for both pools.
    pool.balance(1).await?;
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let pool = pool.clone();
        tasks.spawn(async move { some(&pool, task).await });
    }
    let mut all = Times::default();
    while let Some(done) = tasks.join_next().await {
        let times = done??;
        all.fast.extend(times.fast);
        all.slow.extend(times.slow);
    }
    all.fast.sort();
    all.slow.sort();
    Ok(all)
}

async fn some(pool: &Pool, task: u32) -> Result<Times, Failure> {
    let mut chance = Chance::new(task.into());
    let mut times = Times::default();
    for _ in 0..EACH {
        let id = task % ACCOUNTS + 1;
        let begun = Instant::now();
        if chance.below(100) == 0 {
            pool.sleep(PAUSE).await?;
            times.slow.push(begun.elapsed());
        } else {
            pool.balance(id).await?;
            times.fast.push(begun.elapsed());
        }
    }
    Ok(times)
}
