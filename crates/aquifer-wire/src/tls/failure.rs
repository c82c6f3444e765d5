//! Says why TLS failed, and what can be done about it.

use std::io;

use rustls::CertificateError::{
    self, BadSignature, Expired, ExpiredContext, NotValidForName, NotValidForNameContext,
    NotValidYet, NotValidYetContext, UnknownIssuer,
};

use crate::{Error, Kind};

/// Turns what the handshake, or a later read or write, failed with into an error of ours.
pub(crate) fn handshake_error(error: io::Error, system_roots: bool) -> Error {
    let text = match cause(&error) {
        Some(rustls::Error::InvalidCertificate(why)) => certificate_text(why, system_roots),
        Some(rustls::Error::AlertReceived(alert)) => {
            format!("the server ended TLS with the alert {alert:?}")
        }
        Some(_) => "TLS could not be agreed with the server".to_owned(),
        None => format!("the connection broke during the TLS handshake: {error}"),
    };
    Error::new(Kind::Tls, text).with_source(error)
}

/// Whether it failed because the server's certificate was refused by this side.
pub(crate) fn is_certificate_refusal(error: &Error) -> bool {
    let source = std::error::Error::source(error);
    let cause = source
        .and_then(|source| source.downcast_ref())
        .and_then(cause);
    matches!(cause, Some(rustls::Error::InvalidCertificate(_)))
}

fn cause(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

fn certificate_text(why: &CertificateError, system_roots: bool) -> String {
    match why {
        UnknownIssuer if system_roots => {
            "the server's certificate is signed by an authority that the system does not trust; \
             set sslrootcert to the PEM file of that authority"
                .to_owned()
        }
        UnknownIssuer => "the server's certificate is not signed by an authority in sslrootcert; \
                          add the PEM of that authority to the file"
            .to_owned(),
        BadSignature => "a signature of the server's certificate is wrong: sslrootcert has an \
                         authority of the right name with another key, or the server does not hold \
                         the certificate's key"
            .to_owned(),
        Expired | ExpiredContext { .. } => "the server's certificate has expired".to_owned(),
        NotValidYet | NotValidYetContext { .. } => {
            "the server's certificate is not valid yet; compare the clocks".to_owned()
        }
        NotValidForNameContext {
            expected,
            presented,
        } => format!(
            "the server's certificate is not for the host {}, but for {}; connect by such a name, \
             or accept any name with sslmode=verify-ca",
            expected.to_str(),
            names(presented)
        ),
        NotValidForName => "the server's certificate is not for the host; connect by a name that \
                            it has, or accept any name with sslmode=verify-ca"
            .to_owned(),
        // webpki's own errors are not visible through rustls, except as text.
        other if other.to_string().contains("CaUsedAsEndEntity") => {
            "the server's certificate is that of an authority itself; to trust it, set sslrootcert \
             to a PEM file that has this very certificate"
                .to_owned()
        }
        other => format!("the server's certificate was refused: {other}"),
    }
}

/// The names of a certificate, which rustls writes as `DnsName("db")` and `IpAddress(::1)`.
fn names(presented: &[String]) -> String {
    let bare = |name: &String| {
        let inner = name
            .split_once('(')
            .and_then(|(_kind, rest)| rest.strip_suffix(')'));
        inner.unwrap_or(name).trim_matches('"').to_owned()
    };
    let names: Vec<_> = presented.iter().map(bare).collect();
    match names.as_slice() {
        [] => "no name at all".to_owned(),
        names => names.join(", "),
    }
}
