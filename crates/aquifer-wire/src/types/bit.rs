use std::fmt;
use std::str::FromStr;

use bytes::{BufMut, BytesMut};

use crate::types::ParseError;
use crate::types::codec::{Binary, binary_codec};
use crate::types::reader::Reader;

/// A string of bits: PostgreSQL's `bit` and `bit varying`.
///
/// ```
/// use aquifer_wire::types::Bit;
///
/// let bits: Bit = "101".parse()?;
/// assert_eq!(bits.iter().collect::<Vec<_>>(), [true, false, true]);
/// # Ok::<(), aquifer_wire::types::ParseError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Bit {
    length: i32,
    /// The first bit is the highest of the first byte; those after the last are 0.
    bytes: Vec<u8>,
}

const EXPECTED: ParseError = ParseError::new("a string of the digits 0 and 1");

impl Bit {
    /// The first `length` bits of `bytes`, each byte from its highest bit; `None` if there are not
    /// exactly as many bytes as that takes, or more than 2³¹ − 1 bits. Bits after the last are
    /// cleared.
    #[must_use]
    pub fn from_bytes(length: usize, mut bytes: Vec<u8>) -> Option<Self> {
        if bytes.len() != length.div_ceil(8) {
            return None;
        }
        if let Some(last) = bytes.last_mut() {
            *last &= match length % 8 {
                0 => 0xFF,
                used => 0xFF << (8 - used),
            };
        }
        Some(Self {
            length: length.try_into().ok()?,
            bytes,
        })
    }

    /// How many bits there are.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::try_from(self.length).unwrap_or_default()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The bits, eight to a byte from its highest; the last byte is filled up with 0.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bits in order.
    pub fn iter(&self) -> impl Iterator<Item = bool> + '_ {
        self.bytes
            .iter()
            .flat_map(|byte| (0..8).rev().map(move |shift| byte >> shift & 1 == 1))
            .take(self.len())
    }
}

impl fmt::Display for Bit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter()
            .try_for_each(|bit| formatter.write_str(if bit { "1" } else { "0" }))
    }
}

impl fmt::Debug for Bit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Bit({self})")
    }
}

impl FromStr for Bit {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut bytes = vec![0; text.len().div_ceil(8)];
        for (digits, byte) in text.as_bytes().chunks(8).zip(&mut bytes) {
            for (index, digit) in digits.iter().enumerate() {
                match digit {
                    b'0' => {}
                    b'1' => *byte |= 0x80 >> index,
                    _ => return Err(EXPECTED),
                }
            }
        }
        Self::from_bytes(text.len(), bytes).ok_or(EXPECTED)
    }
}

impl Binary for Bit {
    fn read(raw: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(raw);
        let length = usize::try_from(reader.i32()?).ok()?;
        Self::from_bytes(length, reader.rest().to_vec())
    }

    fn write(&self, out: &mut BytesMut) {
        out.put_i32(self.length);
        out.put_slice(&self.bytes);
    }
}

binary_codec!(Bit: BIT | VARBIT);
