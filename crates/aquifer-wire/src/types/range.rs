use std::ops::{self, Bound};

use bytes::{BufMut, BytesMut};
use serde::{Deserialize, Serialize};

use crate::types::catalog::base_type;
use crate::types::encode::encode_value;
use crate::types::reader::Reader;
use crate::types::{Decode, DecodeError, Encode, EncodeError, IsNull, Kind, Type};

const EMPTY: u8 = 0x01;
const LOWER_INCLUSIVE: u8 = 0x02;
const UPPER_INCLUSIVE: u8 = 0x04;
const LOWER_UNBOUNDED: u8 = 0x08;
const UPPER_UNBOUNDED: u8 = 0x10;

/// A value of a range type.
///
/// The server brings ranges of whole numbers and days into the form `[lower, upper)`, so `(1, 5]`
/// comes back as `[2, 6)`, and refuses a lower bound above the upper one. An unbounded side is not
/// the same as one bounded by an infinity.
///
/// ```
/// use std::ops::Bound;
/// use aquifer_wire::types::Range;
///
/// let range = Range::from(1..5);
/// assert_eq!(range, Range::new(Bound::Included(1), Bound::Excluded(5)));
/// assert!(range.contains(&1) && !range.contains(&5));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(clippy::exhaustive_enums, reason = "a range is empty or has bounds")]
pub enum Range<T> {
    /// The range that contains nothing.
    Empty,
    /// All values between two bounds.
    Bounds {
        /// Where the range starts.
        lower: Bound<T>,
        /// Where the range ends.
        upper: Bound<T>,
    },
}

impl<T> Range<T> {
    /// All values between two bounds.
    pub fn new(lower: Bound<T>, upper: Bound<T>) -> Self {
        Self::Bounds { lower, upper }
    }
}

impl<T: PartialOrd> Range<T> {
    /// Whether the value lies in the range.
    pub fn contains(&self, value: &T) -> bool {
        match self {
            Self::Empty => false,
            Self::Bounds { lower, upper } => {
                ops::RangeBounds::contains(&(lower.as_ref(), upper.as_ref()), value)
            }
        }
    }
}

impl<T> From<ops::Range<T>> for Range<T> {
    fn from(range: ops::Range<T>) -> Self {
        Self::new(Bound::Included(range.start), Bound::Excluded(range.end))
    }
}

impl<T> From<ops::RangeInclusive<T>> for Range<T> {
    fn from(range: ops::RangeInclusive<T>) -> Self {
        let (start, end) = range.into_inner();
        Self::new(Bound::Included(start), Bound::Included(end))
    }
}

impl<T> From<ops::RangeFrom<T>> for Range<T> {
    fn from(range: ops::RangeFrom<T>) -> Self {
        Self::new(Bound::Included(range.start), Bound::Unbounded)
    }
}

impl<T> From<ops::RangeTo<T>> for Range<T> {
    fn from(range: ops::RangeTo<T>) -> Self {
        Self::new(Bound::Unbounded, Bound::Excluded(range.end))
    }
}

impl<T> From<ops::RangeToInclusive<T>> for Range<T> {
    fn from(range: ops::RangeToInclusive<T>) -> Self {
        Self::new(Bound::Unbounded, Bound::Included(range.end))
    }
}

impl<T> From<ops::RangeFull> for Range<T> {
    fn from(_all: ops::RangeFull) -> Self {
        Self::new(Bound::Unbounded, Bound::Unbounded)
    }
}

impl<T: Encode> Encode for Range<T> {
    fn encode(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, EncodeError> {
        let Kind::Range(element) = ty.kind() else {
            return Err(EncodeError::mismatch::<Self>(ty));
        };
        encode_range(self, ty, element, out)?;
        Ok(IsNull::No)
    }
}

impl<'a, T: Decode<'a>> Decode<'a> for Range<T> {
    fn decode(ty: &Type, raw: &'a [u8]) -> Result<Self, DecodeError> {
        let Kind::Range(element) = ty.kind() else {
            return Err(DecodeError::mismatch::<Self>(ty));
        };
        decode_range(element, raw)?.ok_or_else(|| DecodeError::malformed::<Self>(ty))
    }
}

/// Appends a range of `element`, for an error that names `ty`.
pub(crate) fn encode_range<T: Encode>(
    range: &Range<T>,
    ty: &Type,
    element: &Type,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    let Range::Bounds { lower, upper } = range else {
        out.put_u8(EMPTY);
        return Ok(());
    };
    let lower_flags = flags(lower, LOWER_INCLUSIVE, LOWER_UNBOUNDED);
    let upper_flags = flags(upper, UPPER_INCLUSIVE, UPPER_UNBOUNDED);
    out.put_u8(lower_flags | upper_flags);
    for bound in [lower, upper] {
        let (Bound::Included(value) | Bound::Excluded(value)) = bound else {
            continue;
        };
        if encode_value(value, element, out)? == IsNull::Yes {
            return Err(EncodeError::new::<Range<T>>(
                ty,
                "a bound can't be NULL; use Bound::Unbounded",
            ));
        }
    }
    Ok(())
}

fn flags<T>(bound: &Bound<T>, inclusive: u8, unbounded: u8) -> u8 {
    match bound {
        Bound::Included(_) => inclusive,
        Bound::Excluded(_) => 0,
        Bound::Unbounded => unbounded,
    }
}

/// Reads a range of `element`; `Ok(None)` if the bytes are none.
pub(crate) fn decode_range<'a, T: Decode<'a>>(
    element: &Type,
    raw: &'a [u8],
) -> Result<Option<Range<T>>, DecodeError> {
    let mut reader = Reader::new(raw);
    let Some(flags) = reader.u8() else {
        return Ok(None);
    };
    if flags & EMPTY != 0 {
        return Ok(reader.finish(Range::Empty));
    }
    let element = base_type(element);
    let mut bound = |inclusive, unbounded| {
        if flags & unbounded != 0 {
            return Ok(Some(Bound::Unbounded));
        }
        let Some(Some(raw)) = reader.value() else {
            return Ok(None);
        };
        let value = T::decode(element, raw)?;
        Ok(Some(match flags & inclusive {
            0 => Bound::Excluded(value),
            _ => Bound::Included(value),
        }))
    };
    let lower = bound(LOWER_INCLUSIVE, LOWER_UNBOUNDED)?;
    let upper = bound(UPPER_INCLUSIVE, UPPER_UNBOUNDED)?;
    Ok(lower
        .zip(upper)
        .and_then(|(lower, upper)| reader.finish(Range::new(lower, upper))))
}
