//! Types of the crates that a service already uses, each behind the feature of the crate's name.

#[cfg(feature = "chrono")]
mod chrono;
#[cfg(feature = "decimal")]
mod decimal;
#[cfg(feature = "jiff")]
mod jiff;
#[cfg(feature = "time")]
mod time;
#[cfg(feature = "uuid")]
mod uuid;

/// Implements `Encode` and `Decode` by the type's own `ToSql` and `FromSql`.
#[cfg(any(
    feature = "chrono",
    feature = "jiff",
    feature = "time",
    feature = "uuid"
))]
macro_rules! foreign {
    ($($rust:ty),+) => {$(
        impl $crate::types::Encode for $rust {
            fn encode(
                &self,
                ty: &$crate::types::Type,
                out: &mut bytes::BytesMut,
            ) -> Result<$crate::types::IsNull, $crate::types::EncodeError> {
                $crate::types::foreign::encode_foreign(self, ty, out)
            }
        }

        impl<'a> $crate::types::Decode<'a> for $rust {
            fn decode(
                ty: &$crate::types::Type,
                raw: &'a [u8],
            ) -> Result<Self, $crate::types::DecodeError> {
                $crate::types::foreign::decode_foreign(ty, raw)
            }
        }
    )+};
}
#[cfg(any(
    feature = "chrono",
    feature = "jiff",
    feature = "time",
    feature = "uuid"
))]
use foreign;
