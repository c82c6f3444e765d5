use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use bytes::{BufMut, BytesMut};

use crate::types::codec::{Binary, binary_codec};
use crate::types::reader::Reader;
use crate::types::{Decode, DecodeError, Encode, EncodeError, IsNull, ParseError, Type};

/// The wire's own names of the families, whatever the operating system calls them.
const FAMILY_V4: u8 = 2;
const FAMILY_V6: u8 = 3;

/// An address with the length of its network's prefix: PostgreSQL's `inet` and `cidr`.
///
/// `Display` writes what PostgreSQL prints for `inet`, and with `{:#}` for `cidr`, which never
/// leaves the prefix out. A `cidr` must have no bit set beyond the prefix; the server checks it.
///
/// ```
/// use aquifer_wire::types::Inet;
///
/// let network: Inet = "10.1.0.0/16".parse()?;
/// assert_eq!(network.prefix(), 16);
/// # Ok::<(), aquifer_wire::types::ParseError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Inet {
    address: IpAddr,
    prefix: u8,
}

const EXPECTED: ParseError =
    ParseError::new("an IP address such as 192.0.2.1, 10.0.0.0/8 or 2001:db8::/32");

impl Inet {
    /// An address in a network with a prefix of so many bits; `None` if it has fewer.
    #[must_use]
    pub fn new(address: IpAddr, prefix: u8) -> Option<Self> {
        (prefix <= bits(address)).then_some(Self { address, prefix })
    }

    /// The address.
    #[must_use]
    pub fn address(self) -> IpAddr {
        self.address
    }

    /// How many bits of the address name its network.
    #[must_use]
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// Whether the prefix is the whole address, so that it names one host.
    #[must_use]
    pub fn is_host(self) -> bool {
        self.prefix == bits(self.address)
    }
}

fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// Whether all but the last four bytes are 0, and not the first two of those as well.
fn is_ipv4_compatible(address: Ipv6Addr) -> bool {
    matches!(address.segments(), [0, 0, 0, 0, 0, 0, seventh, _] if seventh != 0)
}

/// One host: the prefix is the whole address.
impl From<IpAddr> for Inet {
    fn from(address: IpAddr) -> Self {
        Self {
            address,
            prefix: bits(address),
        }
    }
}

impl fmt::Display for Inet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            // Rust follows RFC 5952 as PostgreSQL does, but for the old form of embedded IPv4.
            IpAddr::V6(address) if is_ipv4_compatible(address) => {
                let [.., a, b, c, d] = address.octets();
                write!(formatter, "::{a}.{b}.{c}.{d}")?;
            }
            address => write!(formatter, "{address}")?,
        }
        if self.is_host() && !formatter.alternate() {
            return Ok(());
        }
        write!(formatter, "/{}", self.prefix)
    }
}

impl fmt::Debug for Inet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Inet({self:#})")
    }
}

impl FromStr for Inet {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let parse = |text: &str| text.parse::<IpAddr>().ok();
        match text.split_once('/') {
            Some((address, prefix)) if prefix.bytes().all(|byte| byte.is_ascii_digit()) => {
                parse(address)
                    .zip(prefix.parse().ok())
                    .and_then(|(address, prefix)| Self::new(address, prefix))
            }
            Some(_) => None,
            None => parse(text).map(Self::from),
        }
        .ok_or(EXPECTED)
    }
}

impl Binary for Inet {
    fn read(raw: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(raw);
        let family = reader.u8()?;
        let prefix = reader.u8()?;
        let _is_cidr = reader.u8()?;
        let address = match (family, reader.u8()?) {
            (FAMILY_V4, 4) => IpAddr::V4(Ipv4Addr::from(reader.array::<4>()?)),
            (FAMILY_V6, 16) => IpAddr::V6(Ipv6Addr::from(reader.array::<16>()?)),
            _ => return None,
        };
        reader.finish(Self::new(address, prefix)?)
    }

    fn write(&self, out: &mut BytesMut) {
        let family = match self.address {
            IpAddr::V4(_) => FAMILY_V4,
            IpAddr::V6(_) => FAMILY_V6,
        };
        // The third byte says whether it is a cidr; the server goes by the type instead.
        out.put_slice(&[family, self.prefix, 0, bits(self.address) / 8]);
        match self.address {
            IpAddr::V4(address) => out.put_slice(&address.octets()),
            IpAddr::V6(address) => out.put_slice(&address.octets()),
        }
    }
}

binary_codec!(Inet: INET | CIDR);

impl Encode for IpAddr {
    fn encode(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, EncodeError> {
        Inet::from(*self).encode(ty, out)
    }
}

impl<'a> Decode<'a> for IpAddr {
    fn decode(ty: &Type, raw: &'a [u8]) -> Result<Self, DecodeError> {
        match Inet::decode(ty, raw)? {
            host if host.is_host() => Ok(host.address),
            _ => Err(DecodeError::new::<Self>(
                ty,
                "the value has a network prefix; use Inet",
            )),
        }
    }
}
