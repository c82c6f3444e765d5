use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use super::record::{Read, Record, Write};

/// All that the processes have written down.
#[derive(Debug, Default)]
pub(super) struct History {
    reads: Vec<(usize, Read)>,
    lists: Vec<Listed>,
    writes: Vec<(usize, Write)>,
    settled: Vec<(usize, u64)>,
    pub(super) errors: BTreeMap<String, u64>,
}

/// A list that a process has read: its first cell, and the versions from there.
type Listed = (usize, u32, Vec<i64>);

/// What no read may have done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It missed a write that its own process had been told of.
    OwnWrite,
    /// It missed a write that was acknowledged longer ago than the bound.
    Stale,
    /// It saw what was not written yet, or never was.
    Invented,
    /// A list showed versions that never were there at the same time.
    Torn,
}

/// A read, or several of the same, with what is wrong about it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Violation {
    pub(super) wrong: Wrong,
    pub(super) process: usize,
    pub(super) read: Read,
    /// How long the write was known that it missed, in nanoseconds.
    pub(super) late: u64,
}

/// Versions, each with when it was known.
type Versions = Vec<(i64, u64)>;

/// Versions of one cell in order, each with the earliest time at which it or a later one was known.
#[derive(Debug, Default)]
struct Known(Versions);

impl Known {
    fn of(mut known: Versions) -> Self {
        known.sort_unstable();
        let mut earliest = u64::MAX;
        for (_, at) in known.iter_mut().rev() {
            earliest = earliest.min(*at);
            *at = earliest;
        }
        Self(known)
    }

    /// The next version after this one that was known, and how long before `time` it or a later one was.
    fn missed(&self, version: i64, time: u64) -> Option<(i64, u64)> {
        let (missed, at) = self.next(version)?;
        Some((missed, time.checked_sub(at).filter(|late| *late > 0)?))
    }

    /// The next version after this one that was known, and when it or a later one was.
    fn next(&self, version: i64) -> Option<(i64, u64)> {
        let place = self.0.partition_point(|(known, _)| *known <= version);
        self.0.get(place).copied()
    }
}

/// What is known of all writes.
struct Index {
    by_all: HashMap<u32, Known>,
    /// When the database had them at the latest.
    committed: HashMap<u32, Known>,
    by_process: HashMap<(usize, u32), Known>,
    begun: HashMap<(u32, i64), u64>,
}

impl History {
    pub(super) fn add(&mut self, process: usize, record: Record) {
        match record {
            Record::Read(read) => self.reads.push((process, read)),
            Record::List(cell, versions) => self.lists.push((process, cell, versions)),
            Record::Write(write) => self.writes.push((process, write)),
            Record::Settled(at) => self.settled.push((process, at)),
            Record::Error(text) => *self.errors.entry(text).or_default() += 1,
            Record::Ready | Record::Herd(_) | Record::Quiet => {}
        }
    }

    pub(super) fn reads(&self) -> u64 {
        self.reads.iter().map(|(_, read)| read.count).sum()
    }

    pub(super) fn writes(&self) -> usize {
        self.writes.len()
    }

    /// Everything that is wrong. What is not written down yet can only add to it.
    pub(super) fn violations(&self, bound: u64) -> Vec<Violation> {
        let index = self.index();
        let judge = |(process, read): &(usize, Read)| {
            let (wrong, late) = index.wrong(*process, read, bound)?;
            Some(Violation {
                wrong,
                process: *process,
                read: *read,
                late,
            })
        };
        let mut violations: Vec<Violation> = self.reads.iter().filter_map(judge).collect();
        let torn = |(_, cell, versions): &&Listed| index.is_torn(*cell, versions);
        let torn = self.lists.iter().filter(torn);
        violations.extend(torn.map(|(process, cell, versions)| Violation {
            wrong: Wrong::Torn,
            process: *process,
            read: Read {
                cell: *cell,
                version: versions.first().copied().unwrap_or_default(),
                ..Read::default()
            },
            late: 0,
        }));
        violations
    }

    pub(super) fn lists(&self) -> usize {
        self.lists.len()
    }

    /// For each write of a time and each other process: for how long after it was acknowledged its old
    /// value was still read, in nanoseconds.
    pub(super) fn propagation(&self, (from, until): (u64, u64)) -> Vec<u64> {
        let index = self.index();
        let mut late: HashMap<(usize, u32, i64), u64> = HashMap::new();
        for (process, write) in &self.writes {
            let others = (0..super::PROCESSES).filter(|other| other != process);
            if (from..until).contains(&write.acknowledged) {
                late.extend(others.map(|other| ((other, write.cell, write.version), 0)));
            }
        }
        for (process, read) in &self.reads {
            let known = index.by_all.get(&read.cell);
            if let Some((missed, by)) =
                known.and_then(|known| known.missed(read.version, read.last_start))
                && let Some(late) = late.get_mut(&(*process, read.cell, missed))
            {
                *late = by.max(*late);
            }
        }
        late.into_values().collect()
    }

    fn index(&self) -> Index {
        let mut all: HashMap<u32, Versions> = HashMap::new();
        let mut own: HashMap<(usize, u32), Versions> = HashMap::new();
        let mut committed: HashMap<u32, Versions> = HashMap::new();
        let mut begun = HashMap::new();
        for (process, write) in &self.writes {
            let told = (write.version, write.acknowledged);
            committed.entry(write.cell).or_default().push(told);
            own.entry((*process, write.cell)).or_default().push(told);
            if let Some(known) = self.known_to_others(*process, write) {
                let known = (write.version, known);
                all.entry(write.cell).or_default().push(known);
            }
            begun.insert((write.cell, write.version), write.begun);
        }
        Index {
            by_all: known(all),
            committed: known(committed),
            by_process: known(own),
            begun,
        }
    }

    /// When a process had told everybody of its write; not yet, if it still owes that.
    fn known_to_others(&self, process: usize, write: &Write) -> Option<u64> {
        if !write.owed {
            return Some(write.acknowledged);
        }
        let settled = self.settled.iter();
        let later = settled.filter(|(of, at)| *of == process && *at >= write.acknowledged);
        later.map(|(_, at)| *at).min()
    }
}

fn known<Of: Eq + Hash>(all: HashMap<Of, Versions>) -> HashMap<Of, Known> {
    let all = all.into_iter();
    all.map(|(of, versions)| (of, Known::of(versions)))
        .collect()
}

impl Index {
    /// Whether one of these versions was replaced before another one was written.
    fn is_torn(&self, first: u32, versions: &[i64]) -> bool {
        let cells = (first..).zip(versions);
        let begun = cells
            .clone()
            .filter_map(|(cell, version)| self.begun.get(&(cell, *version)));
        let replaced = cells.filter_map(|(cell, version)| {
            let known = self.committed.get(&cell)?;
            known.next(*version).map(|(_, at)| at)
        });
        match (begun.max(), replaced.min()) {
            (Some(begun), Some(replaced)) => *begun >= replaced,
            _ => false,
        }
    }

    fn wrong(&self, process: usize, read: &Read, bound: u64) -> Option<(Wrong, u64)> {
        let begun = self.begun.get(&(read.cell, read.version));
        if read.version < 0 || begun.is_some_and(|begun| *begun > read.first_end) {
            return Some((Wrong::Invented, 0));
        }
        let missed = |known: Option<&Known>| known?.missed(read.version, read.last_start);
        if let Some((_, late)) = missed(self.by_process.get(&(process, read.cell))) {
            return Some((Wrong::OwnWrite, late));
        }
        let bound = if read.fresh { 0 } else { bound };
        match missed(self.by_all.get(&read.cell)) {
            Some((_, late)) if late > bound => Some((Wrong::Stale, late)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: u64 = 100;

    fn write(version: i64, begun: u64, acknowledged: u64, owed: bool) -> Record {
        Record::Write(Write {
            cell: 1,
            version,
            begun,
            acknowledged,
            owed,
        })
    }

    fn read(version: i64, first_end: u64, last_start: u64) -> Record {
        Record::Read(Read {
            cell: 1,
            fresh: false,
            version,
            count: 2,
            first_end,
            last_start,
        })
    }

    /// What is wrong with a read of process 1, after writes of process 0 and 1.
    fn wrong(writes: &[(usize, Record)], read: Record) -> Option<(Wrong, u64)> {
        let mut history = History::default();
        for (process, record) in writes {
            history.add(*process, record.clone());
        }
        history.add(1, read);
        let violations = history.violations(BOUND);
        violations.first().map(|found| (found.wrong, found.late))
    }

    #[test]
    fn a_read_may_miss_what_others_wrote_within_the_bound_and_no_longer() {
        let writes = [(0, write(1, 10, 20, false)), (0, write(2, 30, 40, false))];
        assert_eq!(wrong(&writes, read(1, 60, 140)), None);
        let stale = Some((Wrong::Stale, 101));
        assert_eq!(wrong(&writes, read(1, 60, 141)), stale);
        assert_eq!(wrong(&writes, read(2, 60, 1_000)), None);
        // A later one that was acknowledged earlier counts too.
        let writes = [(0, write(1, 10, 90, false)), (0, write(2, 10, 40, false))];
        assert_eq!(wrong(&writes, read(0, 60, 141)), stale);
    }

    #[test]
    fn a_read_may_miss_no_write_that_its_own_process_was_told_of() {
        let writes = [(1, write(1, 10, 20, false))];
        assert_eq!(wrong(&writes, read(0, 5, 20)), None);
        assert_eq!(wrong(&writes, read(0, 5, 21)), Some((Wrong::OwnWrite, 1)));
        let owed = [(1, write(1, 10, 20, true))];
        assert_eq!(wrong(&owed, read(0, 5, 21)), Some((Wrong::OwnWrite, 1)));
    }

    #[test]
    fn what_is_owed_others_may_miss_until_the_debt_is_paid() {
        let mut writes = vec![(0, write(1, 10, 20, true))];
        assert_eq!(wrong(&writes, read(0, 5, 10_000)), None);
        writes.push((1, Record::Settled(30)));
        writes.push((0, Record::Settled(15)));
        assert_eq!(wrong(&writes, read(0, 5, 10_000)), None);
        writes.push((0, Record::Settled(50)));
        assert_eq!(wrong(&writes, read(0, 5, 150)), None);
        assert_eq!(wrong(&writes, read(0, 5, 151)), Some((Wrong::Stale, 101)));
    }

    #[test]
    fn nobody_reads_what_was_not_written_yet_or_was_taken_back() {
        let writes = [(0, write(1, 10, 20, false))];
        assert_eq!(wrong(&writes, read(1, 11, 11)), None);
        let invented = Some((Wrong::Invented, 0));
        assert_eq!(wrong(&writes, read(1, 9, 11)), invented);
        assert_eq!(wrong(&writes, read(-1, 11, 11)), invented);
    }

    #[test]
    fn a_fresh_read_misses_nothing_that_was_acknowledged_before() {
        let writes = [(0, write(1, 10, 20, false))];
        let fresh = |last_start| {
            let Record::Read(read) = read(0, 5, last_start) else {
                unreachable!("it is one");
            };
            Record::Read(Read {
                fresh: true,
                ..read
            })
        };
        assert_eq!(wrong(&writes, fresh(20)), None);
        assert_eq!(wrong(&writes, fresh(21)), Some((Wrong::Stale, 1)));
    }

    #[test]
    fn a_list_shows_versions_that_were_there_together() {
        let of = |cell, version, begun, acknowledged| {
            let write = Write {
                cell,
                version,
                begun,
                acknowledged,
                owed: true,
            };
            (0, Record::Write(write))
        };
        let writes = [of(80, 1, 10, 20), of(80, 2, 50, 60), of(81, 1, 30, 40)];
        let list = |versions: &[i64]| wrong(&writes, Record::List(80, versions.to_vec()));
        for together in [[0, 0], [1, 0], [1, 1], [2, 1]] {
            assert_eq!(list(&together), None, "{together:?}");
        }
        let torn = Some((Wrong::Torn, 0));
        assert_eq!(list(&[0, 1]), torn);
        assert_eq!(list(&[2, 0]), torn);
        // Either may have been first.
        let writes = [of(80, 1, 10, 31), of(81, 1, 30, 40)];
        for together in [[0, 1], [1, 0]] {
            assert_eq!(wrong(&writes, Record::List(80, together.to_vec())), None);
        }
    }

    #[test]
    fn propagation_is_how_long_each_other_process_read_what_was_before() {
        let mut history = History::default();
        history.add(0, write(1, 10, 20, false));
        history.add(0, write(2, 90, 99, false));
        history.add(1, read(0, 5, 27));
        history.add(1, read(0, 5, 24));
        history.add(2, read(1, 30, 99));
        history.add(2, read(1, 30, 105));
        let mut all = history.propagation((0, 90));
        all.sort_unstable();
        assert_eq!(all, [0, 0, 7]);
        let mut all = history.propagation((0, 100));
        all.sort_unstable();
        assert_eq!(all, [0, 0, 0, 0, 6, 7]);
    }
}
