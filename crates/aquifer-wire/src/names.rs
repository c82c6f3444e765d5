use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use crate::statement::Columns;

/// The prepared statements of one connection, by the id of their description.
///
/// Bounded: the least recently used makes room. Names are counted up and never reused, so that a
/// name can't come to mean another statement. With room for none, each statement is parsed anew as
/// the unnamed one.
#[derive(Debug)]
pub(crate) struct Names {
    known: HashMap<u64, Entry, BuildHasherDefault<IdHasher>>,
    names_max: usize,
    next: u32,
    clock: u64,
    /// The number of the group that is being written.
    group: u64,
    /// Names that the server should forget; sent in front of the next request.
    pub(crate) to_close: Vec<u32>,
}

/// The statement that the next Parse without a name replaces.
pub(crate) const UNNAMED: u32 = 0;

/// The ids are counted up here, so one multiplication spreads them; nobody outside chooses them.
#[derive(Debug, Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, id: u64) {
        // 2⁶⁴ divided by the golden ratio.
        self.0 = (self.0 ^ id).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[derive(Debug)]
struct Entry {
    name: u32,
    used: u64,
    /// The group that prepares it.
    group: u64,
    /// The session has described it, and as its description says.
    fits: bool,
}

/// How a statement is called on this connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// It is prepared already.
    Known(u32),
    /// It must be prepared under this name first.
    New(u32),
    /// It is prepared by this group, and the session has not said yet whether its description fits.
    Unsettled(u32),
}

impl Names {
    pub(crate) fn new(names_max: usize) -> Self {
        Self {
            known: HashMap::default(),
            names_max,
            next: 0,
            clock: 0,
            group: 0,
            to_close: Vec::new(),
        }
    }

    /// What is named from here on stands under another Sync.
    pub(crate) fn next_group(&mut self) {
        self.group += 1;
    }

    /// The name for the statement `id`; a new one may push the least used out.
    ///
    /// Whether another group has prepared it, only its answer tells: a failure in front of the Parse
    /// makes the server pass over it. Until then it is prepared once more, under another name.
    pub(crate) fn name(&mut self, id: u64) -> Name {
        if self.names_max == 0 {
            return Name::New(UNNAMED);
        }
        self.clock += 1;
        if let Some(entry) = self.known.get_mut(&id) {
            entry.used = self.clock;
            if entry.fits {
                return Name::Known(entry.name);
            }
            if entry.group == self.group {
                return Name::Unsettled(entry.name);
            }
            self.forget(id);
        }
        if self.known.len() >= self.names_max {
            let oldest = self.known.iter().min_by_key(|(_, entry)| entry.used);
            if let Some(id) = oldest.map(|(id, _)| *id) {
                self.forget(id);
            }
        }
        self.next = self.next.wrapping_add(1).max(UNNAMED + 1);
        self.known.insert(
            id,
            Entry {
                name: self.next,
                used: self.clock,
                group: self.group,
                fits: false,
            },
        );
        Name::New(self.next)
    }

    /// Forgets a statement that the server has, which will be told so.
    pub(crate) fn forget(&mut self, id: u64) {
        if let Some(entry) = self.known.remove(&id) {
            self.to_close.push(entry.name);
        }
    }

    /// The server has prepared it: whether its description fits. One that does not is forgotten, and
    /// with the next use described anew.
    pub(crate) fn settle(&mut self, parsed: &Parsed) {
        let entry = self.known.get_mut(&parsed.id);
        let Some(entry) = entry.filter(|entry| entry.name == parsed.name) else {
            return;
        };
        if parsed.fits {
            entry.fits = true;
        } else {
            self.forget(parsed.id);
        }
    }

    /// The session has deallocated all.
    pub(crate) fn clear(&mut self) {
        self.known.clear();
        self.to_close.clear();
    }

    /// Takes back the Parse and Close messages that the server never carried out.
    pub(crate) fn take_back(&mut self, parses: &[Parsed], closes: &[u32]) {
        for Parsed { id, name, .. } in parses {
            if self.known.get(id).is_some_and(|entry| entry.name == *name) {
                self.known.remove(id);
            }
        }
        self.to_close.extend_from_slice(closes);
    }
}

/// A Parse message that was written.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) id: u64,
    pub(crate) name: u32,
    /// What the description says of the columns; `None` where it is only being made.
    pub(crate) columns: Option<Arc<Columns>>,
    /// The session has described them so.
    pub(crate) fits: bool,
}

impl Parsed {
    pub(crate) fn new(id: u64, name: u32, columns: Option<&Arc<Columns>>) -> Self {
        Self {
            id,
            name,
            columns: columns.cloned(),
            fits: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(id: u64, name: u32, fits: bool) -> Parsed {
        Parsed {
            fits,
            ..Parsed::new(id, name, None)
        }
    }

    #[test]
    fn a_name_is_known_once_the_session_has_described_it_as_expected() {
        let mut names = Names::new(2);
        assert_eq!(names.name(10), Name::New(1));
        assert_eq!(names.name(10), Name::Unsettled(1));
        names.settle(&parsed(10, 1, true));
        assert_eq!(names.name(10), Name::Known(1));
        assert_eq!(names.name(20), Name::New(2));
        names.settle(&parsed(20, 2, false));
        assert_eq!(names.to_close, [2]);
        assert_eq!(names.name(20), Name::New(3));
        // What is said of the name before concerns it no longer.
        names.settle(&parsed(20, 2, true));
        assert_eq!(names.name(20), Name::Unsettled(3));
    }

    #[test]
    fn what_another_group_prepares_is_not_relied_on_before_its_answer() {
        let mut names = Names::new(2);
        assert_eq!(names.name(10), Name::New(1));
        names.next_group();
        assert_eq!(names.name(10), Name::New(2));
        assert_eq!(names.to_close, [1]);
        // The first group failed in front of it.
        names.take_back(&[parsed(10, 1, false)], &[]);
        assert_eq!(names.name(10), Name::Unsettled(2));
        names.settle(&parsed(10, 2, true));
        names.next_group();
        assert_eq!(names.name(10), Name::Known(2));
        assert_eq!(names.to_close, [1]);
    }

    #[test]
    fn the_least_recently_used_name_makes_room_and_is_closed() {
        let mut names = Names::new(2);
        assert_eq!(names.name(10), Name::New(1));
        assert_eq!(names.name(20), Name::New(2));
        assert_eq!(names.name(10), Name::Unsettled(1));
        assert_eq!(names.name(30), Name::New(3));
        assert_eq!(names.to_close, [2]);
        assert_eq!(names.name(10), Name::Unsettled(1));
        assert_eq!(names.name(20), Name::New(4));
    }

    #[test]
    fn without_room_each_statement_is_parsed_anew_and_nothing_is_closed() {
        let mut names = Names::new(0);
        assert_eq!(names.name(10), Name::New(UNNAMED));
        assert_eq!(names.name(10), Name::New(UNNAMED));
        names.take_back(&[parsed(10, UNNAMED, false)], &[]);
        names.forget(10);
        assert!(names.to_close.is_empty());
    }

    #[test]
    fn a_statement_that_was_never_parsed_is_forgotten_without_a_close() {
        let mut names = Names::new(2);
        assert_eq!(names.name(10), Name::New(1));
        names.take_back(&[parsed(10, 1, false)], &[]);
        assert!(names.to_close.is_empty());
        assert_eq!(names.name(10), Name::New(2));
    }
}
