//! What is needed to reach Redis, checked, and how its URL is shown.

mod url;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use aquifer_core::breaker::Limits;
use aquifer_wire::Secret;

use self::url::parse;
use super::knob;
use super::{Config, PasswordProvider, refusal};
use crate::Error;

const FORM: &str = "its form is redis://user:password@host:6379/0, rediss:// for TLS, \
                    redis+sentinel://user:password@host1:26379,host2:26379/service/0, \
                    redis+cluster://user:password@host1:6379,host2:6379, or \
                    redis+unix:///path?db=0";

/// Settings of the connections to Redis that have been checked.
#[derive(Clone)]
pub(crate) struct RedisSettings {
    pub(crate) target: RedisTarget,
    pub(crate) password: Option<PasswordProvider>,
    /// The deadline of one call.
    pub(crate) timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) check_timeout: Duration,
    pub(crate) keepalive_interval: Duration,
    pub(crate) requests_max: usize,
    pub(crate) attempts_max: u32,
    /// When the breaker before each server opens.
    pub(crate) breaker: Limits,
    /// Whether starting fails without Redis.
    pub(crate) required: bool,
}

/// What a URL of Redis says.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct RedisTarget {
    pub(crate) layout: RedisLayout,
    pub(crate) login: RedisLogin,
    /// That of the sentinels, which have users of their own.
    pub(crate) sentinel_login: RedisLogin,
    pub(crate) database: u16,
    pub(crate) resp3: bool,
    pub(crate) tls: Option<RedisTls>,
}

/// Where the servers are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RedisLayout {
    /// One server.
    Single(RedisAddress),
    /// Sentinels say which server is the master of a service.
    Sentinel {
        sentinels: Vec<RedisAddress>,
        service: String,
    },
    /// The cluster's nodes say which of them holds which slots; these are asked first.
    Cluster(Vec<RedisAddress>),
}

/// Where one server listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum RedisAddress {
    Tcp { host: String, port: u16 },
    Unix(PathBuf),
}

/// A user and its password, either of which may be missing.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct RedisLogin {
    pub(crate) user: Option<String>,
    pub(crate) password: Option<Secret>,
}

/// Files for TLS; what is missing is the system's, or not shown to the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RedisTls {
    pub(crate) roots: Option<PathBuf>,
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
}

/// A target, and the URL that may be shown for it.
type TargetAndText = (RedisTarget, String);

impl Config {
    /// All that is needed to reach Redis, if a URL is set.
    pub(crate) fn check_redis(&self) -> Result<Option<RedisSettings>, Error> {
        let timeout = self.time(&knob::REDIS_TIMEOUT)?;
        let required = self.flag(&knob::REDIS_REQUIRED);
        let Some((target, _shown)) = self.redis_target()? else {
            if required {
                let (_, origin) = self.flag_unchecked(&knob::REDIS_REQUIRED);
                let problem = "is true, but redis_url is not set; set it, or leave this out";
                return Err(refusal(knob::REDIS_REQUIRED.name, &origin, problem));
            }
            return Ok(None);
        };
        Ok(Some(RedisSettings {
            target,
            password: self
                .redis_password
                .as_ref()
                .map(|password| password.value.clone()),
            timeout,
            connect_timeout: self.time(&knob::CONNECT_TIMEOUT)?,
            check_timeout: self.time(&knob::CHECK_TIMEOUT)?,
            keepalive_interval: self.time(&knob::KEEPALIVE_INTERVAL)?,
            requests_max: super::check::size(self.count(&knob::REQUESTS_MAX)?),
            attempts_max: self.count(&knob::ATTEMPTS_MAX)?,
            breaker: self.breaker()?,
            required,
        }))
    }

    /// The URL with its passwords masked, if one is set.
    pub(super) fn redis(&self) -> Result<Option<String>, Error> {
        Ok(self.redis_target()?.map(|(_, shown)| shown))
    }

    fn redis_target(&self) -> Result<Option<TargetAndText>, Error> {
        let Some(url) = self.texts.get(knob::REDIS_URL.name) else {
            return Ok(None);
        };
        parse(url.value.reveal()).map(Some).map_err(|problem| {
            refusal(
                knob::REDIS_URL.name,
                &url.origin,
                format_args!("{problem}; {FORM}"),
            )
        })
    }
}

/// As it is named in errors and events: `host:port`, or the path of a socket.
impl fmt::Display for RedisAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(formatter, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(formatter, "{host}:{port}"),
            Self::Unix(path) => write!(formatter, "{}", path.display()),
        }
    }
}
