use std::thread;
use std::time::{Duration, Instant};

/// How long a condition of another process may take; the only place here that reads a clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(Instant);

/// A private server changes state within milliseconds, so looking this often costs little.
const PAUSE: Duration = Duration::from_millis(5);

impl Deadline {
    pub(crate) fn after(time: Duration) -> Self {
        Self(Instant::now() + time)
    }

    /// Pauses before the next look at the condition; `false` once the time is over.
    pub(crate) fn pause(self) -> bool {
        if Instant::now() >= self.0 {
            return false;
        }
        thread::sleep(PAUSE);
        true
    }
}

/// How long something took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}
