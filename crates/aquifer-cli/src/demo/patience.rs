//! Waiting for something to become true, with an end.

use std::time::{Duration, Instant};

use super::figures;
use super::stage::Failure;

/// Long enough for a busy machine; whoever waits longer waits for nothing.
const LIMIT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(2);

/// Looks again and again until `condition` holds; how long that took.
pub(super) async fn until(
    what: &str,
    mut condition: impl AsyncFnMut() -> Result<bool, Failure>,
) -> Result<Duration, Failure> {
    let begun = Instant::now();
    while !condition().await? {
        if begun.elapsed() > LIMIT {
            return Err(format!("after {} still not: {what}", figures::time(LIMIT)).into());
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(begun.elapsed())
}
