use std::fmt;
use std::time::Duration;

use super::{Fault, GIVEN_UP};
use crate::load::{Complaints, Ledger};

/// What one round showed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Round {
    /// How the primary went away.
    pub fault: Fault,
    /// From the fault until the new primary took writes.
    pub outage: Duration,
    /// From then until the client's first write was done; `None` if it never was.
    pub first_write: Option<Duration>,
    /// Writes that the old primary took after it was replaced: asked for after that, or on a session
    /// opened after that.
    pub fenced_writes: u64,
    /// Writes that the old primary took after it was replaced, but that were asked for before, on an
    /// older session: the network may have delivered late what it had swallowed.
    pub late_writes: u64,
}

/// What all rounds showed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Failovers {
    /// Each round.
    pub rounds: Vec<Round>,
    /// Told, held against what is there.
    pub ledger: Ledger,
    /// Reads that were answered.
    pub reads: u64,
    /// Reads that failed.
    pub read_errors: u64,
    /// All errors, by text.
    pub complaints: Complaints,
}

impl Failovers {
    /// The time to the first write that so many per cent of the rounds kept to, in milliseconds; none
    /// where a round had no write at all.
    #[must_use]
    pub fn first_write_ms(&self, percent: usize) -> Option<f64> {
        let times: Option<Vec<Duration>> =
            self.rounds.iter().map(|round| round.first_write).collect();
        let mut times = times?;
        times.sort_unstable();
        let rank = (times.len() * percent).div_ceil(100).max(1);
        times.get(rank - 1).map(|time| time.as_secs_f64() * 1000.0)
    }

    /// Writes to a primary that had been replaced.
    #[must_use]
    pub fn fenced_writes(&self) -> u64 {
        self.rounds.iter().map(|round| round.fenced_writes).sum()
    }

    /// One line of JSON.
    #[must_use]
    pub fn json(&self) -> String {
        let milliseconds = |percent| {
            self.first_write_ms(percent)
                .map_or_else(|| "null".to_owned(), |time| format!("{time:.1}"))
        };
        let late: u64 = self.rounds.iter().map(|round| round.late_writes).sum();
        format!(
            "{{\"promotions\":{},\"first_write_ms_p50\":{},\"first_write_ms_p99\":{},\
             \"fenced_writes\":{},\"read_errors\":{},{},\"late_writes\":{late},\
             \"write_errors\":{},\"reads\":{},\"longest_read_ms\":{},\
             \"longest_write_ms\":{}}}",
            self.rounds.len(),
            milliseconds(50),
            milliseconds(99),
            self.fenced_writes(),
            self.read_errors,
            self.ledger.json_members(),
            self.complaints.writes.values().sum::<u64>(),
            self.reads,
            self.complaints.longest_read.as_millis(),
            self.complaints.longest_write.as_millis(),
        )
    }
}

impl fmt::Display for Round {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fault = match self.fault {
            Fault::Killed => "killed",
            Fault::BlackHole => "black hole",
            Fault::SplitBrain => "split brain",
            Fault::LateSplitBrain => "split brain, late",
        };
        let outage = self.outage.as_millis();
        write!(formatter, "{fault:<18} new primary after {outage:>4} ms, ")?;
        match self.first_write {
            Some(time) => write!(
                formatter,
                "first write {:>6.1} ms later",
                time.as_secs_f64() * 1000.0
            )?,
            None => write!(formatter, "no write within {GIVEN_UP:?}")?,
        }
        if self.fenced_writes + self.late_writes > 0 {
            let (fenced, late) = (self.fenced_writes, self.late_writes);
            write!(formatter, "; the old one took {fenced} writes, {late} late")?;
        }
        Ok(())
    }
}
