use std::fmt;
use std::str::FromStr;

use super::Interval;
use crate::types::ParseError;
use crate::types::scanner::Scanner;
use crate::types::time::{MICROSECONDS_PER_SECOND, write_clock};

const EXPECTED: ParseError = ParseError::new(
    "an interval such as 1 year 2 mons 3 days 04:05:06.789, P1Y2M3DT4H5M6.789S or infinity, with \
     no fraction but that of seconds and no digit below microseconds",
);

impl fmt::Display for Interval {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::INFINITY => formatter.write_str("infinity"),
            Self::NEG_INFINITY => formatter.write_str("-infinity"),
            _ if formatter.alternate() => self.write_iso8601(formatter),
            _ => self.write_postgres(formatter),
        }
    }
}

impl fmt::Debug for Interval {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Interval({self})")
    }
}

impl Interval {
    fn write_postgres(self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            (self.months / 12, "year"),
            (self.months % 12, "mon"),
            (self.days, "day"),
        ];
        let mut separator = "";
        let mut after_negative = false;
        for (value, unit) in parts {
            if value != 0 {
                let sign = if after_negative && value > 0 { "+" } else { "" };
                let plural = if value == 1 { "" } else { "s" };
                write!(formatter, "{separator}{sign}{value} {unit}{plural}")?;
                separator = " ";
                after_negative = value < 0;
            }
        }
        if self.microseconds == 0 && !separator.is_empty() {
            return Ok(());
        }
        let sign = match (self.microseconds < 0, after_negative) {
            (true, _) => "-",
            (false, true) => "+",
            (false, false) => "",
        };
        write!(formatter, "{separator}{sign}")?;
        write_clock(formatter, self.microseconds.unsigned_abs())
    }

    fn write_iso8601(self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self == Self::default() {
            return formatter.write_str("PT0S");
        }
        formatter.write_str("P")?;
        let parts = [
            (self.months / 12, 'Y'),
            (self.months % 12, 'M'),
            (self.days, 'D'),
        ];
        for (value, unit) in parts {
            if value != 0 {
                write!(formatter, "{value}{unit}")?;
            }
        }
        if self.microseconds == 0 {
            return Ok(());
        }
        formatter.write_str("T")?;
        let sign = if self.microseconds < 0 { "-" } else { "" };
        let microseconds = self.microseconds.unsigned_abs();
        let seconds = microseconds / MICROSECONDS_PER_SECOND.unsigned_abs();
        for (value, unit) in [(seconds / 3_600, 'H'), (seconds / 60 % 60, 'M')] {
            if value != 0 {
                write!(formatter, "{sign}{value}{unit}")?;
            }
        }
        let fraction = microseconds % MICROSECONDS_PER_SECOND.unsigned_abs();
        match (seconds % 60, fraction) {
            (0, 0) => Ok(()),
            (seconds, 0) => write!(formatter, "{sign}{seconds}S"),
            (seconds, fraction) => {
                let digits = format!("{fraction:06}");
                write!(
                    formatter,
                    "{sign}{seconds}.{}S",
                    digits.trim_end_matches('0')
                )
            }
        }
    }
}

impl FromStr for Interval {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text {
            "infinity" => return Ok(Self::INFINITY),
            "-infinity" => return Ok(Self::NEG_INFINITY),
            _ => {}
        }
        let mut scanner = Scanner::new(text);
        let interval = match scanner.eat(b'P') {
            true => scan_iso8601(scanner),
            false => scan_postgres(scanner),
        };
        interval.ok_or(EXPECTED)
    }
}

/// A number in front of its unit. The sign stands apart, since it also covers a whole of 0.
struct Quantity {
    negative: bool,
    whole: i64,
    microseconds: i64,
}

impl Quantity {
    fn scan(scanner: &mut Scanner<'_>) -> Option<Self> {
        let negative = scanner.eat(b'-');
        if !negative {
            scanner.eat(b'+');
        }
        Some(Self {
            negative,
            whole: scanner.digits(1, 19)?,
            microseconds: scanner.fraction()?,
        })
    }

    /// The whole number of units of `scale` each; only seconds may have a fraction.
    fn units(&self, scale: i64) -> Option<i64> {
        if self.microseconds != 0 {
            return None;
        }
        self.signed(self.whole.checked_mul(scale)?)
    }

    fn seconds(&self) -> Option<i64> {
        // Added with its sign, so that the least of all numbers can be read.
        self.signed(1)?
            .checked_mul(self.whole)?
            .checked_mul(MICROSECONDS_PER_SECOND)?
            .checked_add(self.signed(self.microseconds)?)
    }

    fn signed(&self, value: i64) -> Option<i64> {
        if self.negative {
            value.checked_neg()
        } else {
            Some(value)
        }
    }
}

/// What has been read so far, in units wide enough to add the parts in any order.
#[derive(Default)]
struct Sum {
    months: i64,
    days: i64,
    microseconds: i64,
}

impl Sum {
    fn add_months(&mut self, months: i64) -> Option<()> {
        self.months = self.months.checked_add(months)?;
        Some(())
    }

    fn add_days(&mut self, days: i64) -> Option<()> {
        self.days = self.days.checked_add(days)?;
        Some(())
    }

    fn add_microseconds(&mut self, microseconds: i64) -> Option<()> {
        self.microseconds = self.microseconds.checked_add(microseconds)?;
        Some(())
    }

    fn interval(self) -> Option<Interval> {
        Some(Interval {
            months: self.months.try_into().ok()?,
            days: self.days.try_into().ok()?,
            microseconds: self.microseconds,
        })
    }
}

const MINUTE: i64 = 60 * MICROSECONDS_PER_SECOND;
const HOUR: i64 = 60 * MINUTE;

fn scan_iso8601(mut scanner: Scanner<'_>) -> Option<Interval> {
    let mut sum = Sum::default();
    let mut in_time = false;
    let mut empty = true;
    while !scanner.is_empty() {
        if !in_time && scanner.eat(b'T') {
            in_time = true;
        }
        let quantity = Quantity::scan(&mut scanner)?;
        let unit = scanner.peek()?;
        scanner.expect(unit)?;
        match (in_time, unit) {
            (false, b'Y') => sum.add_months(quantity.units(12)?)?,
            (false, b'M') => sum.add_months(quantity.units(1)?)?,
            (false, b'W') => sum.add_days(quantity.units(7)?)?,
            (false, b'D') => sum.add_days(quantity.units(1)?)?,
            (true, b'H') => sum.add_microseconds(quantity.units(HOUR)?)?,
            (true, b'M') => sum.add_microseconds(quantity.units(MINUTE)?)?,
            (true, b'S') => sum.add_microseconds(quantity.seconds()?)?,
            _ => return None,
        }
        empty = false;
    }
    if empty { None } else { sum.interval() }
}

fn scan_postgres(mut scanner: Scanner<'_>) -> Option<Interval> {
    let mut sum = Sum::default();
    loop {
        let start = scanner;
        let quantity = Quantity::scan(&mut scanner)?;
        if scanner.eat(b':') {
            scanner = start;
            sum.add_microseconds(scan_clock(&mut scanner)?)?;
        } else {
            scanner.expect(b' ')?;
            match scanner.take_while(|byte| byte.is_ascii_alphabetic()) {
                b"year" | b"years" => sum.add_months(quantity.units(12)?)?,
                b"mon" | b"mons" | b"month" | b"months" => sum.add_months(quantity.units(1)?)?,
                b"week" | b"weeks" => sum.add_days(quantity.units(7)?)?,
                b"day" | b"days" => sum.add_days(quantity.units(1)?)?,
                b"hour" | b"hours" => sum.add_microseconds(quantity.units(HOUR)?)?,
                b"minute" | b"minutes" => sum.add_microseconds(quantity.units(MINUTE)?)?,
                b"second" | b"seconds" => sum.add_microseconds(quantity.seconds()?)?,
                _ => return None,
            }
        }
        if scanner.is_empty() {
            return sum.interval();
        }
        scanner.expect(b' ')?;
    }
}

/// Hours, minutes and seconds with one sign for all.
fn scan_clock(scanner: &mut Scanner<'_>) -> Option<i64> {
    let negative = scanner.eat(b'-');
    if !negative {
        scanner.eat(b'+');
    }
    let sign = if negative { -1 } else { 1 };
    let hours = scanner.digits(1, 10)?;
    scanner.expect(b':')?;
    let minutes = scanner.two_digits(59)?;
    let mut rest = minutes * MINUTE;
    if scanner.eat(b':') {
        rest += scanner.two_digits(59)? * MICROSECONDS_PER_SECOND + scanner.fraction()?;
    }
    (sign * hours).checked_mul(HOUR)?.checked_add(sign * rest)
}
