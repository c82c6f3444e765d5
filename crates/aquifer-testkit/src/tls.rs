use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519,
    SignatureAlgorithm, date_time_ymd,
};

use crate::scratch::Scratch;

type Issuer = CertifiedIssuer<'static, KeyPair>;

/// Two certificate authorities and what they sign, as PEM files in a private directory.
///
/// ```
/// use aquifer_testkit::{Postgres, ServerCertificate, Tls};
///
/// let tls = Tls::generate();
/// let files = tls.server(ServerCertificate::Valid);
/// let server = Postgres::start_with(Postgres::builder().tls(files.certificate, files.key));
/// let url = format!(
///     "postgresql://postgres@localhost:{}/postgres?sslmode=verify-full&sslrootcert={}",
///     server.port(),
///     tls.roots().display()
/// );
/// # assert!(url.contains("verify-full"));
/// ```
#[derive(Debug)]
pub struct Tls {
    scratch: Scratch,
    trusted: Issuer,
    other: Issuer,
}

/// Which certificate a server shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ServerCertificate {
    /// For `localhost` and 127.0.0.1, by the trusted authority (ECDSA P-256, SHA-256).
    Valid,
    /// As `Valid`, but for the host `elsewhere.example` only.
    WrongHost,
    /// As `Valid`, but over since 2021.
    Expired,
    /// As `Valid`, but by an authority that nobody trusts.
    OtherAuthority,
    /// As `Valid`, but not before 2048.
    NotYet,
    /// As `Valid`, but by an authority that signs with SHA-384: channel binding uses that hash.
    Sha384,
    /// As `Valid`, but by an authority that signs with Ed25519, for which channel binding defines no
    /// hash.
    Ed25519,
}

/// A certificate chain and its key.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CertificateFiles {
    /// The certificate, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM (PKCS#8), readable by its owner only.
    pub key: PathBuf,
}

impl Tls {
    /// Makes both authorities.
    #[must_use]
    pub fn generate() -> Self {
        let tls = Self {
            scratch: Scratch::new("tls"),
            trusted: authority("Aquifer test authority", &PKCS_ECDSA_P256_SHA256),
            other: authority("Another test authority", &PKCS_ECDSA_P256_SHA256),
        };
        write(&tls.file("roots.pem"), &tls.trusted.pem());
        write(&tls.file("other-roots.pem"), &tls.other.pem());
        tls
    }

    /// The certificate of the authority to trust, for `sslrootcert`.
    #[must_use]
    pub fn roots(&self) -> PathBuf {
        self.file("roots.pem")
    }

    /// The certificate of the authority that signed [`ServerCertificate::OtherAuthority`].
    #[must_use]
    pub fn other_roots(&self) -> PathBuf {
        self.file("other-roots.pem")
    }

    /// The roots that fit [`ServerCertificate::Sha384`] and [`ServerCertificate::Ed25519`], which
    /// have an authority each; the trusted roots for all others.
    #[must_use]
    pub fn roots_of(&self, kind: ServerCertificate) -> PathBuf {
        let own = self.file(&format!("{kind:?}-roots.pem"));
        if own.exists() { own } else { self.roots() }
    }

    /// A certificate for a server.
    #[must_use]
    pub fn server(&self, kind: ServerCertificate) -> CertificateFiles {
        let mut params = match kind {
            ServerCertificate::WrongHost => parameters("elsewhere.example", &["elsewhere.example"]),
            _ => parameters("localhost", &["localhost", "127.0.0.1"]),
        };
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        match kind {
            ServerCertificate::Expired => params.not_after = date_time_ymd(2021, 1, 1),
            ServerCertificate::NotYet => params.not_before = date_time_ymd(2048, 1, 1),
            _ => {}
        }
        let name = format!("server-{kind:?}");
        match kind {
            ServerCertificate::OtherAuthority => self.issue(&name, &params, &self.other),
            ServerCertificate::Sha384 => self.issue(
                &name,
                &params,
                &self.own_authority(kind, &PKCS_ECDSA_P384_SHA384),
            ),
            ServerCertificate::Ed25519 => {
                self.issue(&name, &params, &self.own_authority(kind, &PKCS_ED25519))
            }
            _ => self.issue(&name, &params, &self.trusted),
        }
    }

    /// A client certificate for a role, by the trusted authority.
    #[must_use]
    pub fn client(&self, role: &str) -> CertificateFiles {
        self.issue(&format!("client-{role}"), &client(role), &self.trusted)
    }

    /// A client certificate for a role, by the authority that nobody trusts.
    #[must_use]
    pub fn client_of_other_authority(&self, role: &str) -> CertificateFiles {
        self.issue(&format!("other-client-{role}"), &client(role), &self.other)
    }

    fn own_authority(
        &self,
        kind: ServerCertificate,
        algorithm: &'static SignatureAlgorithm,
    ) -> Issuer {
        let issuer = authority(&format!("{kind:?} test authority"), algorithm);
        write(&self.file(&format!("{kind:?}-roots.pem")), &issuer.pem());
        issuer
    }

    fn issue(&self, name: &str, params: &CertificateParams, issuer: &Issuer) -> CertificateFiles {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, issuer).expect("a certificate");
        let files = CertificateFiles {
            certificate: self.file(&format!("{name}.crt")),
            key: self.file(&format!("{name}.key")),
        };
        write(&files.certificate, &certificate.pem());
        write(&files.key, &key.serialize_pem());
        files
    }

    fn file(&self, name: &str) -> PathBuf {
        self.scratch.path.join(name)
    }
}

fn authority(name: &str, algorithm: &'static SignatureAlgorithm) -> Issuer {
    let mut params = parameters(name, &[]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate_for(algorithm).expect("a key");
    Issuer::self_signed(params, key).expect("an authority")
}

fn client(role: &str) -> CertificateParams {
    let mut params = parameters(role, &[]);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

fn parameters(name: &str, hosts: &[&str]) -> CertificateParams {
    let hosts: Vec<String> = hosts.iter().map(|&host| host.to_owned()).collect();
    let mut params = CertificateParams::new(hosts).expect("the names are plain");
    params.distinguished_name.push(DnType::CommonName, name);
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2049, 1, 1);
    params
}

/// Keys must be private from the first moment; a certificate may be asked for twice.
fn write(path: &Path, pem: &str) {
    let new = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)
        .expect("a file in our own directory");
    file.write_all(pem.as_bytes()).expect("written");
    fs::rename(&new, path).expect("renamed");
}
