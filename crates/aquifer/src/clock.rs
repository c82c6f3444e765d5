//! The one place that reads the clocks.

use std::time::SystemTime;

use tokio::time::Instant;

/// The time now; paused together with tokio's clock in tests.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the clock"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The time of day, for what people and other programs read; never for order or limits.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the clock"
)]
pub(crate) fn wall() -> SystemTime {
    SystemTime::now()
}

/// A number that differs from call to call, for jitter only: hashing with fresh keys, since a
/// crate of random numbers would be much for that.
pub(crate) fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0)
}
