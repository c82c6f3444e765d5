use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use crate::clock;

/// Least time between two reports.
const EVERY: Duration = Duration::from_millis(100);

/// How far an operation on many rows is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Rows that were handed in or out. For a COPY of raw bytes 0 until the server has counted.
    pub rows: u64,
    /// Bytes of their values, as they travel.
    pub bytes: u64,
}

type OnProgress = Box<dyn FnMut(Progress) + Send>;

/// Counts, and reports to whoever asked for it.
#[derive(Default)]
pub(crate) struct Meter {
    pub(crate) now: Progress,
    report: Option<OnProgress>,
    last: Option<Instant>,
}

impl Meter {
    pub(crate) fn on_progress(&mut self, report: OnProgress) {
        self.report = Some(report);
    }

    /// Called once for many rows: reports when the last report is long enough ago.
    pub(crate) fn tick(&mut self) {
        let Some(report) = &mut self.report else {
            return;
        };
        let now = clock::now();
        if self.last.is_none_or(|last| now - last >= EVERY) {
            self.last = Some(now);
            report(self.now);
        }
    }

    /// The last report, at the end.
    pub(crate) fn done(&mut self) {
        if let Some(report) = &mut self.report {
            report(self.now);
        }
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.now.fmt(formatter)
    }
}
