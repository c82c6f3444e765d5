use bytes::{BufMut, BytesMut};

use crate::types::codec::{Binary, binary_codec};
use crate::types::reader::Reader;

mod text;

/// A span of PostgreSQL's `interval` type. Its three parts are kept apart, since a month has no
/// fixed number of days, nor a day of hours.
///
/// Equality is that of the parts; PostgreSQL's `=` counts a month as 30 days and a day as 24 hours.
/// `Display` writes what PostgreSQL prints with `IntervalStyle` postgres, and in ISO 8601 with
/// `{:#}`; `FromStr` reads both.
///
/// ```
/// use aquifer_wire::types::Interval;
///
/// let interval = Interval { months: 14, days: 3, microseconds: 5_000_000 };
/// assert_eq!(interval.to_string(), "1 year 2 mons 3 days 00:00:05");
/// assert_eq!(format!("{interval:#}"), "P1Y2M3DT5S");
/// assert_eq!("P1Y2M3DT5S".parse(), Ok(interval));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
#[expect(clippy::exhaustive_structs, reason = "these are its parts on the wire")]
pub struct Interval {
    /// Months, 12 to a year.
    pub months: i32,
    /// Days, 7 to a week.
    pub days: i32,
    /// Microseconds.
    pub microseconds: i64,
}

impl Interval {
    /// Longer than all others. PostgreSQL knows it from version 17 on; before, the same three parts
    /// are a very long span.
    pub const INFINITY: Self = Self {
        months: i32::MAX,
        days: i32::MAX,
        microseconds: i64::MAX,
    };
    /// Shorter than all others; PostgreSQL knows it from version 17 on.
    pub const NEG_INFINITY: Self = Self {
        months: i32::MIN,
        days: i32::MIN,
        microseconds: i64::MIN,
    };
}

impl Binary for Interval {
    fn read(raw: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(raw);
        let interval = Self {
            microseconds: reader.i64()?,
            days: reader.i32()?,
            months: reader.i32()?,
        };
        reader.finish(interval)
    }

    fn write(&self, out: &mut BytesMut) {
        out.put_i64(self.microseconds);
        out.put_i32(self.days);
        out.put_i32(self.months);
    }
}

binary_codec!(Interval: INTERVAL);
