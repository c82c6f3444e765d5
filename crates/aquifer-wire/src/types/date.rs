use std::fmt;
use std::str::FromStr;

use bytes::{BufMut, BytesMut};

use crate::types::ParseError;
use crate::types::calendar;
use crate::types::codec::{Binary, binary_codec};
use crate::types::reader::exactly;
use crate::types::scanner::Scanner;

/// A day of PostgreSQL's `date` type: 4714-11-24 BC to 5874897-12-31, and both infinities.
///
/// `Display` writes what PostgreSQL prints with `DateStyle` ISO, and `FromStr` reads it.
///
/// ```
/// use aquifer_wire::types::Date;
///
/// let date: Date = "0044-03-15 BC".parse()?;
/// assert_eq!(date.year_month_day(), Some((-43, 3, 15)));
/// # Ok::<(), aquifer_wire::types::ParseError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(i32);

const EXPECTED: ParseError = ParseError::new(
    "a date such as 2024-12-31, 0044-03-15 BC or infinity, within 4714-11-24 BC and 5874897-12-31",
);

impl Date {
    /// The earliest day, 4714-11-24 BC.
    pub const MIN: Self = Self(-2_451_545);
    /// The latest day, 5874897-12-31.
    pub const MAX: Self = Self(2_145_031_948);
    /// Later than all days.
    pub const INFINITY: Self = Self(i32::MAX);
    /// Earlier than all days.
    pub const NEG_INFINITY: Self = Self(i32::MIN);

    /// The day of a year (0 is 1 BC), a month (1–12) and a day of the month; `None` if there is no
    /// such day in the range of `date`.
    #[must_use]
    pub fn from_year_month_day(year: i32, month: u8, day: u8) -> Option<Self> {
        calendar::to_days(year.into(), month.into(), day.into())
            .and_then(|days| i32::try_from(days).ok())
            .and_then(Self::from_days)
            .filter(|date| date.is_finite())
    }

    /// The year (0 is 1 BC), month and day of the month; `None` for the infinities.
    #[must_use]
    pub fn year_month_day(self) -> Option<(i32, u8, u8)> {
        if !self.is_finite() {
            return None;
        }
        let (year, month, day) = calendar::from_days(self.0.into());
        Some((
            year.try_into().ok()?,
            month.try_into().ok()?,
            day.try_into().ok()?,
        ))
    }

    /// The day that is so many days after 2000-01-01, where the greatest and the least number are
    /// the infinities; `None` if it is out of range.
    #[must_use]
    pub fn from_days(days: i32) -> Option<Self> {
        let date = Self(days);
        ((Self::MIN..=Self::MAX).contains(&date) || !date.is_finite()).then_some(date)
    }

    /// How many days after 2000-01-01.
    #[must_use]
    pub fn days(self) -> i32 {
        self.0
    }

    /// Whether this is a day and no infinity.
    #[must_use]
    pub fn is_finite(self) -> bool {
        self != Self::INFINITY && self != Self::NEG_INFINITY
    }
}

/// Writes a day without its era; returns whether " BC" has to follow.
pub(crate) fn write_day(days: i64, formatter: &mut fmt::Formatter<'_>) -> Result<bool, fmt::Error> {
    let (year, month, day) = calendar::from_days(days);
    let before_christ = year <= 0;
    let year = if before_christ { 1 - year } else { year };
    write!(formatter, "{year:04}-{month:02}-{day:02}")?;
    Ok(before_christ)
}

/// A day as it is written, before its era is known.
#[derive(Clone, Copy)]
pub(crate) struct WrittenDay {
    year: i64,
    month: i64,
    day: i64,
}

impl WrittenDay {
    pub(crate) fn scan(scanner: &mut Scanner<'_>) -> Option<Self> {
        // Fewer than four digits are a year of this century to some and of antiquity to others.
        let year = scanner.digits(4, 7).filter(|year| *year > 0)?;
        scanner.expect(b'-')?;
        let month = scanner.two_digits(12)?;
        scanner.expect(b'-')?;
        let day = scanner.two_digits(31)?;
        Some(Self { year, month, day })
    }

    /// Reads the era, if one follows, and gives the days since 2000-01-01.
    pub(crate) fn days(self, scanner: &mut Scanner<'_>) -> Option<i64> {
        let before_christ = scanner.eat_text(" BC");
        let year = if before_christ {
            1 - self.year
        } else {
            self.year
        };
        calendar::to_days(year, self.month, self.day)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::INFINITY => formatter.write_str("infinity"),
            Self::NEG_INFINITY => formatter.write_str("-infinity"),
            Self(days) => match write_day(days.into(), formatter)? {
                true => formatter.write_str(" BC"),
                false => Ok(()),
            },
        }
    }
}

impl fmt::Debug for Date {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Date({self})")
    }
}

impl FromStr for Date {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text {
            "infinity" => return Ok(Self::INFINITY),
            "-infinity" => return Ok(Self::NEG_INFINITY),
            _ => {}
        }
        let mut scanner = Scanner::new(text);
        WrittenDay::scan(&mut scanner)
            .and_then(|day| day.days(&mut scanner))
            .and_then(|days| scanner.finish(i32::try_from(days).ok()?))
            .and_then(Self::from_days)
            .ok_or(EXPECTED)
    }
}

impl Binary for Date {
    fn read(raw: &[u8]) -> Option<Self> {
        exactly(raw)
            .map(i32::from_be_bytes)
            .and_then(Self::from_days)
    }

    fn write(&self, out: &mut BytesMut) {
        out.put_i32(self.0);
    }
}

binary_codec!(Date: DATE);
