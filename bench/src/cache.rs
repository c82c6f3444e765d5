//! The cache beside what it is made of, and beside one that was put together by hand.

pub mod hand_made;
pub mod hits;
pub mod layered;
pub mod outage;
pub mod remote;
pub mod trial;

use std::time::{Duration, Instant};

use aquifer::{Cache, Config};
use serde::{Deserialize, Serialize};

use crate::Error;

/// What is cached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Its key.
    pub id: i64,
    /// Some text.
    pub name: String,
    /// Some more.
    pub email: String,
}

/// How many values there are.
pub const USERS: i64 = 1_000;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// One of them.
#[must_use]
pub fn user(id: i64) -> User {
    User {
        id,
        name: format!("user {id}"),
        email: format!("user{id}@example.org"),
    }
}

/// The key of one of them.
#[must_use]
pub fn key(id: i64) -> String {
    format!("user:{id}")
}

/// A cache in this Redis that is told of changes.
///
/// # Errors
/// When it is not linked in time.
pub async fn linked(config: &Config) -> Result<Cache, Error> {
    let cache = Cache::connect(config).await?;
    until("the cache is linked", || cache.status().is_linked).await?;
    Ok(cache)
}

/// Waits, bounded.
///
/// # Errors
/// When it takes too long.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) -> Result<(), Error> {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        if Instant::now() > end {
            return Err(format!("not within {PATIENCE:?}: {what}").into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// That which half of them stay below, or another part of a hundred.
fn percentile(times: &mut [f64], percent: usize) -> f64 {
    times.sort_by(f64::total_cmp);
    let place = (times.len() * percent / 100).min(times.len().saturating_sub(1));
    times.get(place).copied().unwrap_or(f64::NAN)
}
