//! A private PostgreSQL server for one test.

use aquifer_embedded::{Embedded, Shutdown};

use crate::certificates::{Identity, TemporaryFile};

/// A server on a unix socket, where everybody is trusted, and on TCP.
pub(crate) struct Postgres {
    server: Embedded,
    shown: Option<Shown>,
}

/// The files of the certificate that the server shows, and of the authorities that it trusts; it
/// reads them at each start.
struct Shown {
    certificate: TemporaryFile,
    key: TemporaryFile,
    clients: TemporaryFile,
}

impl Postgres {
    /// Starts a server; `hba` says how TCP clients log in.
    pub(crate) fn start(hba: &str) -> Self {
        Self::start_with(hba, None)
    }

    /// Starts a server that offers TLS as `identity`, and asks for client certificates of
    /// `clients`.
    pub(crate) fn start_tls(hba: &str, identity: &Identity, clients: &str) -> Self {
        Self::start_with(hba, Some((identity, clients)))
    }

    fn start_with(hba: &str, tls: Option<(&Identity, &str)>) -> Self {
        let mut builder = Embedded::builder().tcp().setting("log_connections", "on");
        // The server's own last lines would let everybody in who has a password.
        for line in hba.lines().chain(["host all all all reject"]) {
            builder = builder.hba_line(line);
        }
        let Some((identity, clients)) = tls else {
            return Self {
                server: builder.start().unwrap(),
                shown: None,
            };
        };
        let shown = Shown {
            certificate: TemporaryFile::new(&identity.pem),
            key: TemporaryFile::new(&identity.key),
            clients: TemporaryFile::new(clients),
        };
        let builder = builder
            .tls(shown.certificate.path(), shown.key.path())
            .tls_client_roots(shown.clients.path());
        Self {
            server: builder.start().unwrap(),
            shown: Some(shown),
        }
    }

    /// Restarts the server with another certificate.
    pub(crate) fn show(&mut self, identity: &Identity) {
        let shown = self.shown.as_ref().expect("a server with TLS");
        shown.certificate.write(&identity.pem);
        shown.key.write(&identity.key);
        self.server.shut_down(Shutdown::Immediate).unwrap();
        self.server.start_again().unwrap();
    }

    /// The superuser's way in, by the unix socket.
    pub(crate) fn local(&self) -> String {
        let directory = self.server.socket_dir().display();
        let port = self.server.port();
        format!("host={directory} port={port} user=postgres")
    }

    /// The TCP address of the database `postgres`.
    pub(crate) fn tcp(&self) -> String {
        format!("host=127.0.0.1 port={} dbname=postgres", self.port())
    }

    pub(crate) fn port(&self) -> u16 {
        self.server.tcp_port().expect("a server on TCP")
    }

    pub(crate) fn log(&self) -> String {
        self.server.log()
    }
}
