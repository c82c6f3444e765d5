//! The one place that reads the clocks.

use tokio::time::Instant;

/// The time now; paused together with tokio's clock in tests.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the clock"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// A number that differs from call to call, for jitter only: hashing with fresh keys, since a
/// crate of random numbers would be much for that.
pub(crate) fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0)
}

/// What time it is for people, to be shown and never to be reckoned with.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that knows the time"
)]
pub(crate) fn wall() -> std::time::SystemTime {
    std::time::SystemTime::now()
}
