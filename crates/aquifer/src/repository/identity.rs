use std::hash::{Hash, Hasher};
use std::ops::RangeInclusive;

use aquifer_core::sql::Bind;
use aquifer_wire::types::{
    Decode, DecodeError, Encode, EncodeError, IsNull, Kind, Raw, Type, Value,
};
use bytes::BytesMut;

use crate::coalesce::compares_exactly;

/// A value in a form that equals another one exactly where PostgreSQL takes both as equal: what rows
/// are told apart by.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Identity {
    /// Of any width.
    Integer(i64),
    /// Text, a label of an enum, and a UUID as it is written.
    Text(String),
    /// The bytes of a value of another type, which is compared by them; the OID of that type.
    Bytes(u32, Vec<u8>),
}

/// Types whose values are equal where their bytes are.
const BY_BYTES: [(&str, Type); 6] = [
    ("bool", Type::BOOL),
    ("bytea", Type::BYTEA),
    ("date", Type::DATE),
    ("time", Type::TIME),
    ("timestamp", Type::TIMESTAMP),
    ("timestamptz", Type::TIMESTAMPTZ),
];

/// In bytes: without hyphens, and with as many as may be, within braces.
const LENGTHS_OF_UUIDS: RangeInclusive<usize> = 32..=41;

impl Identity {
    /// `None` for NULL, and for values of types that can't be told apart by their form.
    pub(super) fn of(value: &Value) -> Option<Self> {
        // Most keys, without being written and read.
        if let Some(number) = value.as_integer() {
            return Some(Self::Integer(number));
        }
        if let Some(text) = value.as_text().filter(|text| !text.contains('\0')) {
            return Some(Self::Text(text.to_owned()));
        }
        if value.is_null() {
            return None;
        }
        let name = value.type_name();
        if let Some((_, ty)) = BY_BYTES.iter().find(|(known, _)| Some(*known) == name) {
            return Some(Self::Bytes(ty.oid(), bytes(value, ty)?));
        }
        match name {
            Some("text") => Self::text(value, &Type::TEXT),
            Some("int2" | "int4" | "int8" | "numeric") => Self::integer(value),
            Some("uuid") => Self::text(value, &Type::UUID),
            // A type of the user's own says what it is by what it can be sent as.
            None => Self::integer(value)
                .or_else(|| Self::text(value, &Type::TEXT))
                .or_else(|| Self::text(value, &Type::UUID)),
            Some(_) => None,
        }
    }

    /// The same as a column of that type holds it; `None` where its values can't be told apart by
    /// their form.
    pub(super) fn in_column(&self, ty: &Type) -> Option<Self> {
        match (ty.kind(), self) {
            (Kind::Domain(base), _) => self.in_column(base),
            // Spaces at the end make no difference.
            (_, Self::Text(text)) if *ty == Type::BPCHAR => {
                Some(Self::Text(text.trim_end_matches(' ').to_owned()))
            }
            _ if compares_exactly(ty) => {
                let mut out = BytesMut::new();
                self.encode(ty, &mut out).ok()?;
                Self::decode(ty, &out).ok()
            }
            _ => None,
        }
    }

    /// Whether it stays as it is where the column is one of UUIDs, whose other spellings are equal.
    pub(super) fn is_as_written(&self) -> bool {
        match self {
            Self::Text(text) if LENGTHS_OF_UUIDS.contains(&text.len()) => {
                let written = self.in_column(&Type::UUID);
                written.is_none_or(|written| written == *self)
            }
            _ => true,
        }
    }

    pub(super) fn text_of(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Equal for texts that some type of PostgreSQL takes as equal: letters and digits, in lower case.
    pub(super) fn likeness(&self) -> Option<String> {
        let text = self.text_of()?;
        let kept = text.chars().filter(|character| character.is_alphanumeric());
        Some(kept.flat_map(char::to_lowercase).collect())
    }

    fn integer(value: &Value) -> Option<Self> {
        let bytes = bytes(value, &Type::INT8)?;
        i64::decode(&Type::INT8, &bytes).ok().map(Self::Integer)
    }

    fn text(value: &Value, ty: &Type) -> Option<Self> {
        let bytes = bytes(value, ty)?;
        String::decode(ty, &bytes).ok().map(Self::Text)
    }
}

fn bytes(value: &Value, ty: &Type) -> Option<Vec<u8>> {
    let mut out = BytesMut::new();
    value.encode(ty, &mut out).ok()?;
    Some(out.to_vec())
}

/// By what differs: what kind it is shows in the length, and seldom matters.
impl Hash for Identity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Integer(number) => state.write_i64(*number),
            Self::Text(text) => state.write(text.as_bytes()),
            Self::Bytes(oid, bytes) => {
                state.write_u32(*oid);
                state.write(bytes);
            }
        }
    }
}

impl Encode for Identity {
    fn encode(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, EncodeError> {
        match self {
            Self::Integer(number) => number.encode(ty, out),
            Self::Text(text) => text.encode(ty, out),
            Self::Bytes(oid, bytes) => match Type::from_oid(*oid) {
                Some(own) => Raw::new(own, Some(bytes.clone())).encode(ty, out),
                None => Err(EncodeError::mismatch::<Self>(ty)),
            },
        }
    }
}

impl Decode<'_> for Identity {
    fn decode(ty: &Type, raw: &[u8]) -> Result<Self, DecodeError> {
        match (ty.kind(), ty) {
            (Kind::Domain(base), _) => Self::decode(base, raw),
            (_, &(Type::INT2 | Type::INT4 | Type::INT8 | Type::OID)) => {
                i64::decode(ty, raw).map(Self::Integer)
            }
            _ if BY_BYTES.iter().any(|(_, known)| known == ty) => {
                Ok(Self::Bytes(ty.oid(), raw.to_vec()))
            }
            _ => String::decode(ty, raw).map(Self::Text),
        }
    }
}

#[cfg(test)]
mod tests {
    use aquifer_wire::types::IntoValue;

    use super::*;

    fn of(value: impl IntoValue) -> Option<Identity> {
        Identity::of(&value.into_value())
    }

    #[test]
    fn values_are_equal_whatever_the_width_of_their_types() {
        assert!(of(7_i16) == of(7_i64) && of(7_u64) == of(7_i32) && of(7_i32).is_some());
        assert!(of(7_i32) != of(8_i32) && of("7") != of(7_i32));
        assert!(of("a") == of("a".to_owned()) && of(Some("a")) == of("a"));
        assert!(of(true) != of(false) && of(None::<i64>).is_none() && of(1.5).is_none());
    }

    #[test]
    fn a_value_of_a_row_equals_the_one_that_was_sent() {
        for (value, ty) in [
            (7_i64.into_value(), Type::INT4),
            ("x".into_value(), Type::VARCHAR),
            (
                "0d3f4cf2-5b5c-4b7a-a4d5-3a2a6f9c1b11".into_value(),
                Type::UUID,
            ),
            (std::time::UNIX_EPOCH.into_value(), Type::TIMESTAMPTZ),
        ] {
            let sent = Identity::of(&value).unwrap();
            let mut raw = BytesMut::new();
            sent.encode(&ty, &mut raw).unwrap();
            assert!(Identity::decode(&ty, &raw).unwrap() == sent, "{ty}");
        }
    }
}
