//! A value that is in Redis and not in memory, beside a plain GET; and how many commands each costs.

use std::time::Instant;

use aquifer::{Cache, Config, Redis};
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;

use super::{User, key, percentile, user};
use crate::Error;

/// What reading a value in Redis takes.
#[derive(Clone, Copy, Debug)]
pub struct Remote {
    /// The median, in microseconds, of GET by redis-rs.
    pub get: f64,
    /// Of GET by the layer's own handle.
    pub get_by_layer: f64,
    /// Of a hit in Redis by the cache: value, its stamps, its time.
    pub hit: f64,
    /// The median of the ratios of a hit to GET by redis-rs, each of one round.
    pub ratio: f64,
    /// Commands that Redis carries out for a hit in memory, those within scripts too.
    pub commands_local: f64,
    /// For a hit in Redis.
    pub commands_remote: f64,
    /// For a value that is nowhere and loaded.
    pub commands_load: f64,
    /// For a change.
    pub commands_set: f64,
}

/// Asked in a row by each, in a round.
const ASKED: usize = 20;

/// How often commands are counted.
const COUNTED: i64 = 200;

/// Measures with one caller.
///
/// # Errors
/// What Redis or the cache says.
pub async fn measure(url: &str, cache: &Cache, rounds: usize) -> Result<Remote, Error> {
    let raw = redis::Client::open(url)?;
    let mut raw = raw.get_multiplexed_async_connection().await?;
    let layer = cache.redis().ok_or("the cache is in Redis")?.clone();
    let bytes = vec![7_u8; 100];
    let _: () = raw.set("plain", &bytes).await?;
    // A writer whose memory is not the reader's: each of its changes makes a value remote again.
    let writer = super::linked(&Config::new().redis_url(url)).await?;
    let (mut gets, mut by_layer, mut hits) = (Vec::new(), Vec::new(), Vec::new());
    let mut ratios = Vec::new();
    for round in 0..=rounds {
        let begun = Instant::now();
        for _ in 0..ASKED {
            let _: Vec<u8> = raw.get("plain").await?;
        }
        let get = each(begun);
        let begun = Instant::now();
        for _ in 0..ASKED {
            layer.command("GET").arg("plain").run::<Vec<u8>>().await?;
        }
        let by = each(begun);
        let keys: Vec<String> = (0..ASKED)
            .map(|number| format!("remote:{number}"))
            .collect();
        for key in &keys {
            writer.set(key, &user(1)).await?;
        }
        // Until all announcements have come.
        layer.command("PING").run::<String>().await?;
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        let begun = Instant::now();
        for key in &keys {
            let found = cache.get::<User>(key).await?;
            found.ok_or("a value that was set is not there")?;
        }
        let hit = each(begun);
        if round > 0 {
            gets.push(get);
            by_layer.push(by);
            hits.push(hit);
            ratios.push(hit / get);
        }
    }
    let [commands_local, commands_remote, commands_load, commands_set] =
        commands(&mut raw, cache, &writer).await?;
    let layer: Option<&Redis> = writer.redis();
    if let Some(redis) = layer {
        redis.shutdown(std::time::Duration::from_secs(1)).await;
    }
    Ok(Remote {
        get: percentile(&mut gets, 50),
        get_by_layer: percentile(&mut by_layer, 50),
        hit: percentile(&mut hits, 50),
        ratio: percentile(&mut ratios, 50),
        commands_local,
        commands_remote,
        commands_load,
        commands_set,
    })
}

/// Microseconds of one of those that were asked since.
fn each(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1e6 / ASKED as f64
}

/// Commands for a hit in memory, one in Redis, a load, and a change.
async fn commands(
    raw: &mut MultiplexedConnection,
    cache: &Cache,
    writer: &Cache,
) -> Result<[f64; 4], Error> {
    let mut counts = [0.0; 4];
    for (which, count) in counts.iter_mut().enumerate() {
        for id in 0..COUNTED {
            if which == 1 {
                writer.set(&key(id), &user(id)).await?;
            }
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        if which == 0 {
            drop(cache.get::<User>("user:0").await?);
        }
        let before = carried_out(raw).await?;
        for id in 0..COUNTED {
            match which {
                0 => drop(cache.get::<User>("user:0").await?),
                1 => drop(cache.get::<User>(&key(id)).await?),
                2 => {
                    let load = move || async move { Ok::<_, aquifer::Error>(user(id)) };
                    drop(cache.get_or_load(&format!("fresh:{id}"), load).await?);
                }
                _ => cache.set(&key(id), &user(id)).await?,
            }
        }
        let after = carried_out(raw).await?;
        *count = (after - before) / COUNTED as f64;
    }
    Ok(counts)
}

/// How many commands were carried out so far, those within scripts too.
async fn carried_out(raw: &mut MultiplexedConnection) -> Result<f64, Error> {
    let text: String = redis::cmd("INFO")
        .arg("commandstats")
        .query_async(raw)
        .await?;
    let mut all = 0.0;
    for line in text.lines() {
        let Some((name, rest)) = line.split_once(":calls=") else {
            continue;
        };
        let name = name.trim_start_matches("cmdstat_");
        // Signs of life, and what the measurement itself asks.
        if matches!(name, "ping" | "info" | "hello" | "client|tracking") {
            continue;
        }
        if matches!(
            name,
            "get" | "mget" | "pttl" | "eval" | "unlink" | "getrange" | "set"
        ) {
            let calls = rest.split(',').next().unwrap_or_default();
            all += calls.parse::<f64>()?;
        }
    }
    Ok(all)
}
