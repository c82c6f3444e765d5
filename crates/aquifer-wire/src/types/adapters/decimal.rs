use bytes::BytesMut;
use rust_decimal::Decimal;

use crate::types::{Decode, DecodeError, Encode, EncodeError, IsNull, Numeric, Type};

// Not by its own `ToSql` and `FromSql`: they round what has more than 28 digits after the point,
// and 1e32, which PostgreSQL can hold, makes them panic.
impl Encode for Decimal {
    fn encode(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, EncodeError> {
        Numeric::from(*self).encode(ty, out)
    }
}

/// Refused rather than rounded: NaN, the infinities and what has more digits than 96 bits hold.
impl<'a> Decode<'a> for Decimal {
    fn decode(ty: &Type, raw: &'a [u8]) -> Result<Self, DecodeError> {
        Numeric::decode(ty, raw)?.to_decimal().ok_or_else(|| {
            DecodeError::new::<Self>(
                ty,
                "the value is not finite or has too many digits; round it in SQL, or read it as \
                 Numeric",
            )
        })
    }
}

impl From<Decimal> for Numeric {
    fn from(decimal: Decimal) -> Self {
        let scale = u16::try_from(decimal.scale()).unwrap_or_default();
        // At most 28 digits after the point, so never out of range.
        Self::with_scale(decimal.mantissa(), scale).unwrap_or(Self::NAN)
    }
}

impl Numeric {
    /// The same value as a `Decimal`; `None` if that can't hold all its digits.
    #[must_use]
    pub fn to_decimal(&self) -> Option<Decimal> {
        let text = self.to_string();
        // The scale is kept if there is room for it; else the zeros at the end have to go.
        let significant = match self.scale()? {
            0 => text.as_str(),
            _ => text.trim_end_matches('0').trim_end_matches('.'),
        };
        Decimal::from_str_exact(&text)
            .or_else(|_| Decimal::from_str_exact(significant))
            .ok()
    }
}
