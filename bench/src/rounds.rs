//! Contenders in turns: a round lets each run for a short time, and there are many rounds.

use std::time::{Duration, Instant};

use crate::{Error, Race, cpu};

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How many rounds.
    pub rounds: usize,
    /// How long each contender runs in a round.
    pub time: Duration,
    /// How long a task pauses before each query, on average.
    pub pause: Duration,
    /// The server's first process.
    pub server: u32,
}

/// A contender that is open, and its name.
pub struct Open {
    /// As the tables call it.
    pub name: &'static str,
    /// What runs.
    pub race: Box<dyn Race>,
}

/// What one contender did with one number of tasks.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// As the tables call it.
    pub name: &'static str,
    /// How many tasks asked at once.
    pub tasks: usize,
    /// Queries per second: the median round.
    pub rate: f64,
    /// Queries per second: the best round.
    pub rate_best: f64,
    /// The median of each round's rate over the reference's rate in the same round.
    pub ratio: f64,
    /// Latency in microseconds that half of the queries stay below, over all rounds.
    pub p50: f64,
    /// Latency in microseconds that 99 of 100 queries stay below, over all rounds.
    pub p99: f64,
    /// Processor time of the client per query, in microseconds, over all rounds.
    pub client: f64,
    /// Processor time of the server per query, in microseconds, over all rounds.
    pub server: f64,
}

/// One contender's turns.
#[derive(Default)]
struct Turns {
    rates: Vec<f64>,
    latencies: Vec<u32>,
    client: f64,
    server: f64,
}

/// Runs all contenders with so many tasks; the ratios are to the contender `reference`.
///
/// # Errors
/// The first query that fails.
pub async fn measure(
    open: &[Open],
    tasks: usize,
    plan: Plan,
    reference: &str,
) -> Result<Vec<Outcome>, Error> {
    let mut turns: Vec<Turns> = open.iter().map(|_| Turns::default()).collect();
    for contender in open {
        contender
            .race
            .run_for(tasks, plan.time / 4, plan.pause)
            .await?;
    }
    for round in 0..plan.rounds {
        // Every contender comes first, second and so on equally often.
        for position in 0..open.len() {
            let index = (position + round) % open.len();
            turn(&*open[index].race, tasks, plan, &mut turns[index]).await?;
        }
    }
    let reference = open
        .iter()
        .position(|contender| contender.name == reference);
    let reference = reference.map(|index| turns[index].rates.clone());
    let outcomes = open.iter().zip(turns).map(|(contender, turns)| {
        let ratios = turns.rates.iter().zip(reference.iter().flatten());
        turns.outcome(
            contender.name,
            tasks,
            ratios.map(|(rate, reference)| rate / reference).collect(),
        )
    });
    Ok(outcomes.collect())
}

async fn turn(race: &dyn Race, tasks: usize, plan: Plan, turns: &mut Turns) -> Result<(), Error> {
    let (client, server) = (cpu::client(), cpu::server(plan.server));
    let start = Instant::now();
    let latencies = race.run_for(tasks, plan.time, plan.pause).await?;
    let elapsed = start.elapsed().as_secs_f64();
    turns.client += cpu::client() - client;
    turns.server += cpu::server(plan.server) - server;
    turns.rates.push(latencies.len() as f64 / elapsed);
    turns.latencies.extend(latencies);
    Ok(())
}

impl Turns {
    fn outcome(&self, name: &'static str, tasks: usize, ratios: Vec<f64>) -> Outcome {
        let mut latencies = self.latencies.clone();
        latencies.sort_unstable();
        let latency = |part: usize| {
            let index = latencies.len() * part / 100;
            latencies.get(index).copied().map_or(f64::NAN, f64::from) / 1e3
        };
        let per_query = |seconds: f64| seconds * 1e6 / latencies.len() as f64;
        Outcome {
            name,
            tasks,
            rate: median(self.rates.clone()),
            rate_best: self.rates.iter().copied().fold(0.0, f64::max),
            ratio: median(ratios),
            p50: latency(50),
            p99: latency(99),
            client: per_query(self.client),
            server: per_query(self.server),
        }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
