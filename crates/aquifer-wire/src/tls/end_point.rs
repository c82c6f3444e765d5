//! `tls-server-end-point` (RFC 5929): the hash of the server's certificate, to which SCRAM is bound.

use der::asn1::{AnyRef, ObjectIdentifier};
use der::{Decode as _, SliceReader};
use ring::digest::{self, SHA256, SHA384, SHA512, digest};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::certificate::{Algorithm, Certificate};

/// The binding data of a stream; `None` if the certificate's signature has no hash that the RFC
/// defines (Ed25519 has none), in which case SCRAM goes unbound.
pub(crate) fn end_point(stream: &TlsStream<TcpStream>) -> Option<Vec<u8>> {
    let certificate = stream.get_ref().1.peer_certificates()?.first()?;
    let signature = Certificate::from_der(certificate).ok()?.signature;
    let algorithm = hash_of(signature.oid, signature.parameters)?;
    Some(digest(algorithm, certificate).as_ref().to_vec())
}

/// The hash within a signature algorithm; MD5 and SHA-1 are replaced by SHA-256, as the RFC says.
fn hash_of(
    signature: ObjectIdentifier,
    parameters: Option<&[u8]>,
) -> Option<&'static digest::Algorithm> {
    let name = match signature.to_string().as_str() {
        // RSASSA-PSS names its hash in the parameters.
        "1.2.840.113549.1.1.10" => return hash_of_pss(parameters?),
        // RSA with MD5, SHA-1, SHA-256; ECDSA with SHA-1, SHA-256.
        "1.2.840.113549.1.1.4"
        | "1.2.840.113549.1.1.5"
        | "1.2.840.113549.1.1.11"
        | "1.2.840.10045.4.1"
        | "1.2.840.10045.4.3.2" => &SHA256,
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => &SHA384,
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => &SHA512,
        _ => return None,
    };
    Some(name)
}

/// Reads `hashAlgorithm [0]` of RSASSA-PSS-params (RFC 4055); absent, it is SHA-1.
fn hash_of_pss(parameters: &[u8]) -> Option<&'static digest::Algorithm> {
    const EXPLICIT_0: u8 = 0xa0;
    if parameters.first() != Some(&EXPLICIT_0) {
        return Some(&SHA256);
    }
    let mut reader = SliceReader::new(parameters).ok()?;
    let field = AnyRef::decode(&mut reader).ok()?;
    let hash = Algorithm::from_der(field.value()).ok()?;
    match hash.oid.to_string().as_str() {
        // SHA-1 and SHA-256.
        "1.3.14.3.2.26" | "2.16.840.1.101.3.4.2.1" => Some(&SHA256),
        "2.16.840.1.101.3.4.2.2" => Some(&SHA384),
        "2.16.840.1.101.3.4.2.3" => Some(&SHA512),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use ring::digest::{SHA256, SHA384, SHA512};

    use super::hash_of;

    #[test]
    fn the_hash_is_that_of_the_signature_and_never_weaker_than_sha_256() {
        let cases = [
            ("1.2.840.113549.1.1.5", Some(&SHA256)),
            ("1.2.840.113549.1.1.11", Some(&SHA256)),
            ("1.2.840.10045.4.3.3", Some(&SHA384)),
            ("1.2.840.113549.1.1.13", Some(&SHA512)),
            ("1.3.101.112", None),
            ("1.2.3", None),
        ];
        for (oid, expected) in cases {
            let found = hash_of(oid.parse().unwrap(), None);
            assert_eq!(found, expected, "{oid}");
        }
    }

    #[test]
    fn rsa_pss_names_its_hash_in_the_parameters() {
        let oid = "1.2.840.113549.1.1.10".parse().unwrap();
        // [0] { SEQUENCE { OID 2.16.840.1.101.3.4.2.3, NULL } }, then the mask and the salt length.
        let sha512: &[u8] = &[
            0xa0, 0x0f, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02,
            0x03, 0x05, 0x00, 0xa2, 0x03, 0x02, 0x01, 0x40,
        ];
        assert_eq!(hash_of(oid, Some(sha512)), Some(&SHA512));
        assert_eq!(hash_of(oid, Some(&[])), Some(&SHA256));
        assert_eq!(hash_of(oid, Some(&[0xa0, 0x0f, 0x30])), None);
        assert_eq!(hash_of(oid, None), None);
    }
}
