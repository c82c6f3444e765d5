//! Nanoseconds and allocations, in turns.

use std::hint::black_box;
use std::time::Instant;

use super::{BUILDERS, LIST};

/// Queries of one builder in a round: so few that on a busy machine most rounds are not interrupted.
const COUNT: u32 = 100;

/// One of the two queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// That of the README.
    Seed,
    /// The wide one.
    Wide,
}

/// What one builder took for one of the queries.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Median of the rounds.
    pub nanoseconds: f64,
    /// Median of the ratios to the first builder, each of one round.
    pub ratio: f64,
    /// Blocks of memory allocated or moved by growing, per query.
    pub allocations: f64,
}

/// What both queries cost one builder.
#[derive(Clone, Copy, Debug)]
pub struct Costs {
    /// As the tables call it.
    pub name: &'static str,
    /// The query of the README.
    pub seed: Cost,
    /// The wide one.
    pub wide: Cost,
}

/// Builds each query so often with that builder.
pub fn build(builder: usize, kind: Kind, count: u32) {
    let ids: Vec<i64> = (0..LIST).collect();
    let builder = BUILDERS[builder];
    let seen = &mut |text: &str| {
        black_box(text);
    };
    for number in 0..count {
        match kind {
            Kind::Seed => (builder.seed)(black_box(i64::from(number)), seen),
            Kind::Wide => (builder.wide)(black_box(&ids), seen),
        }
    }
}

/// Measures all builders, one after the other in each round; `allocations` counts those of the thread
/// since it began.
#[must_use]
pub fn measure(rounds: usize, allocations: impl Fn() -> u64) -> Vec<Costs> {
    let costs = |kind| costs(kind, rounds, &allocations);
    let both = costs(Kind::Seed).into_iter().zip(costs(Kind::Wide));
    let named = BUILDERS.iter().zip(both);
    named
        .map(|(builder, (seed, wide))| Costs {
            name: builder.name,
            seed,
            wide,
        })
        .collect()
}

fn costs(kind: Kind, rounds: usize, allocations: &impl Fn() -> u64) -> Vec<Cost> {
    let mut times = vec![Vec::with_capacity(rounds); BUILDERS.len()];
    // The first round warms up.
    for round in 0..=rounds {
        for (builder, times) in times.iter_mut().enumerate() {
            let begun = Instant::now();
            build(builder, kind, COUNT);
            let time = begun.elapsed().as_secs_f64() * 1e9 / f64::from(COUNT);
            if round > 0 {
                times.push(time);
            }
        }
    }
    let cost = |(builder, own): (usize, &Vec<f64>)| {
        // The harness allocates too, for the list of the wide query: without any query it is known.
        let counted = |count| {
            let before = allocations();
            build(builder, kind, count);
            allocations() - before
        };
        let ratios = own.iter().zip(&times[0]).map(|(own, first)| own / first);
        Cost {
            nanoseconds: median(own.clone()),
            ratio: median(ratios.collect()),
            allocations: (counted(COUNT) - counted(0)) as f64 / f64::from(COUNT),
        }
    };
    times.iter().enumerate().map(cost).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
