use std::fmt;
use std::str::FromStr;

use bytes::{BufMut, BytesMut};

use crate::types::ParseError;
use crate::types::codec::Binary;
use crate::types::reader::exactly;

/// A UUID between its text and its binary form; with the `uuid` feature there is a type for it.
pub(super) struct UuidText([u8; 16]);

const EXPECTED: ParseError = ParseError::new("a UUID such as a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11");

/// Where hyphens stand, counted in bytes before them.
const HYPHENS: [usize; 4] = [4, 6, 8, 10];

impl fmt::Display for UuidText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if HYPHENS.contains(&index) {
                formatter.write_str("-")?;
            }
            write!(formatter, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl FromStr for UuidText {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let text = text
            .strip_prefix('{')
            .and_then(|text| text.strip_suffix('}'))
            .unwrap_or(text);
        let hyphenated = text.contains('-');
        let mut rest = text.as_bytes();
        let mut bytes = [0; 16];
        for (index, byte) in bytes.iter_mut().enumerate() {
            if hyphenated && HYPHENS.contains(&index) {
                rest = rest.strip_prefix(b"-").ok_or(EXPECTED)?;
            }
            let (digits, after) = rest.split_at_checked(2).ok_or(EXPECTED)?;
            *byte = hex_byte(digits).ok_or(EXPECTED)?;
            rest = after;
        }
        if rest.is_empty() {
            Ok(Self(bytes))
        } else {
            Err(EXPECTED)
        }
    }
}

/// The byte of two hexadecimal digits.
pub(crate) fn hex_byte(digits: &[u8]) -> Option<u8> {
    let [high, low] = digits else {
        return None;
    };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()
}

impl Binary for UuidText {
    fn read(raw: &[u8]) -> Option<Self> {
        exactly(raw).map(Self)
    }

    fn write(&self, out: &mut BytesMut) {
        out.put_slice(&self.0);
    }
}
