//! Settings by the names that libpq gives them: one line per key for writing, one for reading.

use std::time::Duration;

use super::values::{
    address, encoding, gss, join, list, number, port, seconds, seconds_with_fraction, shown,
    switch, text, word,
};
use super::{Config, RootCertificates, Settings};
use crate::secret::Secret;
use crate::tls::TlsCache;
use crate::{Error, Kind};

/// Every key that is understood, in the order in which [`Config::redacted`] prints them.
const KEYS: [&str; 27] = [
    "host",
    "hostaddr",
    "port",
    "user",
    "password",
    "passfile",
    "dbname",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "sslnegotiation",
    "channel_binding",
    "require_auth",
    "connect_timeout",
    "application_name",
    "fallback_application_name",
    "options",
    "target_session_attrs",
    "load_balance_hosts",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
    "client_encoding",
    "gssencmode",
];

/// Keys of libpq (and of JDBC) that are refused, each with what to do instead.
const REFUSED: [(&str, &str); 8] = [
    (
        "service",
        "service files are not read; write the settings out",
    ),
    (
        "ssl",
        "write sslmode=verify-full, or sslmode=require for TLS without verification",
    ),
    (
        "sslpassword",
        "encrypted keys are not read; store the key without a passphrase",
    ),
    ("sslcrl", "revocation lists are not read"),
    ("sslcrldir", "revocation lists are not read"),
    (
        "requirepeer",
        "the owner of a unix socket is not checked; use a directory that only it can write",
    ),
    ("replication", "replication connections are not supported"),
    ("krbsrvname", "Kerberos is not supported"),
];

/// No unacknowledged data waits longer than this: about nine hours.
const MILLISECONDS_MAX: u64 = 32_767_000;

impl Config {
    /// The keys that connection strings, [`set`](Self::set) and [`get`](Self::get) know.
    #[must_use]
    pub fn keys() -> &'static [&'static str] {
        &KEYS
    }

    /// Sets one value by its libpq key; an empty value goes back to the default.
    ///
    /// # Errors
    /// [`Kind::Config`] if the key is unknown or the value can't be used; the text names the key
    /// and what it takes, and never repeats the value.
    pub fn set(mut self, key: &str, value: &str) -> Result<Self, Error> {
        set(&mut self.settings, key, value, None)?;
        self.tls = TlsCache::default();
        Ok(self)
    }

    /// One value as a connection string would write it; empty if it is not set, and `***` for a
    /// password.
    ///
    /// # Errors
    /// [`Kind::Config`] if the key is unknown.
    pub fn get(&self, key: &str) -> Result<String, Error> {
        get(&self.settings, key).ok_or_else(|| unknown(None))
    }
}

/// Sets one value; `position` is that of the setting in the text it was read from.
pub(super) fn set(
    settings: &mut Settings,
    key: &str,
    value: &str,
    position: Option<usize>,
) -> Result<(), Error> {
    if let Some((key, remedy)) = REFUSED.into_iter().find(|(refused, _)| *refused == key) {
        return Err(Error::new(
            Kind::Config,
            format!("{key} is not supported: {remedy}"),
        ));
    }
    let Some(key) = KEYS.into_iter().find(|known| *known == key) else {
        return Err(unknown(position));
    };
    if value.contains('\0') {
        return Err(Error::new(
            Kind::Config,
            format!("{key} has a NUL character in it, which no setting may have"),
        ));
    }
    match key {
        "host" => settings.hosts = list(value, |host| Ok(host.to_owned()))?,
        "hostaddr" => settings.addresses = list(value, address)?,
        "port" => settings.ports = list(value, port)?,
        "user" => settings.user = text(value),
        "password" => settings.password = text(value).map(Secret::new),
        "passfile" => settings.passfile = text(value).map(Into::into),
        "dbname" => settings.dbname = text(value),
        "sslmode" => settings.sslmode = word(value)?,
        "sslrootcert" => settings.sslrootcert = word(value)?,
        "sslcert" => settings.sslcert = text(value).map(Into::into),
        "sslkey" => settings.sslkey = text(value).map(Into::into),
        "sslnegotiation" => settings.sslnegotiation = word(value)?,
        "channel_binding" => settings.channel_binding = word(value)?,
        "require_auth" => settings.require_auth = word(value)?,
        "connect_timeout" => settings.connect_timeout = seconds_with_fraction(key, value)?,
        "application_name" => settings.application_name = text(value),
        "fallback_application_name" => settings.fallback_application_name = text(value),
        "options" => settings.options = text(value),
        "target_session_attrs" => settings.target_session_attrs = word(value)?,
        "load_balance_hosts" => settings.load_balance_hosts = word(value)?,
        "keepalives" => settings.keepalives = switch(key, value)?,
        "keepalives_idle" => settings.keepalives_idle = seconds(key, value)?,
        "keepalives_interval" => settings.keepalives_interval = seconds(key, value)?,
        "keepalives_count" => settings.keepalives_count = number(key, value, 127)?,
        "tcp_user_timeout" => {
            settings.tcp_user_timeout =
                number(key, value, MILLISECONDS_MAX)?.map(Duration::from_millis);
        }
        "client_encoding" => encoding(value)?,
        _ => gss(value)?,
    }
    Ok(())
}

fn get(settings: &Settings, key: &str) -> Option<String> {
    let value = match key {
        "host" => settings.hosts.join(","),
        "hostaddr" => join(&settings.addresses),
        "port" => join(&settings.ports),
        "user" => settings.user.clone().unwrap_or_default(),
        "password" => shown(settings.password.as_ref().map(|_secret| "***")),
        "passfile" => shown(settings.passfile.as_ref().map(|path| path.display())),
        "dbname" => settings.dbname.clone().unwrap_or_default(),
        "sslmode" => shown(settings.sslmode.map(super::SslMode::as_str)),
        "sslrootcert" => match &settings.sslrootcert {
            None => String::new(),
            Some(RootCertificates::System) => "system".to_owned(),
            Some(RootCertificates::File(path)) => path.display().to_string(),
        },
        "sslcert" => shown(settings.sslcert.as_ref().map(|path| path.display())),
        "sslkey" => shown(settings.sslkey.as_ref().map(|path| path.display())),
        "sslnegotiation" => shown(settings.sslnegotiation.map(super::SslNegotiation::as_str)),
        "channel_binding" => shown(settings.channel_binding.map(super::ChannelBinding::as_str)),
        "require_auth" => shown(settings.require_auth.as_ref()),
        "connect_timeout" => shown(settings.connect_timeout.map(|limit| limit.as_secs_f64())),
        "application_name" => settings.application_name.clone().unwrap_or_default(),
        "fallback_application_name" => shown(settings.fallback_application_name.as_ref()),
        "options" => settings.options.clone().unwrap_or_default(),
        "target_session_attrs" => shown(
            settings
                .target_session_attrs
                .map(super::TargetSessionAttrs::as_str),
        ),
        "load_balance_hosts" => shown(
            settings
                .load_balance_hosts
                .map(super::LoadBalanceHosts::as_str),
        ),
        "keepalives" => shown(settings.keepalives.map(u8::from)),
        "keepalives_idle" => shown(settings.keepalives_idle.map(|time| time.as_secs())),
        "keepalives_interval" => shown(settings.keepalives_interval.map(|time| time.as_secs())),
        "keepalives_count" => shown(settings.keepalives_count),
        "tcp_user_timeout" => shown(settings.tcp_user_timeout.map(|time| time.as_millis())),
        "client_encoding" | "gssencmode" => String::new(),
        _ => return None,
    };
    Some(value)
}

fn unknown(position: Option<usize>) -> Error {
    // The key itself is not repeated: after a misplaced quote it may be part of a password.
    let which = position.map_or_else(String::new, |position| format!(" number {}", position + 1));
    Error::new(
        Kind::Config,
        format!("setting{which} is unknown; known are: {}", KEYS.join(", ")),
    )
}
