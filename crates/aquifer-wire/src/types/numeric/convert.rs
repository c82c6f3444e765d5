use super::{BASE, Finite, Form, Numeric};

impl Numeric {
    /// `mantissa` × 10^-`scale`; `None` if the scale is beyond 16,383.
    ///
    /// ```
    /// use aquifer_wire::types::Numeric;
    ///
    /// assert_eq!(Numeric::with_scale(1250, 2).unwrap().to_string(), "12.50");
    /// ```
    #[must_use]
    pub fn with_scale(mantissa: i128, scale: u16) -> Option<Self> {
        format!("{mantissa}e-{scale}").parse().ok()
    }

    /// The value as an integer; `None` if it has a fraction, is not finite or out of range.
    #[must_use]
    pub fn to_i128(&self) -> Option<i128> {
        let Form::Finite(finite) = &self.0 else {
            return None;
        };
        let last = i32::from(finite.weight) + 1 - i32::try_from(finite.digits.len()).ok()?;
        if !finite.digits.is_empty() && last < 0 {
            return None;
        }
        (0..=i32::from(finite.weight))
            .rev()
            .try_fold(0_i128, |value, position| {
                let digit = i128::from(finite.digit(position));
                let digit = if finite.negative { -digit } else { digit };
                value.checked_mul(BASE.into())?.checked_add(digit)
            })
    }

    /// As [`to_i128`](Self::to_i128).
    #[must_use]
    pub fn to_i64(&self) -> Option<i64> {
        self.to_i128()?.try_into().ok()
    }

    /// The nearest float: rounded, and infinite if the value is beyond its range.
    #[must_use]
    pub fn to_f64(&self) -> f64 {
        self.to_string().parse().unwrap_or(f64::NAN)
    }
}

impl From<i128> for Numeric {
    fn from(value: i128) -> Self {
        let mut rest = value.unsigned_abs();
        let mut digits = Vec::new();
        while rest != 0 {
            // A remainder of 10,000 fits 16 bits.
            digits.push(u16::try_from(rest % u128::from(BASE)).unwrap_or_default());
            rest /= u128::from(BASE);
        }
        digits.reverse();
        let weight = i32::try_from(digits.len()).unwrap_or_default() - 1;
        // Ten digits at most: never out of range.
        Finite::normal(value < 0, weight, 0, digits)
            .map_or(Self::ZERO, |finite| Self(Form::Finite(finite)))
    }
}

macro_rules! from_integer {
    ($($integer:ident)+) => {$(
        impl From<$integer> for Numeric {
            fn from(value: $integer) -> Self {
                Self::from(i128::from(value))
            }
        }
    )+};
}

from_integer!(i8 i16 i32 i64 u8 u16 u32 u64);

/// By the shortest decimal form that reads back as the same float: 0.1 is 0.1.
macro_rules! from_float {
    ($($float:ident)+) => {$(
        impl From<$float> for Numeric {
            fn from(value: $float) -> Self {
                // Rust prints floats without an exponent and within the limits of numeric.
                value.to_string().parse().unwrap_or(Self::NAN)
            }
        }
    )+};
}

from_float!(f32 f64);
