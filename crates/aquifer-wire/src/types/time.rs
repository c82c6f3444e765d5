use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use bytes::{BufMut, BytesMut};

use crate::types::ParseError;
use crate::types::codec::{Binary, binary_codec};
use crate::types::reader::{Reader, exactly};
use crate::types::scanner::Scanner;

pub(crate) const MICROSECONDS_PER_SECOND: i64 = 1_000_000;
pub(crate) const MICROSECONDS_PER_DAY: i64 = 86_400 * MICROSECONDS_PER_SECOND;
/// Offsets from UTC are below 16 hours.
const OFFSET_LIMIT: i32 = 16 * 3_600;

/// A time of day of PostgreSQL's `time` type, in microseconds: 00:00:00 to 24:00:00, inclusive.
///
/// `Display` writes what PostgreSQL prints, and `FromStr` reads it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(i64);

/// A time of day with an offset from UTC: PostgreSQL's `time with time zone`.
///
/// Ordered as there: by the moment in UTC, then by the offset, easternmost first.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimeTz {
    time: Time,
    /// Seconds east of UTC.
    offset: i32,
}

const EXPECTED: ParseError = ParseError::new(
    "a time of day such as 23:59:59.123456, at most 24:00:00, with no digit below microseconds",
);
const EXPECTED_ZONED: ParseError = ParseError::new(
    "a time of day with an offset from UTC, such as 23:59:59.123456+02 or 12:00:00Z",
);

impl Time {
    /// 00:00:00.
    pub const MIDNIGHT: Self = Self(0);
    /// 24:00:00, the end of the day.
    pub const END_OF_DAY: Self = Self(MICROSECONDS_PER_DAY);

    /// The time so many microseconds after midnight; `None` beyond 24:00:00.
    #[must_use]
    pub fn from_microseconds(microseconds: i64) -> Option<Self> {
        (0..=MICROSECONDS_PER_DAY)
            .contains(&microseconds)
            .then_some(Self(microseconds))
    }

    /// The time of an hour (0–24), minute and second (0–59) and microsecond (0–999,999); `None` if
    /// there is no such time.
    #[must_use]
    pub fn new(hour: u8, minute: u8, second: u8, microsecond: u32) -> Option<Self> {
        if minute > 59 || second > 59 || microsecond > 999_999 {
            return None;
        }
        let minutes = i64::from(hour) * 60 + i64::from(minute);
        let seconds = minutes * 60 + i64::from(second);
        Self::from_microseconds(seconds * MICROSECONDS_PER_SECOND + i64::from(microsecond))
    }

    /// Microseconds after midnight.
    #[must_use]
    pub fn microseconds(self) -> i64 {
        self.0
    }

    /// Seconds after midnight and the nanoseconds beyond them.
    #[cfg(any(feature = "chrono", feature = "time"))]
    pub(crate) fn seconds_and_nanoseconds(self) -> (u32, u32) {
        let part = |value: i64| u32::try_from(value).unwrap_or_default();
        (
            part(self.0 / MICROSECONDS_PER_SECOND),
            part(self.0 % MICROSECONDS_PER_SECOND) * 1_000,
        )
    }

    pub(crate) fn scan(scanner: &mut Scanner<'_>) -> Option<Self> {
        let hour = scanner.two_digits(24)?;
        scanner.expect(b':')?;
        let minute = scanner.two_digits(59)?;
        let mut microseconds = (hour * 60 + minute) * 60 * MICROSECONDS_PER_SECOND;
        if scanner.eat(b':') {
            microseconds += scanner.two_digits(59)? * MICROSECONDS_PER_SECOND;
            microseconds += scanner.fraction()?;
        }
        Self::from_microseconds(microseconds)
    }
}

impl TimeTz {
    /// A time at an offset of so many seconds east of UTC; `None` from 16 hours on.
    #[must_use]
    pub fn new(time: Time, offset_seconds: i32) -> Option<Self> {
        (-OFFSET_LIMIT < offset_seconds && offset_seconds < OFFSET_LIMIT).then_some(Self {
            time,
            offset: offset_seconds,
        })
    }

    /// The time of day at the offset.
    #[must_use]
    pub fn time(self) -> Time {
        self.time
    }

    /// The offset in seconds east of UTC.
    #[must_use]
    pub fn offset_seconds(self) -> i32 {
        self.offset
    }

    fn utc_microseconds(self) -> i64 {
        self.time.0 - i64::from(self.offset) * MICROSECONDS_PER_SECOND
    }
}

/// Seconds east of UTC, from `Z`, `+02`, `-03:30`, `+0530` or `+00:19:32`.
pub(crate) fn scan_offset(scanner: &mut Scanner<'_>) -> Option<i32> {
    if scanner.eat(b'Z') || scanner.eat(b'z') {
        return Some(0);
    }
    let sign = match scanner.peek()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    scanner.expect(scanner.peek()?)?;
    let mut seconds = scanner.two_digits(15)? * 3_600;
    if scanner.eat(b':') || scanner.peek().is_some_and(|byte| byte.is_ascii_digit()) {
        seconds += scanner.two_digits(59)? * 60;
        if scanner.eat(b':') {
            seconds += scanner.two_digits(59)?;
        }
    }
    i32::try_from(sign * seconds).ok()
}

/// Writes seconds and their fraction without trailing zeros.
pub(crate) fn write_seconds(
    formatter: &mut fmt::Formatter<'_>,
    seconds: u64,
    mut microseconds: u64,
) -> fmt::Result {
    write!(formatter, "{seconds:02}")?;
    if microseconds == 0 {
        return Ok(());
    }
    let mut width = 6;
    while microseconds.is_multiple_of(10) {
        microseconds /= 10;
        width -= 1;
    }
    write!(formatter, ".{microseconds:0width$}")
}

/// Writes a span of microseconds as hours, minutes and seconds.
pub(crate) fn write_clock(formatter: &mut fmt::Formatter<'_>, microseconds: u64) -> fmt::Result {
    let seconds = microseconds / MICROSECONDS_PER_SECOND.unsigned_abs();
    write!(
        formatter,
        "{:02}:{:02}:",
        seconds / 3_600,
        seconds / 60 % 60
    )?;
    write_seconds(
        formatter,
        seconds % 60,
        microseconds % MICROSECONDS_PER_SECOND.unsigned_abs(),
    )
}

impl fmt::Display for Time {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_clock(formatter, self.0.unsigned_abs())
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Time({self})")
    }
}

impl FromStr for Time {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut scanner = Scanner::new(text);
        Self::scan(&mut scanner)
            .and_then(|time| scanner.finish(time))
            .ok_or(EXPECTED)
    }
}

impl fmt::Display for TimeTz {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.offset < 0 { '-' } else { '+' };
        let offset = self.offset.unsigned_abs();
        write!(formatter, "{}{sign}{:02}", self.time, offset / 3_600)?;
        if !offset.is_multiple_of(3_600) {
            write!(formatter, ":{:02}", offset / 60 % 60)?;
        }
        if !offset.is_multiple_of(60) {
            write!(formatter, ":{:02}", offset % 60)?;
        }
        Ok(())
    }
}

impl fmt::Debug for TimeTz {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "TimeTz({self})")
    }
}

impl FromStr for TimeTz {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut scanner = Scanner::new(text);
        Time::scan(&mut scanner)
            .and_then(|time| Self::new(time, scan_offset(&mut scanner)?))
            .and_then(|value| scanner.finish(value))
            .ok_or(EXPECTED_ZONED)
    }
}

impl PartialOrd for TimeTz {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for TimeTz {
    fn cmp(&self, other: &Self) -> Ordering {
        self.utc_microseconds()
            .cmp(&other.utc_microseconds())
            .then(other.offset.cmp(&self.offset))
    }
}

impl Binary for Time {
    fn read(raw: &[u8]) -> Option<Self> {
        exactly(raw)
            .map(i64::from_be_bytes)
            .and_then(Self::from_microseconds)
    }

    fn write(&self, out: &mut BytesMut) {
        out.put_i64(self.0);
    }
}

/// The wire counts seconds west of UTC.
impl Binary for TimeTz {
    fn read(raw: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(raw);
        let time = Time::from_microseconds(reader.i64()?)?;
        let west = reader.i32()?;
        reader.finish(Self::new(time, west.checked_neg()?)?)
    }

    fn write(&self, out: &mut BytesMut) {
        out.put_i64(self.time.0);
        out.put_i32(-self.offset);
    }
}

binary_codec!(Time: TIME);
binary_codec!(TimeTz: TIMETZ);
