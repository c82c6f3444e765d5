//! Contenders in turns: a round lets each run for a short time, and there are many rounds.

use std::time::{Duration, Instant};

use crate::{Entry, Error, Place, Race, Server, Workload, cpu};

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How many rounds.
    pub rounds: usize,
    /// How long each contender runs in a round.
    pub time: Duration,
    /// How long a task pauses before each piece of work, on average.
    pub pause: Duration,
}

/// A contender that is open.
pub struct Open {
    /// As the tables call it.
    pub name: &'static str,
    /// What it calls itself on the server.
    pub application: String,
    /// What runs.
    pub race: Box<dyn Race>,
}

/// What one contender did with one number of tasks.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// As the tables call it.
    pub name: &'static str,
    /// How many tasks worked at once.
    pub tasks: usize,
    /// Pieces of work per second, round by round.
    pub rates: Vec<f64>,
    /// Latency in microseconds that half of the pieces stay below, over all rounds.
    pub p50: f64,
    /// Latency in microseconds that 99 of 100 pieces stay below, over all rounds.
    pub p99: f64,
    /// Latency in microseconds that 999 of 1,000 pieces stay below, over all rounds.
    pub p999: f64,
    /// The same as `p99`, round by round.
    pub p99s: Vec<f64>,
    /// Processor time of the client per piece of work, in microseconds, over all rounds.
    pub client: f64,
    /// Processor time of the server per piece of work, in microseconds, over all rounds.
    pub server: f64,
    /// How many connections the server had from it in the end.
    pub connections: usize,
}

/// One contender's turns.
#[derive(Default)]
struct Turns {
    rates: Vec<f64>,
    p99s: Vec<f64>,
    latencies: Vec<u32>,
    client: f64,
    server: f64,
}

/// Opens contenders, one after another.
///
/// # Errors
/// The first that can't be opened.
pub async fn open(entries: &[Entry], place: &Place) -> Result<Vec<Open>, Error> {
    let mut open = Vec::new();
    for (number, entry) in entries.iter().enumerate() {
        let application = format!("bench-{number}");
        let race = (entry.open)(place.of(application.clone()));
        open.push(Open {
            name: entry.name,
            application,
            race: race.await.map_err(|error| named(entry.name, &error))?,
        });
    }
    Ok(open)
}

/// Runs all contenders with so many tasks.
///
/// # Errors
/// The first piece of work that fails.
pub async fn measure(
    open: &[Open],
    workload: Workload,
    tasks: usize,
    plan: Plan,
    server: &Server,
) -> Result<Vec<Outcome>, Error> {
    let mut turns: Vec<Turns> = open.iter().map(|_| Turns::default()).collect();
    let warm_up = Plan {
        time: plan.time / 4,
        ..plan
    };
    for contender in open {
        let mut unused = Turns::default();
        turn(contender, workload, tasks, warm_up, (server, &mut unused)).await?;
    }
    for round in 0..plan.rounds {
        // Every contender comes first, second and so on equally often.
        for position in 0..open.len() {
            let index = (position + round) % open.len();
            let turns = (server, &mut turns[index]);
            turn(&open[index], workload, tasks, plan, turns).await?;
        }
    }
    let mut outcomes = Vec::new();
    for (contender, turns) in open.iter().zip(turns) {
        let connections = server.sessions(&contender.application).await?;
        outcomes.push(turns.outcome(contender.name, tasks, connections));
    }
    Ok(outcomes)
}

async fn turn(
    contender: &Open,
    workload: Workload,
    tasks: usize,
    plan: Plan,
    (server, turns): (&Server, &mut Turns),
) -> Result<(), Error> {
    if let Some((table, _)) = workload.fills() {
        server.truncate(table).await?;
    }
    let race = &contender.race;
    let before = (race.processor_time(), cpu::server(server.process()));
    let start = Instant::now();
    let latencies = race.run_for(workload, tasks, plan.time, plan.pause);
    let mut latencies = latencies
        .await
        .map_err(|error| named(contender.name, &error))?;
    let elapsed = start.elapsed().as_secs_f64();
    turns.client += race.processor_time() - before.0;
    turns.server += cpu::server(server.process()) - before.1;
    turns.rates.push(latencies.len() as f64 / elapsed);
    if let Some((table, rows)) = workload.fills() {
        let (found, wanted) = (server.count(table).await?, latencies.len() * rows);
        if found != wanted {
            let error = format!("{found} rows are in {table} instead of {wanted}");
            return Err(named(contender.name, &error.into()));
        }
    }
    latencies.sort_unstable();
    turns.p99s.push(part(&latencies, 990));
    turns.latencies.extend(latencies);
    Ok(())
}

fn named(contender: &str, error: &Error) -> Error {
    format!("{contender}: {error}").into()
}

impl Turns {
    fn outcome(mut self, name: &'static str, tasks: usize, connections: usize) -> Outcome {
        self.latencies.sort_unstable();
        let pieces = self.latencies.len() as f64;
        Outcome {
            name,
            tasks,
            rates: self.rates,
            p50: part(&self.latencies, 500),
            p99: part(&self.latencies, 990),
            p999: part(&self.latencies, 999),
            p99s: self.p99s,
            client: self.client * 1e6 / pieces,
            server: self.server * 1e6 / pieces,
            connections,
        }
    }
}

impl Outcome {
    /// Pieces of work per second: the median round.
    #[must_use]
    pub fn rate(&self) -> f64 {
        median(self.rates.clone())
    }

    /// Milliseconds per piece of work when one task does one after the other: the median round.
    #[must_use]
    pub fn milliseconds(&self) -> f64 {
        1e3 / self.rate()
    }

    /// The median of each round's rate over the other's rate in the same round.
    #[must_use]
    pub fn ratio_to(&self, other: &Self) -> f64 {
        ratio(&self.rates, &other.rates)
    }

    /// As [`ratio_to`](Self::ratio_to), of the 99th percentiles of latency.
    #[must_use]
    pub fn p99_ratio_to(&self, other: &Self) -> f64 {
        ratio(&self.p99s, &other.p99s)
    }

    /// A quarter of the rounds had a rate below the first, a quarter above the second.
    #[must_use]
    pub fn quartiles(&self) -> (f64, f64) {
        let mut rates = self.rates.clone();
        rates.sort_by(f64::total_cmp);
        let at = |quarter: usize| {
            let index = rates.len().saturating_sub(1) * quarter / 4;
            rates.get(index).copied().unwrap_or(f64::NAN)
        };
        (at(1), at(3))
    }
}

fn ratio(own: &[f64], others: &[f64]) -> f64 {
    median(
        own.iter()
            .zip(others)
            .map(|(own, other)| own / other)
            .collect(),
    )
}

/// The latency in microseconds that so many of 1,000 stay below.
fn part(sorted: &[u32], of_thousand: usize) -> f64 {
    let index = sorted.len() * of_thousand / 1_000;
    sorted.get(index).copied().map_or(f64::NAN, f64::from) / 1e3
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
