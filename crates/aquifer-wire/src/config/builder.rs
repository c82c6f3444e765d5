//! The builder: typed setters for what connection strings set by key.

use std::path::PathBuf;
use std::time::Duration;

use super::{
    ChannelBinding, Config, LoadBalanceHosts, RequireAuth, RootCertificates, SslMode,
    SslNegotiation, TargetSessionAttrs,
};
use crate::secret::Secret;
use crate::tls::TlsCache;

impl Config {
    /// The one host: a name, an IP address, or the directory of a unix socket.
    #[must_use]
    pub fn host(self, host: impl Into<String>) -> Self {
        self.hosts([host])
    }

    /// The hosts, tried in this order.
    #[must_use]
    pub fn hosts(mut self, hosts: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.settings.hosts = hosts.into_iter().map(Into::into).collect();
        self
    }

    /// The port of every host. Default: 5432.
    #[must_use]
    pub fn port(self, port: u16) -> Self {
        self.ports([port])
    }

    /// One port per host, in the same order.
    #[must_use]
    pub fn ports(mut self, ports: impl IntoIterator<Item = u16>) -> Self {
        self.settings.ports = ports.into_iter().map(Some).collect();
        self
    }

    /// The role to log in as; required.
    #[must_use]
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.settings.user = Some(user.into());
        self
    }

    /// The password. Default: none.
    #[must_use]
    pub fn password(mut self, password: impl Into<Secret>) -> Self {
        let password = password.into();
        self.settings.password = (!password.reveal().is_empty()).then_some(password);
        self
    }

    /// The database. Default: the one that is named as the user.
    #[must_use]
    pub fn dbname(mut self, dbname: impl Into<String>) -> Self {
        self.settings.dbname = Some(dbname.into());
        self
    }

    /// How TLS is used. Default: `verify-full` for hosts that are not local, `prefer` for local
    /// ones (unix sockets, `localhost`, 127.0.0.0/8, `::1`).
    #[must_use]
    pub fn sslmode(mut self, mode: SslMode) -> Self {
        self.settings.sslmode = Some(mode);
        self
    }

    /// A PEM file of the authorities to trust. Default: those of the operating system.
    #[must_use]
    pub fn sslrootcert(mut self, file: impl Into<PathBuf>) -> Self {
        self.settings.sslrootcert = Some(RootCertificates::File(file.into()));
        self.tls = TlsCache::default();
        self
    }

    /// The PEM files of a client certificate (with its chain) and of its key. Default: none.
    #[must_use]
    pub fn client_certificate(
        mut self,
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        self.settings.sslcert = Some(certificate.into());
        self.settings.sslkey = Some(key.into());
        self.tls = TlsCache::default();
        self
    }

    /// How a TLS connection begins. Default: within the PostgreSQL protocol.
    #[must_use]
    pub fn sslnegotiation(mut self, negotiation: SslNegotiation) -> Self {
        self.settings.sslnegotiation = Some(negotiation);
        self.tls = TlsCache::default();
        self
    }

    /// Whether SCRAM is bound to the TLS channel. Default: if the server offers it.
    #[must_use]
    pub fn channel_binding(mut self, binding: ChannelBinding) -> Self {
        self.settings.channel_binding = Some(binding);
        self
    }

    /// Which authentication methods are allowed.
    ///
    /// Default: all, except that a host which is not local gets the password or its MD5 only over
    /// TLS; to send them in clear text all the same, name `password` or `md5` here.
    #[must_use]
    pub fn require_auth(mut self, methods: RequireAuth) -> Self {
        self.settings.require_auth = Some(methods);
        self
    }

    /// How long opening one connection to one host may take in all: name look-up, TCP, TLS,
    /// authentication, until the session is ready. Default: 5 s. Range: 1 ms to 1 h.
    #[must_use]
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.settings.connect_timeout = Some(limit);
        self
    }

    /// What `pg_stat_activity` and the server's log call this session. Default: empty.
    #[must_use]
    pub fn application_name(mut self, name: impl Into<String>) -> Self {
        self.settings.application_name = Some(name.into());
        self
    }

    /// Command-line options for the server's session, such as `-c search_path=app`. Default: none.
    #[must_use]
    pub fn options(mut self, options: impl Into<String>) -> Self {
        self.settings.options = Some(options.into());
        self
    }

    /// Which sessions are acceptable. Default: any.
    #[must_use]
    pub fn target_session_attrs(mut self, attrs: TargetSessionAttrs) -> Self {
        self.settings.target_session_attrs = Some(attrs);
        self
    }

    /// In which order hosts are tried. Default: as written.
    #[must_use]
    pub fn load_balance_hosts(mut self, order: LoadBalanceHosts) -> Self {
        self.settings.load_balance_hosts = Some(order);
        self
    }

    /// Whether TCP keepalive probes find dead peers, and after how much idleness the first is
    /// sent. Default: on, 60 s; then every 10 s, and after 6 unanswered ones the peer is dead.
    #[must_use]
    pub fn keepalives(mut self, idle: Option<Duration>) -> Self {
        self.settings.keepalives = Some(idle.is_some());
        self.settings.keepalives_idle = idle;
        self
    }

    /// How long sent data may stay unacknowledged before the kernel ends the connection, where it
    /// can (Linux). Default: the kernel's. Unit in connection strings: milliseconds.
    #[must_use]
    pub fn tcp_user_timeout(mut self, limit: Duration) -> Self {
        self.settings.tcp_user_timeout = Some(limit);
        self
    }
}
