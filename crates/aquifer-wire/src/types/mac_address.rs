use std::fmt;
use std::str::FromStr;

use bytes::{BufMut, BytesMut};

use crate::types::ParseError;
use crate::types::codec::{Binary, binary_codec};
use crate::types::reader::exactly;
use crate::types::text::hex_byte;

/// A hardware address: PostgreSQL's `macaddr`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_structs, reason = "an address is its bytes")]
pub struct MacAddr(pub [u8; 6]);

/// A hardware address in the form of EUI-64: PostgreSQL's `macaddr8`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_structs, reason = "an address is its bytes")]
pub struct MacAddr8(pub [u8; 8]);

const EXPECTED: ParseError = ParseError::new("a hardware address such as 08:00:2b:01:02:03");
const EXPECTED_8: ParseError =
    ParseError::new("a hardware address such as 08:00:2b:01:02:03:04:05");

macro_rules! mac_address {
    ($name:ident, $expected:ident, $postgres:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut separator = "";
                for byte in self.0 {
                    write!(formatter, "{separator}{byte:02x}")?;
                    separator = ":";
                }
                Ok(())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = ParseError;

            /// Reads bytes of two hexadecimal digits with `:` or `-` between them.
            fn from_str(text: &str) -> Result<Self, ParseError> {
                let separator = if text.contains(':') { ':' } else { '-' };
                let bytes: Option<Vec<u8>> = text
                    .split(separator)
                    .map(|digits| hex_byte(digits.as_bytes()))
                    .collect();
                bytes
                    .and_then(|bytes| bytes.try_into().ok())
                    .map(Self)
                    .ok_or($expected)
            }
        }

        impl Binary for $name {
            fn read(raw: &[u8]) -> Option<Self> {
                exactly(raw).map(Self)
            }

            fn write(&self, out: &mut BytesMut) {
                out.put_slice(&self.0);
            }
        }

        binary_codec!($name: $postgres);
    };
}

mac_address!(MacAddr, EXPECTED, MACADDR);
mac_address!(MacAddr8, EXPECTED_8, MACADDR8);
