//! How to reach a server: libpq connection strings, URLs, `PG*` variables, and a builder.

mod builder;
mod check;
mod environment;
mod keys;
mod modes;
mod pairs;
mod require_auth;
mod target;
mod url;
mod values;

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

pub use self::modes::{
    ChannelBinding, LoadBalanceHosts, SslMode, SslNegotiation, TargetSessionAttrs,
};
pub use self::require_auth::{AuthMethod, RequireAuth};
pub use self::target::Target;
pub(crate) use self::target::{Host, SOCKET_DIRECTORIES};
use crate::Error;
use crate::secret::Secret;
use crate::tls::TlsCache;

/// How to reach a server and how to log in.
///
/// Made from a URL or a key/value string as libpq takes them, with [`with_environment`] also from
/// the `PG*` variables, or by the builder. What is not set has the default that the setter names.
/// `Debug` and [`redacted`](Self::redacted) mask the password; no error repeats the text that was
/// read. Values are checked when they are read, and together by [`targets`](Self::targets), which
/// every opening of a connection begins with.
///
/// A host that starts with `/` is the directory of a unix socket. Without any host that directory
/// is `/var/run/postgresql` or `/tmp`, whichever holds the socket of the port, else the host is
/// `localhost`.
///
/// ```
/// use aquifer_wire::Config;
///
/// let config: Config = "postgresql://app:secret@db1,db2:5433/shop?sslmode=require".parse()?;
/// assert_eq!(config.get("port")?, ",5433");
/// assert_eq!(
///     config.redacted().to_string(),
///     "postgresql://app:***@db1,db2:5433/shop?sslmode=require",
/// );
/// # Ok::<(), aquifer_wire::Error>(())
/// ```
///
/// [`with_environment`]: Self::with_environment
#[derive(Clone, Default)]
pub struct Config {
    pub(crate) settings: Settings,
    pub(crate) tls: TlsCache,
}

/// The values themselves; `None` and empty lists stand for the default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) hosts: Vec<String>,
    pub(crate) addresses: Vec<Option<IpAddr>>,
    pub(crate) ports: Vec<Option<u16>>,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<Secret>,
    pub(crate) passfile: Option<PathBuf>,
    pub(crate) dbname: Option<String>,
    pub(crate) sslmode: Option<SslMode>,
    pub(crate) sslrootcert: Option<RootCertificates>,
    pub(crate) sslcert: Option<PathBuf>,
    pub(crate) sslkey: Option<PathBuf>,
    pub(crate) sslnegotiation: Option<SslNegotiation>,
    pub(crate) channel_binding: Option<ChannelBinding>,
    pub(crate) require_auth: Option<RequireAuth>,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) application_name: Option<String>,
    pub(crate) fallback_application_name: Option<String>,
    pub(crate) options: Option<String>,
    pub(crate) target_session_attrs: Option<TargetSessionAttrs>,
    pub(crate) load_balance_hosts: Option<LoadBalanceHosts>,
    pub(crate) keepalives: Option<bool>,
    pub(crate) keepalives_idle: Option<Duration>,
    pub(crate) keepalives_interval: Option<Duration>,
    pub(crate) keepalives_count: Option<u32>,
    pub(crate) tcp_user_timeout: Option<Duration>,
}

/// Whose signature on a server's certificate is trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RootCertificates {
    /// The authorities that the operating system trusts.
    System,
    /// Those in this PEM file.
    File(PathBuf),
}

impl Config {
    /// Whose rows in which database a session sees, as far as these values decide that.
    #[doc(hidden)]
    #[must_use]
    pub fn scope(&self) -> String {
        let Settings {
            user,
            dbname,
            options,
            ..
        } = &self.settings;
        format!("{user:?}{dbname:?}{options:?}")
    }

    /// A configuration with nothing set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads `input`, a URL or a key/value string or empty, and for each key that it leaves open
    /// the `PG*` variable that libpq has for it.
    ///
    /// `lookup` reads one variable, for example `|name| std::env::var(name).ok()`. Without any
    /// user, `USER` or `LOGNAME` names it. Without any password, the file that `PGPASSFILE` names,
    /// else `.pgpass` in `HOME` if it is there, is asked for it. Variables that ask for protection
    /// which Aquifer does not offer (`PGSSLCRL`, `PGREQUIREPEER`, …) and `PGSERVICE` are refused.
    ///
    /// # Errors
    /// [`Kind::Config`](crate::Kind::Config) names the variable or the key and the remedy.
    pub fn with_environment(
        input: &str,
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, Error> {
        let mut config = Self::new();
        let explicit = read(input)?;
        environment::apply(&mut config, &explicit, lookup)?;
        config.apply(&explicit)?;
        Ok(config)
    }

    /// The configuration as a URL whose password is masked, for logs.
    pub fn redacted(&self) -> impl fmt::Display + '_ {
        url::Redacted(self)
    }

    /// Reads certificates and keys again for the connections opened from now on.
    ///
    /// They are otherwise read once per configuration and shared with its clones.
    pub fn reload_certificates(&self) {
        self.tls.clear();
    }

    fn apply(&mut self, pairs: &[(String, String)]) -> Result<(), Error> {
        for (position, (key, value)) in pairs.iter().enumerate() {
            keys::set(&mut self.settings, key, value, Some(position))?;
        }
        Ok(())
    }
}

/// Keys and values as they are written, in their order.
type Pairs = Vec<(String, String)>;

/// Splits a URL or a key/value string into its settings.
fn read(input: &str) -> Result<Pairs, Error> {
    match url::strip_scheme(input) {
        Some(rest) => url::parse(rest),
        None => pairs::parse(input),
    }
}

impl FromStr for Config {
    type Err = Error;

    fn from_str(input: &str) -> Result<Self, Error> {
        let mut config = Self::new();
        config.apply(&read(input)?)?;
        Ok(config)
    }
}

impl PartialEq for Config {
    fn eq(&self, other: &Self) -> bool {
        self.settings == other.settings
    }
}

impl Eq for Config {}

impl fmt::Debug for Config {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings.fmt(formatter)
    }
}

#[cfg(test)]
mod tests;
