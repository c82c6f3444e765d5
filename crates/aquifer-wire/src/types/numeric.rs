use bytes::{BufMut, BytesMut};

use crate::types::codec::{Binary, binary_codec};
use crate::types::reader::Reader;

mod convert;
mod order;
mod text;

/// A number of PostgreSQL's `numeric` type without loss: up to 131,072 digits before and 16,383
/// after the decimal point, NaN and both infinities, and the scale (`1.50` stays `1.50`).
///
/// `Display` writes what PostgreSQL prints. Equality, order and hash go by value as there: `1.5`
/// equals `1.50`, NaN equals NaN and is greater than everything else.
///
/// ```
/// use aquifer_wire::types::Numeric;
///
/// let price: Numeric = "12.50".parse()?;
/// assert_eq!(price.to_string(), "12.50");
/// assert_eq!(price, "12.5".parse()?);
/// # Ok::<(), aquifer_wire::types::ParseError>(())
/// ```
#[derive(Clone)]
pub struct Numeric(Form);

#[derive(Clone)]
enum Form {
    NegativeInfinity,
    Finite(Finite),
    Infinity,
    NaN,
}

/// Base-10,000 digits as on the wire. Kept normal: neither the first nor the last digit is 0, none
/// lies beyond the scale, and zero has no digits, weight 0 and no sign.
#[derive(Clone)]
struct Finite {
    negative: bool,
    /// The first digit counts 10,000 to this power.
    weight: i16,
    /// How many decimal digits are printed after the point.
    scale: u16,
    digits: Vec<u16>,
}

const BASE: u16 = 10_000;
/// Decimal digits in one base-10,000 digit.
const GROUP: u16 = 4;
const SCALE_MAX: u16 = 0x3FFF;

const SIGN_POSITIVE: u16 = 0x0000;
const SIGN_NEGATIVE: u16 = 0x4000;
const SIGN_NAN: u16 = 0xC000;
const SIGN_INFINITY: u16 = 0xD000;
const SIGN_NEGATIVE_INFINITY: u16 = 0xF000;

impl Numeric {
    /// Not a number.
    pub const NAN: Self = Self(Form::NaN);
    /// Positive infinity; PostgreSQL knows it from version 14 on.
    pub const INFINITY: Self = Self(Form::Infinity);
    /// Negative infinity; PostgreSQL knows it from version 14 on.
    pub const NEG_INFINITY: Self = Self(Form::NegativeInfinity);
    /// Zero with scale 0.
    pub const ZERO: Self = Self(Form::Finite(Finite {
        negative: false,
        weight: 0,
        scale: 0,
        digits: Vec::new(),
    }));

    /// How many digits are printed after the decimal point; `None` for NaN and the infinities.
    #[must_use]
    pub fn scale(&self) -> Option<u16> {
        match &self.0 {
            Form::Finite(finite) => Some(finite.scale),
            _ => None,
        }
    }

    /// Whether this is NaN.
    #[must_use]
    pub fn is_nan(&self) -> bool {
        matches!(self.0, Form::NaN)
    }

    /// Whether this is neither NaN nor infinite.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        matches!(self.0, Form::Finite(_))
    }

    /// Whether this is zero, of any scale.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        matches!(&self.0, Form::Finite(finite) if finite.digits.is_empty())
    }

    /// Whether this is less than zero; NaN is not.
    #[must_use]
    pub fn is_negative(&self) -> bool {
        match &self.0 {
            Form::Finite(finite) => finite.negative,
            Form::NegativeInfinity => true,
            Form::Infinity | Form::NaN => false,
        }
    }
}

impl Finite {
    /// The same value in the normal form; `None` if its weight has no place in 16 bits.
    fn normal(negative: bool, weight: i32, scale: u16, mut digits: Vec<u16>) -> Option<Self> {
        truncate(&mut digits, weight, scale);
        let trailing = digits.iter().rev().take_while(|digit| **digit == 0).count();
        digits.truncate(digits.len() - trailing);
        let leading = digits.iter().take_while(|digit| **digit == 0).count();
        digits.drain(..leading);
        let weight = match digits.is_empty() {
            true => 0,
            false => weight.checked_sub(i32::try_from(leading).ok()?)?,
        };
        Some(Self {
            negative: negative && !digits.is_empty(),
            weight: weight.try_into().ok()?,
            scale,
            digits,
        })
    }

    /// The digit that counts 10,000 to the power `position`.
    fn digit(&self, position: i32) -> u16 {
        usize::try_from(i32::from(self.weight) - position)
            .ok()
            .and_then(|index| self.digits.get(index))
            .copied()
            .unwrap_or_default()
    }
}

/// Cuts off what lies beyond the scale, as the server does on receipt.
fn truncate(digits: &mut Vec<u16>, weight: i32, scale: u16) {
    let groups = i32::from(scale.div_ceil(GROUP) + 1).saturating_add(weight);
    let Ok(groups) = usize::try_from(groups) else {
        digits.clear();
        return;
    };
    if digits.len() < groups {
        return;
    }
    digits.truncate(groups);
    let unit = match scale % GROUP {
        1 => 1000,
        2 => 100,
        3 => 10,
        _ => return,
    };
    if let Some(last) = digits.last_mut() {
        *last -= *last % unit;
    }
}

impl Binary for Numeric {
    fn read(raw: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(raw);
        let count = reader.u16()?;
        let weight = reader.i16()?;
        let sign = reader.u16()?;
        let scale = reader.u16()?;
        let form = match sign {
            SIGN_NAN => Form::NaN,
            SIGN_INFINITY => Form::Infinity,
            SIGN_NEGATIVE_INFINITY => Form::NegativeInfinity,
            SIGN_POSITIVE | SIGN_NEGATIVE if scale <= SCALE_MAX => {
                if reader.remaining() != usize::from(count) * 2 {
                    return None;
                }
                let digits = (0..count)
                    .map(|_| reader.u16().filter(|digit| *digit < BASE))
                    .collect::<Option<_>>()?;
                let negative = sign == SIGN_NEGATIVE;
                Form::Finite(Finite::normal(negative, weight.into(), scale, digits)?)
            }
            _ => return None,
        };
        reader.finish(Self(form))
    }

    fn write(&self, out: &mut BytesMut) {
        let (count, weight, sign, scale) = match &self.0 {
            Form::NaN => (0, 0, SIGN_NAN, 0),
            Form::Infinity => (0, 0, SIGN_INFINITY, 0),
            Form::NegativeInfinity => (0, 0, SIGN_NEGATIVE_INFINITY, 0),
            Form::Finite(finite) => (
                // Weight and scale allow no more than 36,864 digits.
                u16::try_from(finite.digits.len()).unwrap_or(u16::MAX),
                finite.weight,
                match finite.negative {
                    true => SIGN_NEGATIVE,
                    false => SIGN_POSITIVE,
                },
                finite.scale,
            ),
        };
        out.put_u16(count);
        out.put_i16(weight);
        out.put_u16(sign);
        out.put_u16(scale);
        if let Form::Finite(finite) = &self.0 {
            for digit in &finite.digits {
                out.put_u16(*digit);
            }
        }
    }
}

binary_codec!(Numeric: NUMERIC);
