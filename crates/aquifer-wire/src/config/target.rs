//! The hosts of a configuration, one by one, with all defaults filled in.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Config, RootCertificates, SslMode};
use crate::{Error, Kind};

const PORT: u16 = 5432;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Where distributions put the unix socket; the first that holds it is the default host.
pub(crate) const SOCKET_DIRECTORIES: [&str; 2] = ["/var/run/postgresql", "/tmp"];

/// One host of a [`Config`]: where to connect, and by which name to check its certificate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    pub(crate) host: Host,
    pub(crate) port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Host {
    /// A name or an address; with `address` given, the name is not looked up.
    Tcp {
        name: String,
        address: Option<IpAddr>,
    },
    /// The directory of a unix socket.
    Unix(PathBuf),
}

impl Target {
    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether no network lies between: a unix socket, `localhost`, 127.0.0.0/8 or `::1`.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match &self.host {
            Host::Unix(_) => true,
            Host::Tcp {
                address: Some(address),
                ..
            } => is_loopback(*address),
            Host::Tcp { name, .. } => {
                name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(is_loopback)
            }
        }
    }

    /// The file of the unix socket, if it is one.
    pub(crate) fn socket(&self) -> Option<PathBuf> {
        match &self.host {
            Host::Unix(directory) => Some(socket_file(directory, self.port)),
            Host::Tcp { .. } => None,
        }
    }
}

/// The host and port, or the socket's file.
impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Unix(directory) => socket_file(directory, self.port).display().fmt(formatter),
            Host::Tcp { name, .. } if name.contains(':') => {
                write!(formatter, "[{name}]:{}", self.port)
            }
            Host::Tcp { name, .. } => write!(formatter, "{name}:{}", self.port),
        }
    }
}

impl Config {
    /// Checks the settings and lists the hosts in the order in which they are written.
    ///
    /// # Errors
    /// [`Kind::Config`] if a value can't be used or the settings do not fit together; the text
    /// names the key.
    pub fn targets(&self) -> Result<Vec<Target>, Error> {
        self.check()?;
        let settings = &self.settings;
        let (hosts, addresses) = (settings.hosts.len(), settings.addresses.len());
        let count = hosts.max(addresses).max(1);
        if hosts > 0 && addresses > 0 && hosts != addresses {
            return Err(lengths("hostaddr", addresses, hosts));
        }
        if settings.ports.len() > 1 && settings.ports.len() != count {
            return Err(lengths("port", settings.ports.len(), count));
        }
        (0..count).map(|position| self.target(position)).collect()
    }

    /// Takes the hosts apart: one configuration for each of the [`targets`](Self::targets), which leads to
    /// it alone, whatever its role.
    ///
    /// They share the certificates that were read. In which order the addresses of one host are
    /// tried stays as it is.
    ///
    /// # Errors
    /// As [`targets`](Self::targets).
    pub fn hosts_apart(&self) -> Result<Vec<Self>, Error> {
        let targets = self.targets()?;
        let apart = targets.into_iter().enumerate().map(|(position, target)| {
            let mut config = self.clone();
            let settings = &mut config.settings;
            let host = self.settings.hosts.get(position).cloned();
            settings.hosts = host.into_iter().collect();
            let address = self.settings.addresses.get(position).copied();
            settings.addresses = address.into_iter().collect();
            settings.ports = vec![Some(target.port)];
            settings.target_session_attrs = None;
            config
        });
        Ok(apart.collect())
    }

    fn target(&self, position: usize) -> Result<Target, Error> {
        let settings = &self.settings;
        let port = match settings.ports.as_slice() {
            [port] => *port,
            ports => ports.get(position).copied().flatten(),
        };
        let port = port.unwrap_or(PORT);
        if port == 0 {
            return Err(Error::new(Kind::Config, "port must be from 1 to 65535"));
        }
        let name = settings.hosts.get(position).map_or("", String::as_str);
        let address = settings.addresses.get(position).copied().flatten();
        let host = host(name, address, port)?;
        Ok(Target { host, port })
    }

    /// How TLS is used with `target`: as set, else by whether it is local.
    pub(crate) fn sslmode_for(&self, target: &Target) -> SslMode {
        let settings = &self.settings;
        let system = settings.sslrootcert == Some(RootCertificates::System);
        let by_place = if target.is_local() && !system {
            SslMode::Prefer
        } else {
            SslMode::VerifyFull
        };
        settings.sslmode.unwrap_or(by_place)
    }

    pub(crate) fn connect_limit(&self) -> Duration {
        self.settings.connect_timeout.unwrap_or(CONNECT_TIMEOUT)
    }
}

fn host(name: &str, address: Option<IpAddr>, port: u16) -> Result<Host, Error> {
    match (name, address) {
        ("", Some(address)) => Ok(Host::Tcp {
            name: address.to_string(),
            address: Some(address),
        }),
        ("", None) => Ok(default_host(port)),
        (directory, None) if directory.starts_with('/') && !directory.contains('\0') => {
            Ok(Host::Unix(directory.into()))
        }
        (name, address) if name.bytes().all(is_of_a_name) => Ok(Host::Tcp {
            name: name.to_owned(),
            address,
        }),
        // The text is not repeated: after a misplaced `@` it may be part of a password.
        _ => Err(Error::new(
            Kind::Config,
            "host must be a name, an IP address, or an absolute directory of a unix socket; in a \
             URL, `@` in a user or password is written %40 and `/` in a directory %2F",
        )),
    }
}

fn is_of_a_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".-_:%".contains(&byte)
}

fn default_host(port: u16) -> Host {
    let directory = SOCKET_DIRECTORIES
        .into_iter()
        .map(Path::new)
        .find(|directory| socket_file(directory, port).exists());
    match directory {
        Some(directory) => Host::Unix(directory.into()),
        None => Host::Tcp {
            name: "localhost".to_owned(),
            address: None,
        },
    }
}

fn socket_file(directory: &Path, port: u16) -> PathBuf {
    directory.join(format!(".s.PGSQL.{port}"))
}

fn is_loopback(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.octets().first() == Ipv4Addr::LOCALHOST.octets().first(),
        IpAddr::V6(address) => address == Ipv6Addr::LOCALHOST,
    }
}

fn lengths(key: &str, found: usize, hosts: usize) -> Error {
    Error::new(
        Kind::Config,
        format!("{key} has {found} entries for {hosts} hosts; give one per host"),
    )
}
