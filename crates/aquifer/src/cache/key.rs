//! What keys and stamps are called in Redis.

use std::hash::{BuildHasher, Hasher};

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::{Error, ErrorKind, clock};

/// Longest key, in bytes.
const LENGTH_MAX: usize = 512;

/// Most tags of one value: each is a stamp that every look in Redis asks for.
const TAGS_MAX: usize = 16;

/// What begins so is the layer's own.
const RESERVED: &str = "q:";

/// The names of one namespace. Keys follow a `:` and stamps a `#`, so that who is told of changes of
/// stamps is not told of every value.
#[derive(Debug)]
pub(super) struct Names {
    namespace: Box<str>,
}

impl Names {
    pub(super) fn new(namespace: &str) -> Self {
        Self {
            namespace: namespace.into(),
        }
    }

    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Where the value of a key is.
    pub(super) fn entry(&self, key: &str) -> String {
        format!("{}:{key}", self.namespace)
    }

    /// What all keys of values begin with, and nothing else.
    pub(super) fn entries(&self) -> String {
        format!("{}:", self.namespace)
    }

    /// What all stamps begin with, and nothing else.
    pub(super) fn stamps(&self) -> String {
        format!("{}#", self.namespace)
    }

    pub(super) fn stamp_of_key(&self, key: &str) -> String {
        format!("{}#k:{key}", self.namespace)
    }

    /// Of a [tag](super::tag).
    pub(super) fn stamp_of_tag(&self, tag: &str) -> String {
        format!("{}#{tag}", self.namespace)
    }

    /// Whether a stamp is that of a row.
    pub(super) fn is_of_row(&self, stamp: &str) -> bool {
        let tag = stamp.strip_prefix(&*self.namespace);
        let tag = tag.and_then(|rest| rest.strip_prefix('#'));
        tag.is_some_and(super::tag::is_of_row)
    }

    /// The stamp that every value depends on.
    pub(super) fn stamp_of_all(&self) -> String {
        format!("{}#n", self.namespace)
    }

    /// Where changes of stamps are told; no stamp is called so.
    pub(super) fn changes(&self) -> String {
        format!("{}#changes", self.namespace)
    }

    /// Which servers held the stamps when somebody last looked.
    pub(super) fn servers(&self) -> String {
        format!("{}#servers", self.namespace)
    }

    /// Up to which missed change of the fence everything was made a miss.
    pub(super) fn fence(&self) -> String {
        format!("{}#fence", self.namespace)
    }

    /// Where stands who loads the value of a key. Nobody is told of its changes.
    pub(super) fn claim(&self, key: &str) -> String {
        format!("{}~{key}", self.namespace)
    }

    /// The stamps that a value depends on, in the order of its marks.
    pub(super) fn stamps_of(&self, key: &str, tags: &[Box<str>]) -> Vec<String> {
        let mut stamps = Vec::with_capacity(2 + tags.len());
        stamps.push(self.stamp_of_key(key));
        stamps.push(self.stamp_of_all());
        stamps.extend(tags.iter().map(|tag| self.stamp_of_tag(tag)));
        stamps
    }
}

/// By what a board knows a stamp.
pub(super) fn tag_of(stamp: &str) -> u64 {
    tag_of_bytes(stamp.as_bytes())
}

/// As [`tag_of`], of a name that comes from Redis.
pub(super) fn tag_of_bytes(stamp: &[u8]) -> u64 {
    xxh3_64(stamp)
}

pub(super) fn check_key(key: &str) -> Result<(), Error> {
    if key.starts_with(RESERVED) {
        return Err(refused(
            "a key",
            "begins with `q:`, which is the layer's own",
        ));
    }
    check_length("a key", key)
}

pub(super) fn check_tags(tags: &[Box<str>]) -> Result<(), Error> {
    if tags.len() > TAGS_MAX {
        let text = format!("a value has {} tags; it may have {TAGS_MAX}", tags.len());
        return Err(Error::new(ErrorKind::Usage, text));
    }
    // The name stands behind what says of which kind the tag is.
    let mut names = tags.iter().filter_map(|tag| tag.split_once(':'));
    names.try_for_each(|(_, name)| check_length("a tag", name))
}

pub(super) fn check_length(what: &str, text: &str) -> Result<(), Error> {
    match text.len() {
        1..=LENGTH_MAX => Ok(()),
        0 => Err(refused(what, "is empty")),
        length => Err(refused(
            what,
            &format!("has {length} bytes; it may have {LENGTH_MAX}"),
        )),
    }
}

fn refused(what: &str, why: &str) -> Error {
    Error::new(ErrorKind::Usage, format!("{what} of the cache {why}"))
}

/// Hashes keys in the memory of this process: with a seed of its own, since keys may be chosen by
/// strangers, and at once, since a key is one piece.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeyHash(u64);

impl KeyHash {
    pub(super) fn new() -> Self {
        Self(clock::random())
    }
}

impl BuildHasher for KeyHash {
    type Hasher = KeyHasher;

    fn build_hasher(&self) -> KeyHasher {
        KeyHasher(self.0)
    }
}

pub(super) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    /// What stands behind each text, to tell several apart; here there is one.
    fn write_u8(&mut self, _end: u8) {}
}
