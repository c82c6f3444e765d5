//! Who loads, of several processes that miss the same value: one claims it in Redis, the others wait for
//! what it stores.
//!
//! A claim is no lock: nothing depends on it but the number of loads. One that was made under other stamps
//! than those that hold now is of a load whose value nobody will take, so it is taken over at once; one
//! whose process has ended, when its time is over.

use std::convert::Infallible;
use std::time::Duration;

use aquifer_core::stamps::Ticket;
use xxhash_rust::xxh3::xxh3_64;

use super::scripts;
use crate::clock;
use crate::redis::Redis;

/// For how long a claim holds that is not renewed.
const TIME: Duration = Duration::from_secs(3);

/// How long others wait for the value of who has claimed it; then they load as well.
pub(super) const WAIT: Duration = Duration::from_secs(10);

/// How often they look.
const PAUSE_FIRST: Duration = Duration::from_millis(2);
const PAUSE_MAX: Duration = Duration::from_millis(20);

/// What a claim is called, and the text that stands there while it is ours: 16 digits of what it was made
/// under, and 16 of its own.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    name: String,
    token: String,
}

impl Claim {
    pub(super) fn new(name: String, ticket: &Ticket) -> Self {
        let mut marks = String::new();
        for mark in ticket.marks() {
            marks.push_str(&mark.to_string());
        }
        let token = format!("{:016x}{:016x}", xxh3_64(marks.as_bytes()), clock::random());
        Self { name, token }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn token(&self) -> &str {
        &self.token
    }

    pub(super) fn milliseconds() -> u64 {
        u64::try_from(TIME.as_millis()).unwrap_or(u64::MAX)
    }

    /// Keeps it for as long as this is polled.
    pub(super) async fn renewed(&self, redis: &Redis) -> Infallible {
        loop {
            tokio::time::sleep(TIME / 3).await;
            // If it is lost, others load as well.
            let _held_or_lost = self.run(redis, scripts::PROLONG).await;
        }
    }

    /// Gives it up, so that others need not wait for its end.
    pub(super) async fn released(&self, redis: &Redis) {
        let _held_or_lost = self.run(redis, scripts::RELEASE).await;
    }

    async fn run(&self, redis: &Redis, script: &str) -> Result<i64, crate::Error> {
        let command = redis.command("EVAL").arg(script).arg(1).arg(&self.name);
        let command = command.arg(&self.token).arg(Self::milliseconds());
        Box::pin(command.idempotent().run()).await
    }
}

/// The waits between looks.
pub(super) struct Pauses(Duration);

impl Pauses {
    pub(super) fn new() -> Self {
        Self(PAUSE_FIRST)
    }

    /// Evenly from half of it to all of it.
    pub(super) async fn next(&mut self) {
        let some = u32::try_from(clock::random() >> 32).unwrap_or(0);
        let share = 0.5 + 0.5 * f64::from(some) / f64::from(u32::MAX);
        tokio::time::sleep(self.0.mul_f64(share)).await;
        self.0 = (self.0 * 3 / 2).min(PAUSE_MAX);
    }
}
