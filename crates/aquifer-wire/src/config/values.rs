//! How single values are read and written.

use std::fmt::Display;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use super::{RootCertificates, check};
use crate::{Error, Kind};

/// What the kernel takes for keepalive times.
const SECONDS_MAX: u64 = 32_767;

pub(super) fn text(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.to_owned())
}

pub(super) fn word<T: FromStr<Err = Error>>(value: &str) -> Result<Option<T>, Error> {
    match value {
        "" => Ok(None),
        value => value.parse().map(Some),
    }
}

impl FromStr for RootCertificates {
    type Err = Error;

    fn from_str(value: &str) -> Result<Self, Error> {
        Ok(match value {
            "system" => Self::System,
            path => Self::File(path.into()),
        })
    }
}

/// A list with commas; the empty text is the empty list.
pub(super) fn list<T>(
    value: &str,
    item: impl Fn(&str) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    match value {
        "" => Ok(Vec::new()),
        value => value.split(',').map(|part| item(part.trim())).collect(),
    }
}

pub(super) fn address(item: &str) -> Result<Option<IpAddr>, Error> {
    let wrong = |_error| Error::new(Kind::Config, "hostaddr must be IPv4 or IPv6 addresses");
    text(item)
        .map(|item| item.parse().map_err(wrong))
        .transpose()
}

pub(super) fn port(item: &str) -> Result<Option<u16>, Error> {
    number("port", item, u64::from(u16::MAX))
}

/// A whole number from 1 to `max`; empty for the default.
pub(super) fn number<T: TryFrom<u64>>(
    key: &str,
    value: &str,
    max: u64,
) -> Result<Option<T>, Error> {
    if value.is_empty() {
        return Ok(None);
    }
    // `u64::parse` takes a sign, which has no place here.
    let digits = value.bytes().all(|byte| byte.is_ascii_digit());
    let number = value
        .parse()
        .ok()
        .filter(|number| (1..=max).contains(number) && digits);
    match number.and_then(|number| T::try_from(number).ok()) {
        Some(number) => Ok(Some(number)),
        None => Err(Error::new(
            Kind::Config,
            format!("{key} must be a whole number from 1 to {max}"),
        )),
    }
}

pub(super) fn seconds(key: &str, value: &str) -> Result<Option<Duration>, Error> {
    Ok(number(key, value, SECONDS_MAX)?.map(Duration::from_secs))
}

/// Seconds as libpq takes them, besides with a fraction.
pub(super) fn seconds_with_fraction(key: &str, value: &str) -> Result<Option<Duration>, Error> {
    if value.is_empty() {
        return Ok(None);
    }
    let plain = value
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    let seconds = value.parse().ok().filter(|_seconds: &f64| plain);
    match seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) {
        Some(limit) if check::CONNECT_TIMEOUT.contains(&limit) => Ok(Some(limit)),
        _ => Err(check::connect_timeout_error(key)),
    }
}

pub(super) fn switch(key: &str, value: &str) -> Result<Option<bool>, Error> {
    match value {
        "" => Ok(None),
        "0" => Ok(Some(false)),
        "1" => Ok(Some(true)),
        _ => Err(Error::new(Kind::Config, format!("{key} must be 0 or 1"))),
    }
}

pub(super) fn encoding(value: &str) -> Result<(), Error> {
    let plain = value.to_ascii_lowercase().replace(['-', '_'], "");
    match plain.as_str() {
        "" | "auto" | "utf8" | "unicode" => Ok(()),
        _ => Err(Error::new(
            Kind::Config,
            "client_encoding must be UTF8, which is how Rust holds text",
        )),
    }
}

pub(super) fn gss(value: &str) -> Result<(), Error> {
    match value {
        "" | "disable" | "prefer" => Ok(()),
        _ => Err(Error::new(
            Kind::Config,
            "gssencmode must be disable or prefer: GSSAPI encryption is not supported",
        )),
    }
}

pub(super) fn shown(value: Option<impl Display>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

pub(super) fn join<T: Display>(items: &[Option<T>]) -> String {
    let items: Vec<_> = items.iter().map(|item| shown(item.as_ref())).collect();
    items.join(",")
}
