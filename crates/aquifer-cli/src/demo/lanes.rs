//! Many tasks on few connections, beside the same work on more connections of the usual kind.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::cpu;
use super::figures;
use super::patience;
use super::pools::{self, FOUR, Pool, TEN};
use super::scene::Scene;
use super::schema::ACCOUNTS;
use super::server::Server;
use super::stage::{Chapter, Failure, Step};

pub(super) const TASKS: u32 = 64;
/// Pairs of rounds, one on each pool, so that what else the machine does meets both.
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_millis(120);
const WARM_UP: Duration = Duration::from_millis(30);

pub(super) fn chapter() -> Chapter {
    Chapter {
        title: "64 tasks on 4 connections",
        why: "Reads of several tasks travel together on shared connections, instead of each \
              waiting until one is free. Beside it, in turns: an ideal pool of 10 connections, each \
              used by one task at a time, that costs nothing itself.",
        code: pools::code(&["shared", "fast"]),
    }
}

pub(super) async fn perform(
    step: &mut Step,
    scene: &Scene,
    server: &Server,
) -> Result<(), Failure> {
    let mut shared = Side::new(FOUR, Pool::four_shared(server).await?);
    let mut exclusive = Side::new(TEN, Pool::ten_exclusive(server).await?);
    for side in [&mut shared, &mut exclusive] {
        side.warm_up(scene, server).await?;
    }
    let mut ratios = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let others = exclusive.round().await?;
        ratios.push(shared.round().await? / others);
    }
    draw(step, &exclusive, &shared);
    compare(step, &exclusive, &shared, ratios);
    let sessions = (exclusive.processes.len(), shared.processes.len());
    step.check(
        sessions == (10, 4),
        &format!(
            "sessions that the server counts: {} and {}",
            sessions.0, sessions.1
        ),
    );
    exclusive.pool.close().await?;
    shared.pool.close().await?;
    Ok(())
}

/// One pool, and what it did.
struct Side {
    connections: u32,
    pool: Pool,
    processes: Vec<i32>,
    /// Whether the processes are on this machine.
    is_here: bool,
    reads: u32,
    elapsed: Duration,
    client: Option<Duration>,
    server: Option<Duration>,
}

impl Side {
    fn new(connections: u32, pool: Pool) -> Self {
        Self {
            connections,
            pool,
            processes: Vec::new(),
            is_here: false,
            reads: 0,
            elapsed: Duration::ZERO,
            client: Some(Duration::ZERO),
            server: Some(Duration::ZERO),
        }
    }

    /// Opens all connections.
    async fn warm_up(&mut self, scene: &Scene, server: &Server) -> Result<(), Failure> {
        let open = patience::until("all connections are open", async || {
            all(&self.pool, WARM_UP).await?;
            Ok(self.pool.is_open())
        });
        open.await?;
        self.processes = scene.processes(self.connections).await?;
        self.is_here = server.is_ours();
        Ok(())
    }

    /// Reads per second.
    async fn round(&mut self) -> Result<f64, Failure> {
        let before = self.used();
        let begun = Instant::now();
        let reads = all(&self.pool, ROUND).await?;
        let elapsed = begun.elapsed();
        let after = self.used();
        self.client = add(self.client, before.0, after.0);
        self.server = add(self.server, before.1, after.1);
        self.reads += reads;
        self.elapsed += elapsed;
        Ok(f64::from(reads) / elapsed.as_secs_f64())
    }

    /// By the client and the server together.
    fn used_by_a_read(&self) -> Option<Duration> {
        Some((self.client? + self.server?) / self.reads.max(1))
    }

    /// What this program and the server's processes have used of the processors so far.
    fn used(&self) -> (Option<Duration>, Option<Duration>) {
        let server = self.is_here.then(|| cpu::of_all(&self.processes));
        (cpu::own(), server.flatten())
    }
}

fn add(
    sum: Option<Duration>,
    before: Option<Duration>,
    after: Option<Duration>,
) -> Option<Duration> {
    Some(sum? + after?.saturating_sub(before?))
}

/// Reads from all tasks for so long; how many.
async fn all(pool: &Pool, time: Duration) -> Result<u32, Failure> {
    let end = Instant::now() + time;
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let pool = pool.clone();
        tasks.spawn(async move {
            let (mut reads, id) = (0, task % ACCOUNTS + 1);
            while Instant::now() < end {
                pool.balance(id).await?;
                reads += 1;
            }
            Ok::<_, Failure>(reads)
        });
    }
    let mut reads = 0;
    while let Some(done) = tasks.join_next().await {
        reads += done??;
    }
    Ok(reads)
}

fn draw(step: &Step, exclusive: &Side, shared: &Side) {
    let line = |name, rate: &str, client: &str, server: &str| {
        step.draw(&format!("{name:<26}{rate:>10}{client:>23}{server:>11}"));
    };
    line("connections", "reads/s", "CPU per read: client", "server");
    for (name, side) in [
        ("10 exclusive, ideal", exclusive),
        ("4, of them 3 shared", shared),
    ] {
        let rate = f64::from(side.reads) / side.elapsed.as_secs_f64();
        let rate = figures::count(Duration::from_secs_f64(rate).as_secs());
        let each = |used: Option<Duration>| match used {
            Some(used) => format!("{} µs", (used / side.reads.max(1)).as_micros()),
            None => "not known".to_owned(),
        };
        line(name, &rate, &each(side.client), &each(side.server));
    }
}

fn compare(step: &mut Step, exclusive: &Side, shared: &Side, mut ratios: Vec<f64>) {
    ratios.sort_by(f64::total_cmp);
    let at = |place: usize| ratios.get(place).copied().unwrap_or_default();
    let median = at(ROUNDS / 2);
    step.check(
        median > 1.0,
        &format!(
            "{median:.1} times the reads, on 4 connections instead of 10 (the median of {ROUNDS} \
             pairs of rounds, which gave {:.1} to {:.1})",
            at(0),
            at(ROUNDS - 1)
        ),
    );
    if let (Some(ours), Some(theirs)) = (shared.used_by_a_read(), exclusive.used_by_a_read()) {
        let share = ours.as_secs_f64() / theirs.as_secs_f64();
        step.note(&format!(
            "and {share:.2} of the CPU time for each, client and server together"
        ));
    }
    if cfg!(debug_assertions) {
        step.note(
            "a debug build, in which the client's part is several times that of a release build: \
             for real figures, `cargo xtask demo --release`",
        );
    }
}
