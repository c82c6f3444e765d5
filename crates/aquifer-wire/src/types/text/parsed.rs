//! Types whose binary form is not text, but whose text form has one meaning only.

use std::fmt::Display;
use std::str::FromStr;

use bytes::BytesMut;

use super::uuid::UuidText;
use crate::types::catalog::describe;
use crate::types::codec::Binary;
use crate::types::{
    Bit, Date, DecodeError, EncodeError, Inet, Interval, IsNull, MacAddr, MacAddr8, Numeric,
    ParseError, PgLsn, Time, TimeTz, Timestamp, TimestampTz, Type,
};

macro_rules! parsed {
    ($($postgres:ident => $rust:ty),+ $(,)?) => {
        /// Whether the type's text form is known here.
        pub(super) fn is_printed(ty: &Type) -> bool {
            matches!(*ty, $(Type::$postgres)|+)
        }

        /// Appends the value whose text form is `text`.
        pub(super) fn encode(
            text: &str,
            ty: &Type,
            out: &mut BytesMut,
        ) -> Result<IsNull, EncodeError> {
            match *ty {
                $(Type::$postgres => write_parsed::<$rust>(text, ty, out),)+
                _ => Err(EncodeError::mismatch::<str>(ty)),
            }
        }

        /// The text form of a value.
        pub(super) fn decode(ty: &Type, raw: &[u8]) -> Result<String, DecodeError> {
            match *ty {
                $(Type::$postgres => <$rust>::read(raw).map(|value| print(&value, ty)),)+
                _ => return Err(DecodeError::mismatch::<String>(ty)),
            }
            .ok_or_else(|| DecodeError::malformed::<String>(ty))
        }
    };
}

parsed! {
    BIT => Bit,
    CIDR => Inet,
    DATE => Date,
    INET => Inet,
    INTERVAL => Interval,
    MACADDR => MacAddr,
    MACADDR8 => MacAddr8,
    NUMERIC => Numeric,
    PG_LSN => PgLsn,
    TIME => Time,
    TIMESTAMP => Timestamp,
    TIMESTAMPTZ => TimestampTz,
    TIMETZ => TimeTz,
    UUID => UuidText,
    VARBIT => Bit,
}

fn write_parsed<T: FromStr<Err = ParseError> + Binary>(
    text: &str,
    ty: &Type,
    out: &mut BytesMut,
) -> Result<IsNull, EncodeError> {
    let value: T = text.parse().map_err(|error: ParseError| {
        let reason = format!(
            "the text is not {}; to let the server read it, write $1::text::{}",
            error.expected(),
            describe(ty)
        );
        EncodeError::new::<str>(ty, reason)
    })?;
    value.write(out);
    Ok(IsNull::No)
}

fn print(value: &impl Display, ty: &Type) -> String {
    match *ty {
        // Networks are printed with their prefix even where it is the whole address.
        Type::CIDR => format!("{value:#}"),
        _ => value.to_string(),
    }
}
