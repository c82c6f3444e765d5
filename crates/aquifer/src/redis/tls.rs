//! TLS with Redis by rustls, with the `ring` provider and never the process-wide default.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

use crate::config::RedisTls;
use crate::{Error, ErrorKind, Retry};

/// Reads the files that `files` names; the host is always verified. Blocks on files.
pub(super) fn connector(files: &RedisTls) -> Result<TlsConnector, Error> {
    let roots = match &files.roots {
        Some(file) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates("sslrootcert", file)? {
                roots.add(certificate).map_err(|error| {
                    unusable("sslrootcert", file, &"it holds no usable certificate")
                        .with_source(error)
                })?;
            }
            roots
        }
        None => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            roots
        }
    };
    if roots.is_empty() {
        return Err(Error::new(
            ErrorKind::Config,
            "no authority is trusted for Redis; install the system's package ca-certificates, or \
             set sslrootcert in redis_url to the PEM file of the authority",
        ));
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::new(ErrorKind::Tls, "no TLS version is usable").with_source(error))?
        .with_root_certificates(roots);
    let config = match (&files.certificate, &files.key) {
        (Some(certificate), Some(key)) => {
            let chain = certificates("sslcert", certificate)?;
            let private = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| unusable("sslkey", key, &error))?;
            builder
                .with_client_auth_cert(chain, private)
                .map_err(|error| {
                    let text = "sslkey in redis_url is not the key of the certificate in sslcert";
                    Error::new(ErrorKind::Config, text).with_source(error)
                })?
        }
        _ => builder.with_no_client_auth(),
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Runs the handshake.
pub(super) async fn handshake(
    connector: &TlsConnector,
    host: &str,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, Error> {
    let name = ServerName::try_from(host.to_owned()).map_err(|error| {
        let text = format!("{host} is no name that a certificate could be for");
        Error::new(ErrorKind::Config, text).with_source(error)
    })?;
    connector
        .connect(name, stream)
        .await
        .map_err(|error| refused(host, error))
}

/// The handshake was not answered.
pub(super) fn silent(host: &str, limit: Duration) -> Error {
    let text = format!(
        "TLS with {host} was not agreed within {limit:?} (connect_timeout): if the server does not \
         speak TLS there, and the network is trusted, begin redis_url with redis://"
    );
    Error::new(ErrorKind::Tls, text).with_retry(Retry::Safe)
}

fn refused(host: &str, error: io::Error) -> Error {
    let cause = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let remedy = match cause {
        Some(rustls::Error::InvalidCertificate(_)) => {
            "its certificate was refused; set sslrootcert in redis_url to the authority that \
             signed it, and check the host's name and the certificate's dates"
        }
        Some(rustls::Error::InvalidMessage(_)) => {
            "it does not speak TLS there; begin redis_url with redis:// if the network is trusted"
        }
        Some(rustls::Error::AlertReceived(_)) => {
            "it refused; if it wants a client certificate, set sslcert and sslkey in redis_url"
        }
        _ => "the connection ended; does the server speak TLS on this port?",
    };
    let text = format!("TLS with {host} was not agreed: {remedy}");
    // An end in the middle may pass; a refusal does not by itself.
    let retry = match cause {
        Some(_) => Retry::Never,
        None => Retry::Safe,
    };
    Error::new(ErrorKind::Tls, text)
        .with_retry(retry)
        .with_source(error)
}

fn certificates(key: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_none) => Err(unusable(key, file, &"it has no certificate in PEM form")),
        Err(error) => Err(unusable(key, file, &error)),
    }
}

fn unusable(key: &str, file: &Path, problem: &dyn std::fmt::Display) -> Error {
    let text = format!(
        "{key} in redis_url can't be used: {}: {problem}",
        file.display()
    );
    Error::new(ErrorKind::Config, text)
}
