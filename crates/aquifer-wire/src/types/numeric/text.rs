use std::fmt;
use std::str::FromStr;

use super::{Finite, Form, GROUP, Numeric, SCALE_MAX};
use crate::types::ParseError;

const EXPECTED: ParseError = ParseError::new(
    "a number such as -12.50, 1e6, NaN or Infinity, of at most 131,072 digits before and 16,383 \
     after the decimal point",
);

impl fmt::Display for Numeric {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Form::NaN => formatter.write_str("NaN"),
            Form::Infinity => formatter.write_str("Infinity"),
            Form::NegativeInfinity => formatter.write_str("-Infinity"),
            Form::Finite(finite) => finite.fmt(formatter),
        }
    }
}

impl fmt::Debug for Numeric {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Numeric({self})")
    }
}

impl Finite {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.negative {
            formatter.write_str("-")?;
        }
        let weight = i32::from(self.weight).max(0);
        write!(formatter, "{}", self.digit(weight))?;
        for position in (0..weight).rev() {
            write!(formatter, "{:04}", self.digit(position))?;
        }
        if self.scale > 0 {
            formatter.write_str(".")?;
        }
        let mut position = -1;
        let mut left = self.scale;
        while left >= GROUP {
            write!(formatter, "{:04}", self.digit(position))?;
            position -= 1;
            left -= GROUP;
        }
        match left {
            1 => write!(formatter, "{}", self.digit(position) / 1000),
            2 => write!(formatter, "{:02}", self.digit(position) / 100),
            3 => write!(formatter, "{:03}", self.digit(position) / 10),
            _ => Ok(()),
        }
    }
}

impl FromStr for Numeric {
    type Err = ParseError;

    /// Reads the forms that PostgreSQL reads, without white space around them.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (negative, magnitude) = match text.as_bytes() {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        if magnitude.eq_ignore_ascii_case(b"infinity") || magnitude.eq_ignore_ascii_case(b"inf") {
            return Ok(if negative {
                Self::NEG_INFINITY
            } else {
                Self::INFINITY
            });
        }
        if text.eq_ignore_ascii_case("nan") {
            return Ok(Self::NAN);
        }
        Decimal::parse(magnitude)
            .and_then(|decimal| decimal.finite(negative))
            .map(|finite| Self(Form::Finite(finite)))
            .ok_or(EXPECTED)
    }
}

/// A number as it is written: its digits and where the point stands among them.
struct Decimal<'a> {
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent: i64,
}

impl<'a> Decimal<'a> {
    fn parse(text: &'a [u8]) -> Option<Self> {
        let (mantissa, exponent) = match text.iter().position(|byte| matches!(byte, b'e' | b'E')) {
            Some(position) => {
                let (mantissa, exponent) = text.split_at_checked(position)?;
                (mantissa, parse_exponent(exponent.get(1..)?)?)
            }
            None => (text, 0),
        };
        let (whole, fraction) = match mantissa.iter().position(|byte| *byte == b'.') {
            Some(position) => {
                let (whole, fraction) = mantissa.split_at_checked(position)?;
                (whole, fraction.get(1..)?)
            }
            None => (mantissa, &[][..]),
        };
        let all_digits = whole.iter().chain(fraction).all(u8::is_ascii_digit);
        let some_digit = !(whole.is_empty() && fraction.is_empty());
        (all_digits && some_digit).then_some(Self {
            whole,
            fraction,
            exponent,
        })
    }

    fn finite(&self, negative: bool) -> Option<Finite> {
        let scale = i64::try_from(self.fraction.len()).ok()? - self.exponent;
        let scale = u16::try_from(scale.max(0))
            .ok()
            .filter(|scale| *scale <= SCALE_MAX)?;
        let decimal_digits = || {
            self.whole
                .iter()
                .chain(self.fraction)
                .map(|byte| u16::from(byte - b'0'))
        };
        let leading = decimal_digits().take_while(|digit| *digit == 0).count();
        // The decimal position of the first digit that is not 0, counted from the point.
        let first = i64::try_from(self.whole.len()).ok()? + self.exponent
            - i64::try_from(leading).ok()?
            - 1;
        let group = i64::from(GROUP);
        let weight = first.div_euclid(group).try_into().ok()?;
        // Fill the first group from the left, so that the groups align with the point.
        let missing = group - 1 - first.rem_euclid(group);
        let mut digits = Vec::with_capacity(self.whole.len().div_ceil(GROUP.into()) + 1);
        let mut digit = 0;
        let mut filled = missing;
        for decimal in decimal_digits().skip(leading) {
            digit = digit * 10 + decimal;
            filled += 1;
            if filled == group {
                digits.push(digit);
                (digit, filled) = (0, 0);
            }
        }
        if filled > 0 {
            digits.push(digit * 10_u16.pow((group - filled).try_into().ok()?));
        }
        Finite::normal(negative, weight, scale, digits)
    }
}

/// An exponent that could still give a value within the limits.
fn parse_exponent(text: &[u8]) -> Option<i64> {
    let exponent: i64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (-200_000..=200_000).contains(&exponent).then_some(exponent)
}
