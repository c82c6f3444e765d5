use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use crate::postgres::Postgres;

/// What was told, held against what the server has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ledger {
    /// Writes that were told to be done.
    pub done: u64,
    /// Writes that were told to be done and are not there.
    pub lost: u64,
    /// Writes that are there more than once.
    pub doubled: u64,
    /// Writes that were told, or resolved, not to be done and are there.
    pub invented: u64,
    /// Writes of which the caller was told that nobody knows.
    pub unknown: u64,
    /// Those of them that could not be resolved either.
    pub unresolved: u64,
}

impl Ledger {
    /// Its members of a JSON object, without the braces.
    #[must_use]
    pub fn json_members(&self) -> String {
        let Self {
            done,
            lost,
            doubled,
            invented,
            unknown,
            unresolved,
        } = self;
        format!(
            "\"writes\":{done},\"lost\":{lost},\"doubled\":{doubled},\"invented\":{invented},\
             \"unknown\":{unknown},\"unresolved\":{unresolved}"
        )
    }
}

/// Each write in eight bytes, which are there from the start: a long run that looks for leaks must
/// not take its own books for one.
#[derive(Debug)]
pub(super) struct Writes {
    /// By the write's number; the rest is reserved.
    books: Vec<Write>,
    /// The number of the next.
    next: usize,
    done: usize,
    /// When the latest writes were done.
    latest: VecDeque<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Write {
    /// Milliseconds after the start of the load.
    begun: u32,
    told: Told,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Nothing,
    Done,
    NotDone,
    Unknown,
}

/// What ten minutes need, and more.
const BOOKED: usize = 1 << 20;

/// Some seconds of writes.
const LATEST: usize = 4096;

impl Writes {
    pub(super) fn new() -> Self {
        Self::with_books(BOOKED)
    }

    fn with_books(reserved: usize) -> Self {
        let write = Write {
            begun: u32::MAX,
            told: Told::Nothing,
        };
        Self {
            books: vec![write; reserved],
            next: 0,
            done: 0,
            latest: VecDeque::with_capacity(LATEST),
        }
    }

    pub(super) fn done(&self) -> usize {
        self.done
    }

    pub(super) fn first_done_after(&self, moment: Instant) -> Option<Instant> {
        self.latest.iter().copied().find(|&at| at > moment)
    }

    pub(super) fn begun_after(&self, id: i64, moment: u32) -> bool {
        let write = usize::try_from(id).ok().and_then(|id| self.books.get(id));
        write.is_some_and(|write| write.begun > moment)
    }

    pub(super) fn begin(&mut self, begun: u32) -> i64 {
        let write = Write {
            begun,
            told: Told::Nothing,
        };
        match self.books.get_mut(self.next) {
            Some(reserved) => *reserved = write,
            None => self.books.push(write),
        }
        self.next += 1;
        i64::try_from(self.next - 1).expect("fewer writes than that")
    }

    pub(super) fn end(&mut self, id: i64, told: Told) {
        if told == Told::Done {
            self.done += 1;
            if self.latest.len() == LATEST {
                self.latest.pop_front();
            }
            self.latest.push_back(Instant::now());
        }
        let write = usize::try_from(id)
            .ok()
            .and_then(|id| self.books.get_mut(id));
        write.expect("it has begun").told = told;
    }

    /// All that have begun, by their numbers.
    fn all(&self) -> impl Iterator<Item = (i64, Told)> {
        (0_i64..).zip(self.books.iter().take(self.next).map(|write| write.told))
    }

    pub(super) fn unknown(&self) -> Vec<i64> {
        let unknown = self.all().filter(|(_, told)| *told == Told::Unknown);
        unknown.map(|(id, _)| id).collect()
    }
}

/// How often each write is there.
pub(super) fn rows(server: &Postgres) -> HashMap<i64, u64> {
    let rows = server.psql("select id, count(*) from ledger group by id");
    let parsed = rows.lines().filter_map(|row| {
        let (id, count) = row.split_once('|')?;
        Some((id.parse().ok()?, count.parse().ok()?))
    });
    parsed.collect()
}

pub(super) fn compare(
    writes: &Writes,
    resolved: &HashMap<i64, Option<bool>>,
    rows: &HashMap<i64, u64>,
) -> Ledger {
    let mut ledger = Ledger::default();
    for (id, told) in writes.all() {
        let count = rows.get(&id).copied().unwrap_or_default();
        ledger.doubled += u64::from(count > 1);
        let done = match told {
            Told::Done => {
                ledger.done += 1;
                Some(true)
            }
            Told::NotDone => Some(false),
            Told::Unknown | Told::Nothing => {
                ledger.unknown += 1;
                resolved.get(&id).copied().flatten()
            }
        };
        match done {
            Some(true) => ledger.lost += u64::from(count == 0),
            Some(false) => ledger.invented += u64::from(count > 0),
            None => ledger.unresolved += 1,
        }
    }
    ledger
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_of_being_wrong_is_counted() {
        let mut writes = Writes::with_books(2);
        for told in [
            Told::Done,
            Told::Done,
            Told::Done,
            Told::NotDone,
            Told::NotDone,
            Told::Unknown,
            Told::Unknown,
            Told::Unknown,
        ] {
            let id = writes.begin(0);
            writes.end(id, told);
        }
        assert_eq!((writes.done, writes.unknown()), (3, vec![5, 6, 7]));
        let resolved = HashMap::from([(5, Some(true)), (6, Some(false)), (7, None)]);
        let rows = HashMap::from([(0, 1), (1, 2), (4, 1), (6, 1)]);
        let expected = Ledger {
            done: 3,
            lost: 2,
            doubled: 1,
            invented: 2,
            unknown: 3,
            unresolved: 1,
        };
        assert_eq!(compare(&writes, &resolved, &rows), expected);
    }
}
