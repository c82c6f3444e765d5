//! A value that is in memory: nanoseconds and allocations, in turns.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use aquifer::Cache;

use super::{USERS, User, key, percentile, user};
use crate::Error;

/// Looks in one turn: so few that on a busy machine most turns are not interrupted.
const LOOKS: i64 = 1_000;

/// What a hit cost one of them.
#[derive(Clone, Copy, Debug)]
pub struct Hit {
    /// As the table calls it.
    pub name: &'static str,
    /// Nanoseconds: the median of the rounds.
    pub nanoseconds: f64,
    /// The median of the ratios to quick_cache, each of one round.
    pub ratio: f64,
    /// The same, to moka.
    pub ratio_to_moka: f64,
    /// Blocks of memory per hit.
    pub allocations: f64,
}

const NAMES: [&str; 4] = [
    "quick_cache, an Arc by its key",
    "moka, with a time to live",
    "aquifer, get",
    "aquifer, get_or_load",
];

/// Measures hits of a cache that is linked; `allocations` counts those of the thread since it began.
///
/// # Errors
/// When the cache does not hold the values.
pub async fn measure(
    cache: &Cache,
    rounds: usize,
    allocations: impl Fn() -> u64,
) -> Result<Vec<Hit>, Error> {
    let keys: Vec<String> = (0..USERS).map(key).collect();
    let quick = quick_cache::sync::Cache::<String, Arc<User>>::new(10_000);
    let time_to_live = std::time::Duration::from_secs(3_600);
    let moka = moka::future::Cache::<String, Arc<User>>::builder()
        .max_capacity(10_000)
        .time_to_live(time_to_live)
        .build();
    for id in 0..USERS {
        quick.insert(key(id), Arc::new(user(id)));
        moka.insert(key(id), Arc::new(user(id))).await;
        cache.set(&key(id), &user(id)).await?;
        let found = cache.get::<User>(&key(id)).await?;
        found.ok_or("a value that was set is not there")?;
    }
    let mut times = vec![Vec::with_capacity(rounds); NAMES.len()];
    let mut blocks = [0; NAMES.len()];
    // The first round warms up.
    for round in 0..=rounds {
        for position in 0..NAMES.len() {
            let which = (position + round) % NAMES.len();
            let (before, begun) = (allocations(), Instant::now());
            for id in 0..LOOKS {
                let key = &keys[usize::try_from(id * 7 % USERS)?];
                match which {
                    0 => drop(black_box(quick.get(key.as_str()))),
                    1 => drop(black_box(moka.get(key.as_str()).await)),
                    2 => drop(black_box(cache.get::<User>(key).await?)),
                    _ => {
                        let load = move || async move { Ok::<_, aquifer::Error>(user(id)) };
                        drop(black_box(cache.get_or_load(key, load).await?));
                    }
                }
            }
            let time = begun.elapsed().as_secs_f64() * 1e9 / LOOKS as f64;
            if round > 0 {
                times[which].push(time);
                blocks[which] += allocations() - before;
            }
        }
    }
    let ratio = |own: &[f64], other: &[f64]| {
        let ratios = own.iter().zip(other).map(|(own, other)| own / other);
        percentile(&mut ratios.collect::<Vec<_>>(), 50)
    };
    let looks = rounds as f64 * LOOKS as f64;
    let hit = |(which, name): (usize, &&'static str)| Hit {
        name,
        nanoseconds: percentile(&mut times[which].clone(), 50),
        ratio: ratio(&times[which], &times[0]),
        ratio_to_moka: ratio(&times[which], &times[1]),
        allocations: blocks[which] as f64 / looks,
    };
    Ok(NAMES.iter().enumerate().map(hit).collect())
}
