use bytes::BytesMut;
use postgres_types::{Format, FromSql, ToSql};

use crate::types::{Decode, DecodeError, Encode, EncodeError, IsNull, Type};

/// Lets in any type that implements `ToSql` or `FromSql` of the postgres-types crate.
///
/// The foreign type decides which PostgreSQL types it accepts. Its own error is the
/// [`source`](std::error::Error::source) of ours, and what that prints is the foreign type's
/// affair.
///
/// ```
/// use aquifer_wire::types::{Decode, Foreign, Type};
///
/// let Foreign(lsn) = Foreign::<postgres_types::PgLsn>::decode(&Type::PG_LSN, &[0; 8])?;
/// assert_eq!(lsn.to_string(), "0/0");
/// # Ok::<(), aquifer_wire::types::DecodeError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(
    clippy::exhaustive_structs,
    reason = "a wrapper that is built and taken apart by users"
)]
pub struct Foreign<T>(pub T);

impl<T: ToSql> Encode for Foreign<T> {
    fn encode(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, EncodeError> {
        encode_foreign(&self.0, ty, out)
    }
}

impl<'a, T: FromSql<'a>> Decode<'a> for Foreign<T> {
    fn decode(ty: &Type, raw: &'a [u8]) -> Result<Self, DecodeError> {
        decode_foreign(ty, raw).map(Self)
    }

    fn decode_null(ty: &Type) -> Result<Self, DecodeError> {
        T::from_sql_null(ty)
            .map(Self)
            .map_err(|cause| DecodeError::new::<T>(ty, "the value is NULL").with_source(cause))
    }
}

pub(crate) fn encode_foreign<T: ToSql>(
    value: &T,
    ty: &Type,
    out: &mut BytesMut,
) -> Result<IsNull, EncodeError> {
    if !T::accepts(ty) {
        return Err(EncodeError::mismatch::<T>(ty));
    }
    if matches!(value.encode_format(ty), Format::Text) {
        return Err(EncodeError::new::<T>(
            ty,
            "it has no binary form for that type",
        ));
    }
    match value.to_sql(ty, out) {
        Ok(postgres_types::IsNull::Yes) => Ok(IsNull::Yes),
        Ok(postgres_types::IsNull::No) => Ok(IsNull::No),
        Err(cause) => Err(
            EncodeError::new::<T>(ty, "its own conversion refused the value").with_source(cause),
        ),
    }
}

pub(crate) fn decode_foreign<'a, T: FromSql<'a>>(
    ty: &Type,
    raw: &'a [u8],
) -> Result<T, DecodeError> {
    if !T::accepts(ty) {
        return Err(DecodeError::mismatch::<T>(ty));
    }
    T::from_sql(ty, raw).map_err(|cause| {
        DecodeError::new::<T>(ty, "its own conversion refused the value").with_source(cause)
    })
}
