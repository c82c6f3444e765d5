//! TLS by rustls: which certificates are trusted, and how the handshake goes.
//!
//! The `ring` provider is named explicitly; the process-wide default provider of rustls is neither
//! read nor set.

mod certificate;
mod end_point;
mod failure;
mod files;
mod verifier;

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub(crate) use self::end_point::end_point;
pub(crate) use self::failure::{handshake_error, is_certificate_refusal};
use crate::config::{Config, Host, RootCertificates, SslMode, SslNegotiation, Target};
use crate::{Error, Kind};

/// What of a server's certificate is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verification {
    /// Nothing; the channel is encrypted, but to whom is unknown.
    Nothing,
    /// That a trusted authority signed it.
    Authority,
    /// That, and that it is for the host.
    Full,
}

/// The rustls configurations of one [`Config`] and its clones, built when first used.
#[derive(Clone, Default)]
pub(crate) struct TlsCache(Arc<Mutex<Arc<Cells>>>);

#[derive(Default)]
struct Cells {
    nothing: OnceCell<Arc<ClientConfig>>,
    authority: OnceCell<Arc<ClientConfig>>,
    full: OnceCell<Arc<ClientConfig>>,
}

impl TlsCache {
    /// Forgets what was built, so that the next connection reads the files again.
    pub(crate) fn clear(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::default();
    }

    fn cells(&self) -> Arc<Cells> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for TlsCache {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TlsCache")
    }
}

/// All that is needed to begin TLS with one host, also again for a cancel request.
#[derive(Clone)]
pub(crate) struct TlsRoute {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    pub(crate) negotiation: SslNegotiation,
    verification: Verification,
    system_roots: bool,
}

impl Config {
    /// Prepares TLS with `target`, whose socket is connected to `peer`.
    ///
    /// # Cancel safety
    /// Files are read on the blocking pool; dropping the future leaves at most that one read
    /// running, whose result is thrown away.
    pub(crate) async fn tls_route(&self, target: &Target, peer: IpAddr) -> Result<TlsRoute, Error> {
        let verification = self.verification(target);
        let cells = self.tls.cells();
        let cell = match verification {
            Verification::Nothing => &cells.nothing,
            Verification::Authority => &cells.authority,
            Verification::Full => &cells.full,
        };
        let config = cell
            .get_or_try_init(|| self.client_config(verification))
            .await?;
        let system_roots = !matches!(self.settings.sslrootcert, Some(RootCertificates::File(_)));
        Ok(TlsRoute {
            config: Arc::clone(config),
            name: server_name(target, verification, peer)?,
            negotiation: self
                .settings
                .sslnegotiation
                .unwrap_or(SslNegotiation::Postgres),
            verification,
            system_roots,
        })
    }

    fn verification(&self, target: &Target) -> Verification {
        let file = matches!(self.settings.sslrootcert, Some(RootCertificates::File(_)));
        match self.sslmode_for(target) {
            SslMode::VerifyFull => Verification::Full,
            SslMode::VerifyCa => Verification::Authority,
            // As in libpq: whoever names authorities wants them to be asked.
            SslMode::Allow | SslMode::Prefer | SslMode::Require if file => Verification::Authority,
            SslMode::Disable | SslMode::Allow | SslMode::Prefer | SslMode::Require => {
                Verification::Nothing
            }
        }
    }

    async fn client_config(&self, verification: Verification) -> Result<Arc<ClientConfig>, Error> {
        let settings = self.settings.clone();
        let build = move || files::client_config(&settings, verification);
        tokio::task::spawn_blocking(build)
            .await
            .map_err(|error| {
                Error::new(Kind::Tls, "reading certificates failed").with_source(error)
            })?
            .map(Arc::new)
    }
}

impl TlsRoute {
    /// Runs the handshake on a stream whose server is ready for it.
    ///
    /// # Cancel safety
    /// Dropping the future closes the stream.
    pub(crate) async fn handshake(&self, stream: TcpStream) -> Result<TlsStream<TcpStream>, Error> {
        let stream = TlsConnector::from(Arc::clone(&self.config))
            .connect(self.name.clone(), stream)
            .await
            .map_err(|error| self.refused(error))?;
        let direct = self.negotiation == SslNegotiation::Direct;
        if direct && stream.get_ref().1.alpn_protocol() != Some(files::ALPN) {
            return Err(Error::new(
                Kind::Tls,
                "the server did not agree on the PostgreSQL protocol; sslnegotiation=direct needs \
                 PostgreSQL 17",
            ));
        }
        Ok(stream)
    }

    fn refused(&self, error: std::io::Error) -> Error {
        handshake_error(error, self.system_roots)
    }
}

impl fmt::Debug for TlsRoute {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TlsRoute")
            .field("name", &self.name)
            .field("verification", &self.verification)
            .finish_non_exhaustive()
    }
}

fn server_name(
    target: &Target,
    verification: Verification,
    peer: IpAddr,
) -> Result<ServerName<'static>, Error> {
    let Host::Tcp { name, .. } = &target.host else {
        return Ok(ServerName::from(peer));
    };
    match ServerName::try_from(name.clone()) {
        Ok(name) => Ok(name),
        Err(error) if verification == Verification::Full => Err(Error::new(
            Kind::Config,
            "host is no name that a certificate could be for; sslmode=verify-full needs one",
        )
        .with_source(error)),
        // The name is not compared, so any will do; an address sends none in clear text.
        Err(_not_a_name) => Ok(ServerName::from(peer)),
    }
}
