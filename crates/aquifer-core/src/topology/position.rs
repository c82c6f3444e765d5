//! Places in the history of a database, and whether one comes before another.

/// How many switches of timeline are remembered.
const SWITCHES_MAX: usize = 16;

/// WAL is written in pages; the first bytes of each are no part of any record.
const PAGE: u64 = 8192;
const PAGE_HEADER_MAX: u64 = 40;

/// A place in the history of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_structs,
    reason = "a place has these two coordinates"
)]
pub struct Position {
    /// The timeline; each promotion begins a new one, with a higher number.
    pub timeline: u32,
    /// The place on it, in bytes.
    pub lsn: u64,
}

/// Where timelines were seen to switch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    switches: Vec<Switch>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Switch {
    from: u32,
    to: u32,
    /// Up to here at least both are the same.
    common: u64,
}

impl History {
    pub(super) fn switched(&mut self, from: u32, to: u32, common: u64) {
        if from >= to || self.switches.iter().any(|switch| switch.from == from) {
            return;
        }
        if self.switches.len() >= SWITCHES_MAX {
            self.switches.remove(0);
        }
        self.switches.push(Switch { from, to, common });
    }

    /// Whether whoever has replayed up to `replayed` has all that was before `wanted`.
    #[must_use]
    pub fn includes(&self, replayed: Position, wanted: Position) -> bool {
        has_passed(replayed.lsn, wanted.lsn) && self.leads_to(replayed.timeline, wanted)
    }

    /// Whether `wanted` is part of the history of `timeline`, as far as is known: a timeline that
    /// began before it leaves it out.
    #[must_use]
    pub fn leads_to(&self, timeline: u32, wanted: Position) -> bool {
        let mut reached = wanted.timeline;
        while reached < timeline {
            let next = self.switches.iter().find(|switch| switch.from == reached);
            let Some(switch) = next.filter(|switch| wanted.lsn <= switch.common) else {
                return false;
            };
            reached = switch.to;
        }
        reached == timeline
    }
}

/// Whether all that was written before `wanted` has been replayed by whoever is at `replayed`.
///
/// The end of the last record on a page may be told as the end of the page, or as the place behind
/// the header of the next one.
pub(super) fn has_passed(replayed: u64, wanted: u64) -> bool {
    replayed >= wanted || (replayed.is_multiple_of(PAGE) && wanted - replayed <= PAGE_HEADER_MAX)
}
