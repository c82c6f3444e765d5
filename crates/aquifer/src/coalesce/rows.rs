//! The rows of one reply by the look-up that they belong to.

use std::hash::{BuildHasher, Hasher};

use aquifer_wire::{Reply, RowAt};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::LookupKey;
use crate::{Error, clock};

/// No row, no key, or nobody who waits.
pub(super) const NONE: usize = usize::MAX;

/// A reply, and where in it each look-up's rows stand.
#[derive(Debug)]
pub(super) struct Rows {
    reply: Reply,
    /// For each look-up the place of its key in `chains`.
    places: Vec<usize>,
    /// For each key its first and its last row in `links`.
    chains: Vec<(usize, usize)>,
    links: Vec<Link>,
}

/// A row, and the next one of the same key.
#[derive(Debug)]
struct Link {
    row: RowAt,
    next: usize,
}

impl Rows {
    /// Hands out the rows by the key in `column`. `places` tells for each look-up the place of its
    /// key among `keys`, `place_of` that of a key; `None` when a row's key has none.
    pub(super) fn new<K: LookupKey>(
        reply: Reply,
        column: &str,
        (places, keys): (Vec<usize>, usize),
        place_of: impl Fn(&K) -> Option<usize>,
    ) -> Result<Option<Self>, Error> {
        let mut chains = vec![(NONE, NONE); keys];
        let mut links: Vec<Link> = Vec::with_capacity(reply.len());
        let asked = reply.locate(column, |key: K, row| {
            let Some(chain) = place_of(&key).and_then(|place| chains.get_mut(place)) else {
                return false;
            };
            let number = links.len();
            match links.get_mut(chain.1) {
                Some(last) => last.next = number,
                None => chain.0 = number,
            }
            chain.1 = number;
            links.push(Link { row, next: NONE });
            true
        })?;
        Ok(asked.then_some(Self {
            reply,
            places,
            chains,
            links,
        }))
    }

    pub(super) fn reply(&self) -> &Reply {
        &self.reply
    }

    /// Whether the key of the look-up of that number was asked for.
    pub(super) fn is_for(&self, number: usize) -> bool {
        self.places.get(number).is_some_and(|place| *place != NONE)
    }

    /// The rows of the look-up of that number, in order.
    pub(super) fn of(&self, number: usize) -> impl Iterator<Item = RowAt> {
        let place = self.places.get(number).copied().unwrap_or(NONE);
        let mut next = self.chains.get(place).map_or(NONE, |chain| chain.0);
        std::iter::from_fn(move || {
            let link = self.links.get(next)?;
            next = link.next;
            Some(link.row)
        })
    }
}

/// Hashes keys by XXH3, with a seed of its own since callers may choose keys as they like; a
/// fraction of the work of the standard library's.
#[derive(Debug)]
pub(super) struct KeyHashing {
    seed: u64,
}

impl Default for KeyHashing {
    fn default() -> Self {
        Self {
            seed: clock::random(),
        }
    }
}

impl BuildHasher for &KeyHashing {
    type Hasher = KeyHasher;

    fn build_hasher(&self) -> KeyHasher {
        KeyHasher(self.seed)
    }
}

#[derive(Debug)]
pub(super) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
