use std::collections::hash_map::RandomState;
use std::env;
use std::fs;
use std::hash::BuildHasher;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use aquifer_embedded::{Ending, Watchdog};

use crate::background::PATIENCE;

/// A directory that is removed at the end, also after `kill -9`, with what runs in its group.
#[derive(Debug)]
pub(crate) struct Scratch {
    pub(crate) path: PathBuf,
    pub(crate) watchdog: Watchdog,
}

impl Scratch {
    pub(crate) fn new(purpose: &str) -> Self {
        let number = RandomState::new().hash_one(purpose);
        let path = fs::canonicalize(env::temp_dir())
            .expect("the directory for temporary files exists")
            .join(format!("aquifer-{purpose}-{number:016x}"));
        let watchdog = Watchdog::start(&path, Path::new("/nonexistent"), Ending::Terminate, None)
            .expect("a scratch directory");
        Self { path, watchdog }
    }
}

/// Looks at a condition of another process until it holds.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether a condition of another process comes to hold within so long.
pub(crate) fn holds_within(time: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + time;
    while !condition() {
        if Instant::now() > end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}
