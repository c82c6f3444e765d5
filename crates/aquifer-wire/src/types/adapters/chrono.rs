use bytes::BytesMut;
use chrono::{DateTime, FixedOffset, Local, NaiveDate, NaiveDateTime, NaiveTime, Utc};

use super::foreign;
use crate::types::foreign::encode_foreign;
use crate::types::{Decode, DecodeError, Encode, EncodeError, IsNull, Time, Type};

// Infinities and years beyond chrono's range are refused; fractions of microseconds are cut off.
foreign!(
    NaiveDate,
    NaiveDateTime,
    DateTime<Utc>,
    DateTime<FixedOffset>,
    DateTime<Local>
);

impl Encode for NaiveTime {
    fn encode(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, EncodeError> {
        encode_foreign(self, ty, out)
    }
}

/// Not by its own `FromSql`, which turns 24:00:00 into 00:00:00.
impl<'a> Decode<'a> for NaiveTime {
    fn decode(ty: &Type, raw: &'a [u8]) -> Result<Self, DecodeError> {
        let time = Time::decode(ty, raw)?;
        let (seconds, nanoseconds) = time.seconds_and_nanoseconds();
        Self::from_num_seconds_from_midnight_opt(seconds, nanoseconds)
            .ok_or_else(|| DecodeError::new::<Self>(ty, "chrono has no 24:00:00; read it as Time"))
    }
}
