use bytes::BytesMut;
use time::{Date, OffsetDateTime, PrimitiveDateTime, Time};

use super::foreign;
use crate::types::foreign::encode_foreign;
use crate::types::{self, Decode, DecodeError, Encode, EncodeError, IsNull, Type};

// Infinities and years beyond the crate's range are refused; fractions of microseconds are cut off.
foreign!(Date, PrimitiveDateTime, OffsetDateTime);

impl Encode for Time {
    fn encode(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, EncodeError> {
        encode_foreign(self, ty, out)
    }
}

/// Not by its own `FromSql`, which turns 24:00:00 into 00:00:00.
impl<'a> Decode<'a> for Time {
    fn decode(ty: &Type, raw: &'a [u8]) -> Result<Self, DecodeError> {
        let (seconds, nanoseconds) = types::Time::decode(ty, raw)?.seconds_and_nanoseconds();
        u8::try_from(seconds / 3_600)
            .ok()
            .zip(u8::try_from(seconds / 60 % 60).ok())
            .zip(u8::try_from(seconds % 60).ok())
            .and_then(|((hour, minute), second)| {
                Self::from_hms_nano(hour, minute, second, nanoseconds).ok()
            })
            .ok_or_else(|| {
                DecodeError::new::<Self>(ty, "the time crate has no 24:00:00; read it as aquifer's")
            })
    }
}
