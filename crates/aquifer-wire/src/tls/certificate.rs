//! What we need to know of a server's certificate and rustls does not tell. Whether it is to be
//! trusted is never decided here: webpki does that.

use std::ops::RangeInclusive;
use std::time::Duration;

use der::asn1::{AnyRef, GeneralizedTime, ObjectIdentifier, UtcTime};
use der::{Decode as _, Reader, Result, SliceReader, Tag, Tagged as _};

/// `version [0]`, which the first version of X.509 leaves out.
const VERSION: u8 = 0xa0;

/// The parts of a `Certificate` (RFC 5280): what is signed, and how.
pub(super) struct Certificate<'a> {
    signed: &'a [u8],
    pub(super) signature: Algorithm<'a>,
}

/// An `AlgorithmIdentifier`; the parameters are still in their encoding, without tag and length.
pub(super) struct Algorithm<'a> {
    pub(super) oid: ObjectIdentifier,
    pub(super) parameters: Option<&'a [u8]>,
}

impl<'a> Certificate<'a> {
    pub(super) fn from_der(bytes: &'a [u8]) -> Result<Self> {
        let mut reader = SliceReader::new(bytes)?;
        let certificate = reader.sequence(|reader| {
            let signed = AnyRef::decode(reader)?;
            signed.tag().assert_eq(Tag::Sequence)?;
            let signature = Algorithm::decode(reader)?;
            AnyRef::decode(reader)?.tag().assert_eq(Tag::BitString)?;
            Ok::<_, der::Error>(Self {
                signed: signed.value(),
                signature,
            })
        })?;
        reader.finish()?;
        Ok(certificate)
    }

    /// From when until when it is valid, since the start of 1970, both ends included.
    pub(super) fn validity(&self) -> Result<RangeInclusive<Duration>> {
        let mut reader = SliceReader::new(self.signed)?;
        if reader.peek_byte() == Some(VERSION) {
            AnyRef::decode(&mut reader)?;
        }
        for expected in [Tag::Integer, Tag::Sequence, Tag::Sequence] {
            // Serial number, signature algorithm, issuer.
            AnyRef::decode(&mut reader)?.tag().assert_eq(expected)?;
        }
        reader.sequence(|reader| Ok(time(reader)?..=time(reader)?))
    }
}

impl<'a> Algorithm<'a> {
    pub(super) fn from_der(bytes: &'a [u8]) -> Result<Self> {
        let mut reader = SliceReader::new(bytes)?;
        let algorithm = Self::decode(&mut reader)?;
        reader.finish()?;
        Ok(algorithm)
    }

    fn decode(reader: &mut SliceReader<'a>) -> Result<Self> {
        reader.sequence(|reader| {
            let oid = ObjectIdentifier::decode(reader)?;
            let parameters = match reader.is_finished() {
                true => None,
                false => Some(AnyRef::decode(reader)?.value()),
            };
            Ok(Self { oid, parameters })
        })
    }
}

/// Until 2049 the year has two digits, after it four.
fn time(reader: &mut SliceReader<'_>) -> Result<Duration> {
    Ok(match Tag::peek(reader)? {
        Tag::UtcTime => UtcTime::decode(reader)?.to_unix_duration(),
        _ => GeneralizedTime::decode(reader)?.to_unix_duration(),
    })
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn certificate(until: i32) -> Vec<u8> {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_before = date_time_ymd(2020, 2, 1);
        params.not_after = date_time_ymd(until, 2, 1);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn the_dates_are_read_with_two_digits_of_the_year_and_with_four() {
        let start = Duration::from_secs(1_580_515_200);
        for (until, seconds) in [(2030, 1_896_134_400), (2060, 2_842_819_200)] {
            let bytes = certificate(until);
            let validity = Certificate::from_der(&bytes).unwrap().validity().unwrap();
            assert_eq!(validity, start..=Duration::from_secs(seconds), "{until}");
        }
    }

    #[test]
    fn the_algorithm_is_that_of_the_signature() {
        let bytes = certificate(2030);
        let signature = Certificate::from_der(&bytes).unwrap().signature;
        // ECDSA with SHA-256, which has no parameters.
        assert_eq!(signature.oid.to_string(), "1.2.840.10045.4.3.2");
        assert_eq!(signature.parameters, None);
    }

    #[test]
    fn what_is_cut_off_or_goes_on_is_no_certificate() {
        let mut bytes = certificate(2030);
        for length in 0..bytes.len() {
            assert!(Certificate::from_der(&bytes[..length]).is_err(), "{length}");
        }
        bytes.push(0);
        assert!(Certificate::from_der(&bytes).is_err());
    }

    #[test]
    fn no_damaged_byte_makes_it_panic() {
        let bytes = certificate(2030);
        for at in 0..bytes.len() {
            for damage in [0x01, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] ^= damage;
                if let Ok(certificate) = Certificate::from_der(&damaged) {
                    certificate.validity().ok();
                }
            }
        }
    }
}
