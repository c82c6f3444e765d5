//! Values without a server: round trips, PostgreSQL's own bytes, hostile bytes, ranges and errors.

use bytes::BytesMut;
use proptest::prelude::ProptestConfig;

use crate::types::{Decode, DecodeError, Encode, EncodeError, IsNull, Kind, Type};

mod arrays;
mod composites;
mod errors;
mod fixtures;
mod foreign;
mod hostile;
mod numbers;
mod params;
mod printed;
mod round_trip;
mod strategies;
mod text;

/// Few enough that the suite stays quick in debug builds.
fn cases() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(256)
    }
}

/// The bytes of a value, or `None` for NULL.
fn try_encode(value: &dyn Encode, ty: &Type) -> Result<Option<Vec<u8>>, EncodeError> {
    let mut out = BytesMut::new();
    Ok(match value.encode(ty, &mut out)? {
        IsNull::Yes => None,
        IsNull::No => Some(out.to_vec()),
    })
}

fn encode(value: &dyn Encode, ty: &Type) -> Vec<u8> {
    try_encode(value, ty).unwrap().expect("not NULL")
}

/// What comes back of a value that was sent as `ty`.
fn back<T: Encode + for<'a> Decode<'a>>(value: &T, ty: &Type) -> Result<T, DecodeError> {
    T::decode_nullable(ty, try_encode(value, ty).unwrap().as_deref())
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .map(|digit| u8::try_from(digit.to_digit(16).expect("a hexadecimal digit")).unwrap())
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

/// A type that the server's catalog would have to tell about.
fn custom(name: &str, kind: Kind) -> Type {
    Type::new(name.into(), 70_000, kind, "public".into())
}

fn domain(base: Type) -> Type {
    custom("domain", Kind::Domain(base))
}

fn mood() -> Type {
    let labels = ["sad", "very happy"].map(String::from).to_vec();
    custom("mood", Kind::Enum(labels))
}
