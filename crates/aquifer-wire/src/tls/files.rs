//! Builds rustls configurations from PEM files and the system's authorities.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::{self, PemObject as _};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::Verification;
use super::verifier::Verifier;
use crate::config::{RootCertificates, Settings, SslNegotiation};
use crate::{Error, Kind};

/// How TLS names the PostgreSQL protocol; servers insist on it when TLS comes first.
pub(super) const ALPN: &[u8] = b"postgresql";

/// Reads what `settings` name. Blocks on files.
pub(super) fn client_config(
    settings: &Settings,
    verification: Verification,
) -> Result<ClientConfig, Error> {
    let provider = Arc::new(ring::default_provider());
    let trusted = match verification {
        Verification::Nothing => Vec::new(),
        Verification::Authority | Verification::Full => authorities(settings)?,
    };
    let verifier = Verifier::new(verification, trusted, &provider)?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::new(Kind::Tls, "no TLS version is usable").with_source(error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match (&settings.sslcert, &settings.sslkey) {
        (Some(certificate), Some(key)) => builder
            .with_client_auth_cert(certificates("sslcert", certificate)?, private_key(key)?)
            .map_err(|error| {
                let text = "sslkey is not the key of the certificate in sslcert";
                Error::new(Kind::Config, text).with_source(error)
            })?,
        _ => builder.with_no_client_auth(),
    };
    if settings.sslnegotiation == Some(SslNegotiation::Direct) {
        config.alpn_protocols = vec![ALPN.to_vec()];
    }
    Ok(config)
}

fn authorities(settings: &Settings) -> Result<Vec<CertificateDer<'static>>, Error> {
    if let Some(RootCertificates::File(file)) = &settings.sslrootcert {
        return certificates("sslrootcert", file);
    }
    let loaded = rustls_native_certs::load_native_certs();
    let (_added, refused) = RootCertStore::empty().add_parsable_certificates(loaded.certs.clone());
    if loaded.certs.len() > refused {
        return Ok(loaded.certs);
    }
    let error = Error::new(
        Kind::Config,
        "the system has no trusted certificates; install its package ca-certificates, or set \
         sslrootcert to the PEM file of the authority that signed the server's certificate",
    );
    Err(match loaded.errors.into_iter().next() {
        Some(cause) => error.with_source(cause),
        None => error,
    })
}

fn certificates(key: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let certificates: Vec<_> = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(|error| unreadable(key, file, error))?;
    if certificates.is_empty() {
        return Err(unreadable(key, file, pem::Error::NoItemsFound));
    }
    Ok(certificates)
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    PrivateKeyDer::from_pem_file(file).map_err(|error| unreadable("sslkey", file, error))
}

fn unreadable(key: &str, file: &Path, error: pem::Error) -> Error {
    let problem = match &error {
        pem::Error::Io(error) => error.to_string(),
        pem::Error::NoItemsFound if key == "sslkey" => {
            "it has no unencrypted private key in PEM form".to_owned()
        }
        pem::Error::NoItemsFound => "it has no certificate in PEM form".to_owned(),
        _ => "it is no valid PEM".to_owned(),
    };
    Error::new(
        Kind::Config,
        format!("{key}: can't use {}: {problem}", file.display()),
    )
    .with_source(error)
}
