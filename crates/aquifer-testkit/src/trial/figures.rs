use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::BOUND;
use super::history::{History, Violation, Wrong};

/// So many of what is wrong are told one by one.
const TOLD: usize = 10;

/// What a trial showed.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Figures {
    /// By what it was chosen.
    pub seed: u64,
    /// Reads that were answered, each of which was checked.
    pub reads: u64,
    /// Different lists, each with all that it showed at once.
    pub lists: usize,
    /// Writes that were acknowledged.
    pub writes: usize,
    /// Reads, up to a tenth of a second of one task counted as one, that were staler than the bound, or saw
    /// what never was.
    pub violations: usize,
    /// Those that missed what their own process had been told is done.
    pub read_your_writes_violations: usize,
    /// Without faults: for how long after a write was acknowledged another process still read the old
    /// value, in milliseconds, which 99 of 100 keep to; none if nothing was written.
    pub propagation_ms_p99: Option<f64>,
    /// Most loads that a thousand callers in all processes caused who missed the same value at once.
    pub herd_queries: u64,
    /// What was done to the system, how often.
    pub faults: BTreeMap<&'static str, u64>,
    /// What callers were told besides, how often.
    pub errors: BTreeMap<String, u64>,
    /// The first of what is wrong, in words.
    pub told: Vec<String>,
    found: Vec<Violation>,
}

impl Figures {
    pub(super) fn of(history: &History, calm: (u64, u64)) -> Self {
        let bound = u64::try_from(BOUND.as_nanos()).unwrap_or(u64::MAX);
        let found = history.violations(bound);
        let of_own = found.iter().filter(|found| found.wrong == Wrong::OwnWrite);
        let of_own = of_own.count();
        let mut propagation = history.propagation(calm);
        propagation.sort_unstable();
        let rank = (propagation.len() * 99).div_ceil(100);
        let p99 = rank.checked_sub(1).and_then(|rank| propagation.get(rank));
        Self {
            reads: history.reads(),
            lists: history.lists(),
            writes: history.writes(),
            violations: found.len() - of_own,
            read_your_writes_violations: of_own,
            propagation_ms_p99: p99.map(|p99| milliseconds(*p99)),
            errors: history.errors.clone(),
            found,
            ..Self::default()
        }
    }

    /// Puts the first of what is wrong into words, with what was done to the system then.
    pub(super) fn tell_of(&mut self, faults: &[(String, u64, u64)]) {
        let tell = |found: &Violation| {
            let what = match found.wrong {
                Wrong::OwnWrite => "missed a write of its own process, acknowledged",
                Wrong::Stale => "missed a write of another process, acknowledged",
                Wrong::Invented => "saw what was not written,",
                Wrong::Torn => "in a list with others that were never there together,",
            };
            let read = found.read;
            let before = |from: u64| Duration::from_nanos(read.last_start.saturating_sub(from));
            let near: Vec<String> = faults
                .iter()
                .filter(|(_, from, _)| *from < read.last_start)
                .rev()
                .take(3)
                .map(|(name, from, until)| {
                    format!(
                        "{name} {:.1?} to {:.1?} before",
                        before(*from),
                        before(*until)
                    )
                })
                .collect();
            format!(
                "process {}: {} x version {} of cell {} at {}: {what} {:.3} ms before; {}",
                found.process,
                read.count,
                read.version,
                read.cell,
                read.last_start,
                milliseconds(found.late),
                near.join(", ")
            )
        };
        self.told = self.found.iter().take(TOLD).map(tell).collect();
    }

    /// Whether any read was wrong.
    #[must_use]
    pub fn is_wrong(&self) -> bool {
        self.violations + self.read_your_writes_violations > 0
    }

    /// One line of JSON.
    #[must_use]
    pub fn json(&self) -> String {
        let mut text = format!(
            "{{\"reads\":{},\"violations\":{},\"read_your_writes_violations\":{},\
             \"propagation_ms_p99\":{},\"herd_queries\":{},\"lists\":{},\"writes\":{},\"errors\":{},\"seed\":{},\
             \"faults\":{{",
            self.reads,
            self.violations,
            self.read_your_writes_violations,
            self.propagation_ms_p99
                .map_or_else(|| "null".to_owned(), |p99| format!("{p99:.3}")),
            self.herd_queries,
            self.lists,
            self.writes,
            self.errors.values().sum::<u64>(),
            self.seed,
        );
        for (place, (name, count)) in self.faults.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            // Writing to a `String` can't fail.
            let _infallible = write!(text, "{comma}\"{name}\":{count}");
        }
        text.push_str("}}");
        text
    }
}

fn milliseconds(nanoseconds: u64) -> f64 {
    Duration::from_nanos(nanoseconds).as_secs_f64() * 1e3
}
