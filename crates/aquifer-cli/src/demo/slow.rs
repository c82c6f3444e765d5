//! Slow statements among many fast ones.

use std::time::{Duration, Instant};

use aquifer::{Db, Error, Session};
use tokio::task::JoinSet;

use super::chance::Chance;
use super::excerpt::excerpt;
use super::figures;
use super::lanes::TASKS;
use super::pools;
use super::scene::Scene;
use super::schema::ACCOUNTS;
use super::server::Server;
use super::stage::{Chapter, Failure, Step};

const SOURCE: &str = include_str!("slow.rs");

/// Calls of each task.
const EACH: u32 = 50;
const PAUSE: Duration = Duration::from_millis(100);

pub(super) fn chapter() -> Chapter {
    Chapter {
        title: "1 % of the statements are slow",
        why: "On shared connections answers come in order, so what is slow must not be there: \
              it gets a connection of its own, and the fast ones go past it.",
        code: excerpt(SOURCE, "call"),
    }
}

pub(super) async fn perform(
    step: &mut Step,
    scene: &Scene,
    server: &Server,
) -> Result<(), Failure> {
    let exclusive = pools::ten_exclusive(server).await?;
    let others = all(&exclusive).await?;
    let ours = all(&scene.db).await?;
    exclusive.close().await?;
    step.note(&format!(
        "{} tasks send {} fast statements, and {} that take {} each",
        TASKS,
        figures::count(ours.fast.len()),
        ours.slow,
        figures::time(PAUSE),
    ));
    step.draw(&format!(
        "{:<36}{:>10}{:>10}",
        "time of the fast ones", "p50", "p99"
    ));
    for (name, times) in [
        ("10 exclusive connections", &others),
        ("10 connections, 2 of them shared", &ours),
    ] {
        step.draw(&format!(
            "{name:<36}{:>10}{:>10}",
            figures::time(times.at(50)),
            figures::time(times.at(99))
        ));
    }
    step.check(
        ours.at(99) < PAUSE,
        &format!(
            "99 of 100 fast ones took less than a single slow one: {}",
            figures::time(ours.at(99))
        ),
    );
    Ok(())
}

/// How long the fast statements took, the shortest first.
#[derive(Default)]
struct Times {
    fast: Vec<Duration>,
    slow: usize,
}

impl Times {
    fn at(&self, percent: usize) -> Duration {
        let place = self.fast.len() * percent / 100;
        self.fast.get(place).copied().unwrap_or_default()
    }
}

async fn all(db: &Db) -> Result<Times, Failure> {
    // Known statements: what follows is the same for both pools.
    fast(db, 1).await?;
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let db = db.clone();
        tasks.spawn(async move { some(&db, task).await });
    }
    let mut all = Times::default();
    while let Some(done) = tasks.join_next().await {
        let times = done??;
        all.fast.extend(times.fast);
        all.slow += times.slow;
    }
    all.fast.sort();
    Ok(all)
}

async fn some(db: &Db, task: u32) -> Result<Times, Error> {
    let mut chance = Chance::new(task.into());
    let mut times = Times::default();
    for _ in 0..EACH {
        let id = task % ACCOUNTS + 1;
        let begun = Instant::now();
        if chance.below(100) == 0 {
            pause(db).await?;
            times.slow += 1;
        } else {
            fast(db, id).await?;
            times.fast.push(begun.elapsed());
        }
    }
    Ok(times)
}

#[rustfmt::skip] // Laid out for the width of a terminal.
async fn fast(db: &Db, id: u32) -> Result<i64, Error> {
    // ANCHOR: call
    db.query_value("select balance from accounts where id = $1", (id,)).await // 99 %
    // ANCHOR_END: call
}

#[rustfmt::skip]
async fn pause(db: &Db) -> Result<(), Error> {
    let seconds = PAUSE.as_secs_f64();
    // ANCHOR: call
    db.query("select pg_sleep($1)", (seconds,)).await // 1 %
    // ANCHOR_END: call
        .map(drop)
}
