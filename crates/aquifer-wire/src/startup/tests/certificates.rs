//! Authorities and certificates made for one test.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::crypto::ring;
use rustls::server::{ServerConfig, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::files::TemporaryFile;

pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate (or several, in PEM) with its key.
pub(super) struct Identity {
    pub(super) certificate: CertificateDer<'static>,
    pub(super) pem: String,
    pub(super) key: KeyPair,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Dates {
    Now,
    Past,
    Future,
}

impl Authority {
    pub(super) fn new() -> Self {
        Self::named("the authority")
    }

    pub(super) fn named(name: &str) -> Self {
        let mut params = params(&[], Dates::Now);
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, key()).expect("an authority"))
    }

    pub(super) fn file(&self) -> TemporaryFile {
        TemporaryFile::new(&self.0.pem())
    }

    pub(super) fn sign(&self, names: &[&str], dates: Dates) -> Identity {
        let key = key();
        let certificate = params(names, dates).signed_by(&key, &self.0);
        let certificate = certificate.expect("a certificate");
        Identity {
            certificate: certificate.der().clone(),
            pem: certificate.pem(),
            key,
        }
    }
}

impl Identity {
    /// As `openssl req -x509` makes it, which the manual of PostgreSQL shows.
    pub(super) fn self_signed(names: &[&str], dates: Dates) -> Self {
        let key = key();
        let mut params = params(names, dates);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).expect("a certificate");
        Self {
            certificate: certificate.der().clone(),
            pem: certificate.pem(),
            key,
        }
    }

    pub(super) fn file(&self) -> TemporaryFile {
        TemporaryFile::new(&self.pem)
    }

    pub(super) fn key_file(&self) -> TemporaryFile {
        TemporaryFile::new(&self.key.serialize_pem())
    }

    /// A server with this identity; `key` may be that of another one.
    pub(super) fn server(&self, key: &KeyPair, protocols: &[&[u8]]) -> TlsAcceptor {
        let provider = ring::default_provider();
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a private key");
        let key = provider.key_provider.load_private_key(key).expect("a key");
        let identity = CertifiedKey::new(vec![self.certificate.clone()], key);
        let mut config = ServerConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()
            .expect("TLS versions")
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(identity)));
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Arc::new(config).into()
    }

    /// A server that demands a client certificate signed by `clients`.
    pub(super) fn server_for(&self, clients: &Authority) -> TlsAcceptor {
        let provider = Arc::new(ring::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        roots.add(clients.0.der().clone()).expect("an authority");
        let verifier =
            WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider))
                .build()
                .expect("a verifier");
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).expect("a private key");
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("TLS versions")
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![self.certificate.clone()], key)
            .expect("a server");
        Arc::new(config).into()
    }
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

fn params(names: &[&str], dates: Dates) -> CertificateParams {
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).expect("names");
    match dates {
        Dates::Now => {}
        Dates::Past => params.not_after = date_time_ymd(2001, 1, 1),
        Dates::Future => params.not_before = date_time_ymd(2100, 1, 1),
    }
    params
}
