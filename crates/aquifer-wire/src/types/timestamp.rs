use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use bytes::{BufMut, BytesMut};

use crate::types::codec::{Binary, binary_codec};
use crate::types::date::{WrittenDay, write_day};
use crate::types::reader::exactly;
use crate::types::scanner::Scanner;
use crate::types::time::MICROSECONDS_PER_SECOND;
use crate::types::time::{MICROSECONDS_PER_DAY, scan_offset, write_clock};
use crate::types::{
    Date, Decode, DecodeError, Encode, EncodeError, IsNull, ParseError, Time, Type,
};

/// From the Unix epoch to 2000-01-01 00:00:00 UTC.
const EPOCH: Duration = Duration::from_secs(946_684_800);

/// A date and time of day without a time zone: PostgreSQL's `timestamp`, in microseconds from
/// 4714-11-24 BC to the end of the year 294276, and both infinities.
///
/// `Display` writes what PostgreSQL prints with `DateStyle` ISO, and `FromStr` reads it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// A moment: PostgreSQL's `timestamp with time zone`, of the same range as [`Timestamp`].
///
/// `Display` writes what PostgreSQL prints with `DateStyle` ISO and `TimeZone` UTC; `FromStr` reads
/// any offset, but wants one. [`SystemTime`] converts from and to it, rounded down to microseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimestampTz(i64);

const EXPECTED: ParseError = ParseError::new(
    "a date and time such as 2024-12-31 23:59:59.123456 or infinity, with no offset and no digit \
     below microseconds",
);
const EXPECTED_ZONED: ParseError = ParseError::new(
    "a date and time with an offset from UTC, such as 2024-12-31T23:59:59.123456Z, \
     2024-12-31 23:59:59+02 or infinity",
);

macro_rules! timestamp {
    ($name:ident) => {
        impl $name {
            /// The earliest: 4714-11-24 00:00:00 BC.
            pub const MIN: Self = Self(-211_813_488_000_000_000);
            /// The latest: 294276-12-31 23:59:59.999999.
            pub const MAX: Self = Self(9_223_371_331_199_999_999);
            /// Later than all others.
            pub const INFINITY: Self = Self(i64::MAX);
            /// Earlier than all others.
            pub const NEG_INFINITY: Self = Self(i64::MIN);

            /// So many microseconds after 2000-01-01 00:00:00, where the greatest and the least
            /// number are the infinities; `None` if it is out of range.
            #[must_use]
            pub fn from_microseconds(microseconds: i64) -> Option<Self> {
                let value = Self(microseconds);
                ((Self::MIN..=Self::MAX).contains(&value) || !value.is_finite()).then_some(value)
            }

            /// Microseconds after 2000-01-01 00:00:00.
            #[must_use]
            pub fn microseconds(self) -> i64 {
                self.0
            }

            /// Whether this is no infinity.
            #[must_use]
            pub fn is_finite(self) -> bool {
                self != Self::INFINITY && self != Self::NEG_INFINITY
            }

            /// Writes it with `offset` behind the time, or the infinity without.
            fn print(self, formatter: &mut fmt::Formatter<'_>, offset: &str) -> fmt::Result {
                match self {
                    Self::INFINITY => return formatter.write_str("infinity"),
                    Self::NEG_INFINITY => return formatter.write_str("-infinity"),
                    _ => {}
                }
                let before_christ = write_day(self.0.div_euclid(MICROSECONDS_PER_DAY), formatter)?;
                formatter.write_str(" ")?;
                let of_day = self.0.rem_euclid(MICROSECONDS_PER_DAY);
                write_clock(formatter, of_day.unsigned_abs())?;
                formatter.write_str(offset)?;
                match before_christ {
                    true => formatter.write_str(" BC"),
                    false => Ok(()),
                }
            }

            fn scan_infinity(text: &str) -> Option<Self> {
                match text {
                    "infinity" => Some(Self::INFINITY),
                    "-infinity" => Some(Self::NEG_INFINITY),
                    _ => None,
                }
            }

            /// Reads the text; `offset` reads what stands between the time and the era.
            fn scan(
                text: &str,
                offset: impl FnOnce(&mut Scanner<'_>) -> Option<i32>,
            ) -> Option<Self> {
                let mut scanner = Scanner::new(text);
                let day = WrittenDay::scan(&mut scanner)?;
                if !scanner.eat(b' ') {
                    scanner.expect(b'T')?;
                }
                let time = Time::scan(&mut scanner)?;
                let offset = i64::from(offset(&mut scanner)?) * MICROSECONDS_PER_SECOND;
                let midnight = day.days(&mut scanner)?.checked_mul(MICROSECONDS_PER_DAY)?;
                let value = midnight.checked_add(time.microseconds() - offset)?;
                scanner
                    .finish(Self::from_microseconds(value)?)
                    .filter(|value| value.is_finite())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, concat!(stringify!($name), "({})"), self)
            }
        }

        impl Binary for $name {
            fn read(raw: &[u8]) -> Option<Self> {
                exactly(raw)
                    .map(i64::from_be_bytes)
                    .and_then(Self::from_microseconds)
            }

            fn write(&self, out: &mut BytesMut) {
                out.put_i64(self.0);
            }
        }
    };
}

timestamp!(Timestamp);
timestamp!(TimestampTz);
binary_codec!(Timestamp: TIMESTAMP);
binary_codec!(TimestampTz: TIMESTAMPTZ);

impl Timestamp {
    /// A time on a day; 24:00:00 is the next day's midnight. `None` if it is out of range or the
    /// day is infinite.
    #[must_use]
    pub fn new(date: Date, time: Time) -> Option<Self> {
        if !date.is_finite() {
            return None;
        }
        i64::from(date.days())
            .checked_mul(MICROSECONDS_PER_DAY)?
            .checked_add(time.microseconds())
            .and_then(Self::from_microseconds)
            .filter(|value| value.is_finite())
    }

    /// The day; `None` for the infinities.
    #[must_use]
    pub fn date(self) -> Option<Date> {
        if !self.is_finite() {
            return None;
        }
        let days = self.0.div_euclid(MICROSECONDS_PER_DAY);
        Date::from_days(days.try_into().ok()?)
    }

    /// The time of day; `None` for the infinities.
    #[must_use]
    pub fn time(self) -> Option<Time> {
        if !self.is_finite() {
            return None;
        }
        Time::from_microseconds(self.0.rem_euclid(MICROSECONDS_PER_DAY))
    }
}

impl TimestampTz {
    /// The moment that clocks in UTC show as `timestamp`.
    #[must_use]
    pub fn from_utc(timestamp: Timestamp) -> Self {
        Self(timestamp.0)
    }

    /// What clocks in UTC show at this moment.
    #[must_use]
    pub fn to_utc(self) -> Timestamp {
        Timestamp(self.0)
    }

    fn from_system_time(time: SystemTime) -> Option<Self> {
        let microseconds = match time.duration_since(SystemTime::UNIX_EPOCH + EPOCH) {
            Ok(after) => i64::try_from(after.as_micros()).ok()?,
            // Downwards also here, so that the order of moments is kept.
            Err(before) => {
                let nanoseconds = before.duration().as_nanos();
                i64::try_from(nanoseconds.div_ceil(1_000))
                    .ok()?
                    .checked_neg()?
            }
        };
        Self::from_microseconds(microseconds).filter(|value| value.is_finite())
    }

    fn to_system_time(self) -> Option<SystemTime> {
        if !self.is_finite() {
            return None;
        }
        let distance = Duration::from_micros(self.0.unsigned_abs());
        let epoch = SystemTime::UNIX_EPOCH + EPOCH;
        match self.0 {
            0.. => epoch.checked_add(distance),
            _ => epoch.checked_sub(distance),
        }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.print(formatter, "")
    }
}

impl fmt::Display for TimestampTz {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.print(formatter, "+00")
    }
}

impl FromStr for Timestamp {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::scan_infinity(text)
            .or_else(|| Self::scan(text, |_| Some(0)))
            .ok_or(EXPECTED)
    }
}

impl FromStr for TimestampTz {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::scan_infinity(text)
            .or_else(|| Self::scan(text, scan_offset))
            .ok_or(EXPECTED_ZONED)
    }
}

impl TryFrom<SystemTime> for TimestampTz {
    type Error = OutOfRange;

    fn try_from(time: SystemTime) -> Result<Self, OutOfRange> {
        Self::from_system_time(time).ok_or(OutOfRange)
    }
}

impl TryFrom<TimestampTz> for SystemTime {
    type Error = OutOfRange;

    fn try_from(moment: TimestampTz) -> Result<Self, OutOfRange> {
        moment.to_system_time().ok_or(OutOfRange)
    }
}

/// A value, for example an infinity, that the other type can't hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutOfRange;

impl fmt::Display for OutOfRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the value is infinite or out of the other type's range")
    }
}

impl std::error::Error for OutOfRange {}

/// A moment, rounded down to microseconds; not a `timestamp`, which has no time zone.
impl Encode for SystemTime {
    fn encode(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, EncodeError> {
        if *ty != Type::TIMESTAMPTZ {
            return Err(EncodeError::mismatch::<Self>(ty));
        }
        TimestampTz::from_system_time(*self)
            .ok_or_else(|| EncodeError::out_of_range::<Self>(ty))?
            .encode(ty, out)
    }
}

impl<'a> Decode<'a> for SystemTime {
    fn decode(ty: &Type, raw: &'a [u8]) -> Result<Self, DecodeError> {
        if *ty != Type::TIMESTAMPTZ {
            return Err(DecodeError::mismatch::<Self>(ty));
        }
        TimestampTz::decode(ty, raw)?
            .to_system_time()
            .ok_or_else(|| {
                DecodeError::new::<Self>(
                    ty,
                    "the value is infinite or out of range; use TimestampTz",
                )
            })
    }
}
