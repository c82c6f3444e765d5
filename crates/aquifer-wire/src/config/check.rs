//! What no single setting can tell: whether the settings fit together.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::{ChannelBinding, Config, RootCertificates, Settings, SslMode, SslNegotiation};
use crate::{Error, Kind};

pub(super) const CONNECT_TIMEOUT: RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(3600);

pub(super) fn connect_timeout_error(key: &str) -> Error {
    Error::new(
        Kind::Config,
        format!("{key} must be 0.001 to 3600 s; to wait without limit is not offered"),
    )
}

impl Config {
    /// Refuses values that the builder took as they came, and combinations that can't work.
    pub(super) fn check(&self) -> Result<(), Error> {
        let settings = &self.settings;
        if settings.user.as_deref().unwrap_or_default().is_empty() {
            return Err(Error::new(
                Kind::Config,
                "user is not set; give it in the URL, as `user=…`, in PGUSER or in USER",
            ));
        }
        if let Some(key) = nul(settings) {
            return Err(Error::new(
                Kind::Config,
                format!("{key} has a NUL character in it, which no setting may have"),
            ));
        }
        let timeout = settings.connect_timeout;
        if timeout.is_some_and(|timeout| !CONNECT_TIMEOUT.contains(&timeout)) {
            return Err(connect_timeout_error("connect_timeout"));
        }
        tls(settings).map_err(|problem| Error::new(Kind::Config, problem))
    }
}

fn nul(settings: &Settings) -> Option<&'static str> {
    let texts = [
        ("user", settings.user.as_deref()),
        (
            "password",
            settings.password.as_ref().map(|secret| secret.reveal()),
        ),
        ("dbname", settings.dbname.as_deref()),
        ("application_name", settings.application_name.as_deref()),
        ("options", settings.options.as_deref()),
    ];
    texts
        .into_iter()
        .find(|(_key, text)| text.is_some_and(|text| text.contains('\0')))
        .map(|(key, _text)| key)
}

/// Refuses settings that would weaken TLS without saying so.
fn tls(settings: &Settings) -> Result<(), &'static str> {
    // Not set, a mode is the default of the host, and that is never below `prefer`.
    let mode = settings.sslmode;
    let optional = matches!(
        mode,
        Some(SslMode::Disable | SslMode::Allow | SslMode::Prefer)
    );
    if settings.sslcert.is_some() != settings.sslkey.is_some() {
        return Err("sslcert and sslkey belong together: set both or neither");
    }
    if settings.sslrootcert == Some(RootCertificates::System)
        && mode.is_some_and(|mode| mode != SslMode::VerifyFull)
    {
        return Err(
            "sslrootcert=system needs sslmode=verify-full: anybody can have a certificate \
             that the system trusts",
        );
    }
    if settings.sslnegotiation == Some(SslNegotiation::Direct) && (optional || mode.is_none()) {
        return Err("sslnegotiation=direct needs sslmode=require, verify-ca or verify-full");
    }
    if settings.channel_binding == Some(ChannelBinding::Require) && mode == Some(SslMode::Disable) {
        return Err("channel_binding=require needs TLS, but sslmode=disable");
    }
    Ok(())
}
