//! What stands in Redis at the key of a value.
//!
//! | bytes | what |
//! |---|---|
//! | 3 | `AQ1` |
//! | 1 | 1 if there is no value, and that is known; 2 if the value is JSON |
//! | 8 | the layout of the value's type |
//! | 8 | for how long it is fresh, in milliseconds |
//! | 8 | for how long it is kept, of which the last part it is stale |
//! | 4 | how long it took to load it, in microseconds |
//! | 1 | how many tags |
//! | 32 each | the marks of the key, of the namespace, and of each tag |
//! | 2 + length each | the tags |
//! | … | the value in MessagePack or JSON |
//! | 8 | XXH3 of all but the marks, which are known only when the rest is made |
//!
//! Anything else is not an envelope, and so no value.

use std::fmt::Write as _;
use std::time::Duration;

use aquifer_core::stamps::Mark;
use xxhash_rust::xxh3::Xxh3;

use super::encoding::{Encoded, Encoding};
use super::rules::{Rule, keeps};
use super::times::Span;

const MAGIC: &[u8; 3] = b"AQ1";
const HEAD: usize = 33;
const MARK: usize = 32;
const CHECKSUM: usize = 8;

/// There is no value, and that is known.
const NONE: u8 = 1;

/// The value is JSON.
const JSON: u8 = 2;

/// Of the length before each tag.
const LENGTH: usize = 2;

/// An envelope without its marks.
#[derive(Clone, Debug)]
pub(super) struct Sealed {
    head: [u8; HEAD],
    tail: Vec<u8>,
    pub(super) checksum: u64,
}

/// An envelope that was read.
#[derive(Debug)]
pub(super) struct Opened<'a> {
    pub(super) layout: u64,
    pub(super) span: Span,
    marks: &'a [u8],
    pub(super) tags: Vec<Box<str>>,
    /// None if it is known that there is no value.
    pub(super) value: Option<&'a [u8]>,
    pub(super) encoding: Encoding,
    pub(super) checksum: u64,
}

impl Sealed {
    /// Of a value of this layout, or of none.
    pub(super) fn new(layout: u64, span: Span, tags: &[Box<str>], value: Option<&Encoded>) -> Self {
        let effort = u32::try_from(span.effort.as_micros()).unwrap_or(u32::MAX);
        let mut head = [0; HEAD];
        let fields = MAGIC
            .iter()
            .copied()
            .chain([flag_of(value)])
            .chain(layout.to_le_bytes())
            .chain(milliseconds(span.fresh).to_le_bytes())
            .chain(milliseconds(span.kept).to_le_bytes())
            .chain(effort.to_le_bytes())
            .chain([u8::try_from(tags.len()).unwrap_or(u8::MAX)]);
        for (place, byte) in head.iter_mut().zip(fields) {
            *place = byte;
        }
        let value = value.map_or(&[][..], |value| &value.bytes);
        let mut tail = Vec::with_capacity(value.len() + CHECKSUM + 32 * tags.len());
        for tag in tags {
            let length = u16::try_from(tag.len()).unwrap_or(u16::MAX);
            tail.extend(length.to_le_bytes());
            tail.extend(tag.as_bytes());
        }
        tail.extend(value);
        let checksum = checksum(&head, &tail);
        tail.extend(checksum.to_le_bytes());
        Self {
            head,
            tail,
            checksum,
        }
    }

    pub(super) fn with_marks(&self, marks: impl Iterator<Item = Mark>) -> Vec<u8> {
        let mut text = String::new();
        for mark in marks {
            // Writing to a `String` can't fail.
            let _infallible = write!(text, "{mark}");
        }
        let mut bytes = Vec::with_capacity(HEAD + text.len() + self.tail.len());
        bytes.extend(self.head);
        bytes.extend(text.as_bytes());
        bytes.extend(&self.tail);
        bytes
    }

    /// About how many bytes it has.
    pub(super) fn length(&self) -> usize {
        HEAD + 2 * MARK + self.tail.len()
    }
}

impl<'a> Opened<'a> {
    /// Reads an envelope; nothing if it is none, or damaged.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk::<HEAD>()?;
        let (magic, fields) = head.split_first_chunk::<3>()?;
        if magic != MAGIC {
            return None;
        }
        let ([flag], fields) = fields.split_first_chunk::<1>()?;
        let (is_none, encoding) = match *flag {
            0 => (false, Encoding::MessagePack),
            JSON => (false, Encoding::Json),
            NONE => (true, Encoding::MessagePack),
            // Of a later version of the layer.
            _ => return None,
        };
        let (layout, fields) = number(fields)?;
        let (fresh, fields) = number(fields)?;
        let (kept, fields) = number(fields)?;
        let (effort, count) = fields.split_first_chunk::<4>()?;
        let [count] = count else { return None };
        let span = Span {
            fresh: Duration::from_millis(fresh),
            kept: Duration::from_millis(kept),
            effort: Duration::from_micros(u32::from_le_bytes(*effort).into()),
        };
        let (marks, tail) = rest.split_at_checked(MARK * (2 + usize::from(*count)))?;
        let (body, sum) = tail.split_last_chunk::<CHECKSUM>()?;
        let checksum = checksum(head, body);
        if checksum != u64::from_le_bytes(*sum) {
            return None;
        }
        let mut tags = Vec::with_capacity(usize::from(*count));
        let mut body = body;
        for _ in 0..*count {
            let (length, rest) = body.split_first_chunk::<LENGTH>()?;
            let (tag, rest) = rest.split_at_checked(u16::from_le_bytes(*length).into())?;
            tags.push(std::str::from_utf8(tag).ok()?.into());
            body = rest;
        }
        Some(Self {
            layout,
            span,
            marks,
            tags,
            value: (!is_none).then_some(body),
            encoding,
            checksum,
        })
    }

    /// Whether it was put there under these marks.
    pub(super) fn has_marks(&self, marks: impl ExactSizeIterator<Item = Mark>) -> bool {
        let mut text = String::with_capacity(marks.len() * MARK);
        for mark in marks {
            let _infallible = write!(text, "{mark}");
        }
        if !keeps(Rule::TagsCompared) {
            return self.marks.starts_with(text.as_bytes());
        }
        text.as_bytes() == self.marks
    }

    /// The marks that it was put there under, as texts.
    pub(super) fn marks(&self) -> impl Iterator<Item = &'a str> {
        let marks = self.marks.chunks_exact(MARK);
        marks.map(|mark| std::str::from_utf8(mark).unwrap_or_default())
    }
}

/// Whether it begins as an envelope does.
pub(super) fn begins(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// Whether what is there may not be replaced: it is of a later write of the same life of the key's stamp,
/// under the same stamp of the namespace. The script that stores values in Redis says the same.
pub(super) fn is_later(present: &[u8], new: &[u8]) -> bool {
    let mark = |bytes: &'_ [u8]| {
        let (_, rest) = bytes.strip_prefix(MAGIC)?.split_at_checked(HEAD - 3)?;
        let (mark, others) = rest.split_at_checked(MARK)?;
        let (life, version) = mark.split_at_checked(MARK / 2)?;
        let is_version = version.iter().all(u8::is_ascii_hexdigit);
        let same = (life.to_vec(), others.get(..MARK)?.to_vec());
        is_version.then(|| (same, version.to_vec()))
    };
    match (mark(present), mark(new)) {
        (Some(present), Some(new)) => present.0 == new.0 && present.1 > new.1,
        _ => false,
    }
}

fn flag_of(value: Option<&Encoded>) -> u8 {
    match value.map(|value| value.encoding) {
        None => NONE,
        Some(Encoding::MessagePack) => 0,
        Some(Encoding::Json) => JSON,
    }
}

fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<8>()?;
    Some((u64::from_le_bytes(*number), rest))
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn checksum(head: &[u8], body: &[u8]) -> u64 {
    let mut hasher = Xxh3::new();
    hasher.update(head);
    hasher.update(body);
    hasher.digest()
}

#[cfg(test)]
mod tests {
    use aquifer_core::stamps::Stamp;

    use super::*;

    const SPAN: Span = Span {
        fresh: Duration::from_millis(1_234),
        kept: Duration::from_secs(100 * 365 * 24 * 3_600),
        effort: Duration::from_micros(56),
    };

    fn envelope(value: Option<&[u8]>, encoding: Encoding) -> Vec<u8> {
        let tags = ["one".into(), "two".into()];
        let stamps = [1, 2, 3, 4].map(Stamp::first);
        let encoded = value.map(|value| Encoded {
            bytes: value.to_vec(),
            encoding,
        });
        Sealed::new(7, SPAN, &tags, encoded.as_ref())
            .with_marks(stamps.iter().map(|stamp| stamp.mark()))
    }

    #[test]
    fn what_was_sealed_is_read_again() {
        let json = (Some(b"{}".as_slice()), Encoding::Json);
        let others = [Some(b"value".as_slice()), Some(b""), None];
        let others = others.map(|value| (value, Encoding::MessagePack));
        for (value, encoding) in others.into_iter().chain([json]) {
            let bytes = envelope(value, encoding);
            let opened = Opened::read(&bytes).expect("an envelope");
            assert_eq!(opened.encoding, encoding);
            assert_eq!(opened.value, value);
            assert_eq!(opened.layout, 7);
            assert_eq!(opened.span, SPAN);
            let tags: Vec<&str> = opened.tags.iter().map(AsRef::as_ref).collect();
            assert_eq!(tags, ["one", "two"]);
            let stamps = [1, 2, 3, 4].map(Stamp::first);
            assert!(opened.has_marks(stamps.iter().map(|stamp| stamp.mark())));
            let others = [1, 2, 3, 5].map(Stamp::first);
            assert!(!opened.has_marks(others.iter().map(|stamp| stamp.mark())));
        }
    }

    #[test]
    fn a_damaged_envelope_is_none_or_has_other_marks() {
        let bytes = envelope(Some(b"value"), Encoding::MessagePack);
        let marks = || [1, 2, 3, 4].map(Stamp::first).map(Stamp::mark).into_iter();
        for length in 0..bytes.len() {
            assert!(Opened::read(&bytes[..length]).is_none(), "{length}");
        }
        for place in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[place] ^= 1;
            let opened = Opened::read(&damaged);
            let taken = opened.is_some_and(|opened| opened.has_marks(marks()));
            assert!(!taken, "{place}");
        }
    }

    #[test]
    fn only_a_later_write_of_the_same_life_stays() {
        let under = |stamp: Stamp, all| {
            let marks = [stamp.mark(), Stamp::first(all).mark()];
            Sealed::new(0, SPAN, &[], None).with_marks(marks.into_iter())
        };
        let of = |stamp| under(stamp, 9);
        let first = Stamp::first(1);
        let later = (0..16).fold(first, |stamp, _| stamp.next(0));
        assert!(is_later(&of(later), &of(first)));
        assert!(!is_later(&of(first), &of(later)));
        assert!(!is_later(&of(first), &of(first)));
        assert!(!is_later(&of(later), &of(Stamp::first(2))));
        assert!(!is_later(&under(later, 8), &of(first)));
        assert!(!is_later(b"garbage", &of(first)));
        let mut damaged = of(later);
        damaged[HEAD + MARK - 1] = b'x';
        assert!(!is_later(&damaged, &of(first)));
    }
}
