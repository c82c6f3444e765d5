//! Text, which is also how enum labels, JSON, XML, UUIDs and many other types may be sent and read.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::{BufMut, BytesMut};

use crate::types::catalog::is_extension;
use crate::types::encode::put_bytes;
use crate::types::{Decode, DecodeError, Encode, EncodeError, IsNull, Kind, Type};

mod parsed;
mod uuid;

pub(crate) use self::uuid::hex_byte;

/// How a type that consists of text stands on the wire.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    /// The text.
    Plain,
    /// A version byte, 1, and the text.
    Versioned,
    /// One byte: `"char"`.
    Byte,
}

const VERSION: u8 = 1;

fn form(ty: &Type) -> Option<Form> {
    match *ty {
        Type::TEXT
        | Type::VARCHAR
        | Type::BPCHAR
        | Type::NAME
        | Type::UNKNOWN
        | Type::XML
        | Type::JSON
        | Type::CSTRING
        | Type::REFCURSOR => Some(Form::Plain),
        Type::JSONB | Type::JSONPATH => Some(Form::Versioned),
        Type::CHAR => Some(Form::Byte),
        _ if matches!(ty.kind(), Kind::Enum(_)) || is_extension(ty, "citext") => Some(Form::Plain),
        _ if ["ltree", "lquery", "ltxtquery"]
            .iter()
            .any(|name| is_extension(ty, name)) =>
        {
            Some(Form::Versioned)
        }
        _ => None,
    }
}

/// Text goes into every type that consists of text, and into those whose text form is read here:
/// uuid, numeric, dates and times, intervals, network addresses, bit strings and pg_lsn.
///
/// Labels of an enum are not checked here, since labels may be added at any time.
impl Encode for str {
    fn encode(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, EncodeError> {
        let Some(form) = form(ty) else {
            return parsed::encode(self, ty, out);
        };
        if form == Form::Byte {
            out.put_u8(char_byte(self, ty)?);
            return Ok(IsNull::No);
        }
        if self.as_bytes().contains(&0) {
            return Err(EncodeError::new::<Self>(
                ty,
                "the text contains a NUL, which PostgreSQL's text types can't hold",
            ));
        }
        if form == Form::Versioned {
            out.put_u8(VERSION);
        }
        put_bytes::<Self>(self.as_bytes(), ty, out)
    }
}

/// The byte that a `"char"` holds; 0 is its empty text.
fn char_byte(text: &str, ty: &Type) -> Result<u8, EncodeError> {
    match text.as_bytes() {
        [] => Ok(0),
        [byte] if *byte != 0 => Ok(*byte),
        _ => Err(EncodeError::new::<str>(
            ty,
            "the type holds one byte other than NUL",
        )),
    }
}

impl Encode for String {
    fn encode(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, EncodeError> {
        self.as_str().encode(ty, out)
    }
}

impl Encode for char {
    fn encode(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, EncodeError> {
        self.encode_utf8(&mut [0; 4]).encode(ty, out)
    }
}

/// Borrowed from the row, for the types that consist of text.
impl<'a> Decode<'a> for &'a str {
    fn decode(ty: &Type, raw: &'a [u8]) -> Result<Self, DecodeError> {
        match form(ty) {
            Some(form) => borrow::<Self>(form, ty, raw),
            None if parsed::is_printed(ty) => Err(DecodeError::new::<Self>(
                ty,
                "its binary form is not text; read it as String",
            )),
            None => Err(DecodeError::mismatch::<Self>(ty)),
        }
    }
}

/// The text within `raw`, for an error that names `T`.
fn borrow<'a, T>(form: Form, ty: &Type, raw: &'a [u8]) -> Result<&'a str, DecodeError> {
    let text = unwrapped::<T>(form, ty, raw)?;
    std::str::from_utf8(text).map_err(|_not_utf8| not_utf8::<T>(ty))
}

/// The bytes of the text within `raw`.
fn unwrapped<'a, T>(form: Form, ty: &Type, raw: &'a [u8]) -> Result<&'a [u8], DecodeError> {
    match (form, raw) {
        (Form::Plain, text) | (Form::Versioned, [VERSION, text @ ..]) => Ok(text),
        (Form::Byte, [0]) => Ok(&[]),
        (Form::Byte, [_]) => Ok(raw),
        _ => Err(DecodeError::malformed::<T>(ty)),
    }
}

#[cold]
fn not_utf8<T>(ty: &Type) -> DecodeError {
    DecodeError::new::<T>(ty, "the text is not UTF-8; client_encoding must be UTF8")
}

/// Besides the types that consist of text, those whose text form is written here, exactly as
/// PostgreSQL prints them with ISO `DateStyle`, postgres `IntervalStyle` and `TimeZone` UTC.
impl<'a> Decode<'a> for String {
    fn decode(ty: &Type, raw: &'a [u8]) -> Result<Self, DecodeError> {
        match form(ty) {
            Some(form) => {
                // Copied first: an allocation is aligned, and aligned text is checked by words.
                let text = unwrapped::<Self>(form, ty, raw)?.to_vec();
                Self::from_utf8(text).map_err(|_not_utf8| not_utf8::<Self>(ty))
            }
            None => parsed::decode(ty, raw),
        }
    }
}

macro_rules! owned_text {
    ($($rust:ty),+) => {$(
        impl<'a> Decode<'a> for $rust {
            fn decode(ty: &Type, raw: &'a [u8]) -> Result<Self, DecodeError> {
                String::decode(ty, raw).map(Self::from)
            }
        }
    )+};
}

owned_text!(Box<str>, Arc<str>);

impl<'a> Decode<'a> for Cow<'a, str> {
    fn decode(ty: &Type, raw: &'a [u8]) -> Result<Self, DecodeError> {
        match form(ty) {
            Some(form) => borrow::<Self>(form, ty, raw).map(Cow::Borrowed),
            None => parsed::decode(ty, raw).map(Cow::Owned),
        }
    }
}

impl<'a> Decode<'a> for char {
    fn decode(ty: &Type, raw: &'a [u8]) -> Result<Self, DecodeError> {
        let Some(form) = form(ty) else {
            return Err(DecodeError::mismatch::<Self>(ty));
        };
        let mut characters = borrow::<Self>(form, ty, raw)?.chars();
        match (characters.next(), characters.next()) {
            (Some(character), None) => Ok(character),
            _ => Err(DecodeError::new::<Self>(
                ty,
                "the text is not one character",
            )),
        }
    }
}
