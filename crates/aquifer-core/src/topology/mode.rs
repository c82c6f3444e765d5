use std::time::{Duration, Instant};

/// So many writes must find the disk full within the time, or others are not kept from trying.
const FULL_MAX: usize = 3;
const FULL_WITHIN: Duration = Duration::from_secs(10);

/// While disks are full, one write in this time is let through.
const TRIAL_INTERVAL: Duration = Duration::from_millis(500);

/// So many of these in a row must succeed.
const TRIALS: u32 = 3;

/// What is possible.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "each is told by its own name")]
pub enum Mode {
    /// Everything.
    #[default]
    Normal,
    /// Reads of replicas; a new primary is awaited.
    PrimaryDown,
    /// Reads: there has been no primary for long, or it takes no writes.
    ReadOnly,
    /// Nothing: no host answers.
    Down,
}

/// Whether there is room for what is written.
///
/// Room → Full after several reports; Full → Room after several trials in a row went well.
#[derive(Clone, Debug, Default)]
pub(super) struct Writes {
    /// When writes found the disk full, the latest last.
    reports: Vec<Instant>,
    full: Option<Trials>,
}

#[derive(Clone, Copy, Debug)]
struct Trials {
    next: Instant,
    succeeded: u32,
}

impl Writes {
    pub(super) fn disk_full(&mut self, now: Instant) {
        if let Some(trials) = &mut self.full {
            trials.succeeded = 0;
            return;
        }
        self.reports
            .retain(|report| now.saturating_duration_since(*report) < FULL_WITHIN);
        self.reports.push(now);
        if self.reports.len() >= FULL_MAX {
            self.reports.clear();
            self.full = Some(Trials {
                next: now + TRIAL_INTERVAL,
                succeeded: 0,
            });
        }
    }

    pub(super) fn succeeded(&mut self) {
        if let Some(trials) = &mut self.full {
            trials.succeeded += 1;
            if trials.succeeded >= TRIALS {
                self.full = None;
            }
        }
    }

    pub(super) fn is_disk_full(&self) -> bool {
        self.full.is_some()
    }

    /// Whether this write is the one that finds out.
    pub(super) fn try_one(&mut self, now: Instant) -> bool {
        let Some(trials) = &mut self.full else {
            return true;
        };
        let due = now >= trials.next;
        if due {
            trials.next = now + TRIAL_INTERVAL;
        }
        due
    }
}
