use std::fmt;

use aquifer_wire::types::{IntoValue, Value};
use ring::hmac::{self, HMAC_SHA256};
use serde_json::{Value as Json, json};

use crate::{Error, ErrorKind};

/// The values of the row behind which a page begins.
pub(crate) type Mark = Vec<Point>;

/// One of these values, in the form that it has in a cursor.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Point {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
}

impl Point {
    pub(super) fn is_null(&self) -> bool {
        *self == Self::Null
    }

    fn to_json(&self) -> Json {
        match self {
            Self::Null => Json::Null,
            Self::Bool(truth) => json!(truth),
            Self::Integer(number) => json!(number),
            // By its bits: as text it might come back as its neighbour.
            Self::Float(number) => json!([number.to_bits()]),
            Self::Text(text) => json!(text),
        }
    }

    fn from_json(json: Json) -> Option<Self> {
        Some(match json {
            Json::Null => Self::Null,
            Json::Bool(truth) => Self::Bool(truth),
            Json::Number(number) => Self::Integer(number.as_i64()?),
            Json::String(text) => Self::Text(text),
            Json::Array(bits) => Self::Float(f64::from_bits(bits.first()?.as_u64()?)),
            Json::Object(_) => return None,
        })
    }
}

impl IntoValue for Point {
    fn into_value(self) -> Value {
        match self {
            Self::Null => Value::NULL,
            Self::Bool(truth) => truth.into_value(),
            Self::Integer(number) => number.into_value(),
            Self::Float(number) => number.into_value(),
            Self::Text(text) => text.into_value(),
        }
    }
}

/// Bytes of a signature.
const SIGNATURE: usize = 32;
/// Longest cursor that is looked at.
const LENGTH_MAX: usize = 16 * 1024;

/// The secret that cursors are signed with, for
/// [`cursor_page`](crate::QueryBuilder::cursor_page).
///
/// All processes that serve the same pages need the same one; with a new one old cursors are refused.
#[derive(Clone)]
pub struct CursorKey(hmac::Key);

impl CursorKey {
    /// A key from a secret of at least 16 bytes; 32 random ones are best.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for a shorter one.
    pub fn new(secret: &[u8]) -> Result<Self, Error> {
        if secret.len() < 16 {
            let text = "the secret for cursors has fewer than 16 bytes; give it 32 random ones";
            return Err(Error::new(ErrorKind::Usage, text));
        }
        Ok(Self(hmac::Key::new(HMAC_SHA256, secret)))
    }

    /// The cursor of that row, good for a query of that shape with these conditions only: they are
    /// signed, and not part of it.
    pub(crate) fn seal(&self, shape: u64, conditions: &[u8], mark: &Mark) -> String {
        let values: Vec<Json> = mark.iter().map(Point::to_json).collect();
        let mut bytes = shape.to_be_bytes().to_vec();
        bytes.extend(Json::Array(values).to_string().into_bytes());
        let signature = hmac::sign(&self.0, &signed(&bytes, conditions));
        bytes.extend(signature.as_ref());
        let digits = b"0123456789abcdef";
        let digit = |nibble: u8| {
            digits
                .get(usize::from(nibble))
                .map_or('0', |digit| char::from(*digit))
        };
        bytes
            .into_iter()
            .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
            .collect()
    }

    pub(crate) fn open(&self, shape: u64, conditions: &[u8], cursor: &str) -> Result<Mark, Error> {
        self.try_open(shape, conditions, cursor).ok_or_else(foreign)
    }

    fn try_open(&self, shape: u64, conditions: &[u8], cursor: &str) -> Option<Mark> {
        if cursor.len() > LENGTH_MAX || !cursor.len().is_multiple_of(2) {
            return None;
        }
        let nibble = |digit: u8| {
            char::from(digit)
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok())
        };
        let bytes: Vec<u8> = cursor
            .as_bytes()
            .chunks(2)
            .map(|pair| match pair {
                [high, low] => Some(nibble(*high)? << 4 | nibble(*low)?),
                _ => None,
            })
            .collect::<Option<_>>()?;
        let (cursor, signature) = bytes.split_at_checked(bytes.len().checked_sub(SIGNATURE)?)?;
        hmac::verify(&self.0, &signed(cursor, conditions), signature).ok()?;
        let (number, values) = cursor.split_first_chunk::<8>()?;
        if u64::from_be_bytes(*number) != shape {
            return None;
        }
        let values: Vec<Json> = serde_json::from_slice(values).ok()?;
        values.into_iter().map(Point::from_json).collect()
    }
}

/// What is signed: the cursor with its length, and the conditions.
fn signed(cursor: &[u8], conditions: &[u8]) -> Vec<u8> {
    let length = u64::try_from(cursor.len()).unwrap_or(u64::MAX);
    [&length.to_be_bytes(), cursor, conditions].concat()
}

/// Shows nothing.
impl fmt::Debug for CursorKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("CursorKey")
    }
}

#[cold]
pub(crate) fn foreign() -> Error {
    Error::new(
        ErrorKind::Usage,
        "the cursor was not made by this query, in this order, with these conditions and this key; \
         begin again without one",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark() -> Mark {
        vec![
            Point::Null,
            Point::Bool(true),
            Point::Integer(i64::MIN),
            Point::Float(0.1 + 0.2),
            Point::Text("2026-01-02 03:04:05+00".into()),
        ]
    }

    #[test]
    fn a_cursor_comes_back_as_it_was() {
        let key = CursorKey::new(&[7; 32]).unwrap();
        assert_eq!(
            key.open(1, b"c", &key.seal(1, b"c", &mark())).unwrap(),
            mark()
        );
    }

    #[test]
    fn what_was_not_signed_here_is_refused() {
        let key = CursorKey::new(&[7; 32]).unwrap();
        let cursor = key.seal(1, b"c", &mark());
        let other = CursorKey::new(&[8; 32]).unwrap();
        assert!(other.open(1, b"c", &cursor).is_err(), "another key");
        assert!(key.open(2, b"c", &cursor).is_err(), "another query");
        assert!(key.open(1, b"d", &cursor).is_err(), "other conditions");
        for at in 0..cursor.len() {
            let mut forged = cursor.clone().into_bytes();
            forged[at] = if forged[at] == b'0' { b'1' } else { b'0' };
            let forged = String::from_utf8(forged).unwrap();
            assert!(key.open(1, b"c", &forged).is_err(), "changed at {at}");
        }
        for text in [
            "",
            "0",
            "zz",
            "é",
            &"0".repeat(64),
            &"0".repeat(LENGTH_MAX + 2),
        ] {
            assert!(key.open(1, b"c", text).is_err(), "{text:.10}");
        }
        assert!(CursorKey::new(b"short").is_err());
    }
}
