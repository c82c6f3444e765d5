//! Reads URLs of Redis; the errors never repeat them, since any part may be a password.

use std::fmt::Write as _;
use std::path::PathBuf;

use aquifer_wire::Secret;

use super::{RedisAddress, RedisLayout, RedisLogin, RedisTarget, RedisTls};

const REDIS_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// A URL in its parts.
struct Parts<'a> {
    tls: bool,
    kind: &'a str,
    credentials: Option<&'a str>,
    hosts: &'a str,
    path: &'a str,
    query: Vec<(&'a str, &'a str)>,
}

/// Reads a URL; with it comes the text that may be shown, its passwords masked.
pub(super) fn parse(url: &str) -> Result<(RedisTarget, String), &'static str> {
    let parts = Parts::of(url)?;
    let known = parts.parameters()?;
    if parts.query.iter().any(|(key, _)| !known.contains(key)) {
        return Err(
            "has a parameter that is unknown or does not fit its scheme; known are protocol, \
             sslrootcert, sslcert and sslkey (rediss), sentinel_user and sentinel_password \
             (sentinel), and on unix sockets db, user and pass",
        );
    }
    let value = |name: &str| {
        let given = parts.query.iter().find(|(key, _)| *key == name);
        given.map(|(_, value)| decoded(value)).transpose()
    };
    let file = |name| Ok::<_, &str>(value(name)?.map(PathBuf::from));
    let (layout, database) = parts.layout(value("db")?)?;
    let target = RedisTarget {
        layout,
        login: match parts.credentials {
            Some(credentials) => login(credentials)?,
            None => RedisLogin {
                user: value("user")?,
                password: value("pass")?.map(Secret::from),
            },
        },
        sentinel_login: RedisLogin {
            user: value("sentinel_user")?,
            password: value("sentinel_password")?.map(Secret::from),
        },
        database,
        resp3: match value("protocol")?.as_deref() {
            None | Some("resp3") => true,
            Some("resp2") => false,
            Some(_) => return Err("has a protocol that is neither resp2 nor resp3"),
        },
        tls: match parts.tls {
            true => Some(RedisTls {
                roots: file("sslrootcert")?.filter(|path| path.as_os_str() != "system"),
                certificate: file("sslcert")?,
                key: file("sslkey")?,
            }),
            false => None,
        },
    };
    if let Some(tls) = &target.tls
        && tls.certificate.is_some() != tls.key.is_some()
    {
        return Err("has one of sslcert and sslkey, which belong together");
    }
    let without_password = |login: &RedisLogin| login.user.is_some() && login.password.is_none();
    if without_password(&target.sentinel_login) {
        return Err("has sentinel_user without sentinel_password");
    }
    Ok((target, parts.masked()))
}

impl<'a> Parts<'a> {
    fn of(url: &'a str) -> Result<Self, &'static str> {
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err("has no scheme");
        };
        if rest.contains(|character: char| character.is_whitespace() || character.is_control()) {
            return Err("has a space or control character; in a password it is %-encoded");
        }
        if rest.contains('#') {
            return Err(
                "has `#`, which in a password is written %23; options after it are not taken",
            );
        }
        check_percent(rest)?;
        let (base, kind) = match scheme.split_once('+') {
            Some((_, "")) => return Err("has an unknown scheme"),
            Some((base, kind)) => (base, kind),
            None => (scheme, ""),
        };
        let tls = match (base, kind) {
            ("redis", "" | "unix" | "sentinel" | "cluster") => false,
            ("rediss", "" | "sentinel" | "cluster") => true,
            _ => {
                return Err("must begin with redis://, rediss://, redis+sentinel://, \
                            redis+cluster:// or redis+unix://");
            }
        };
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = place.split_once('/').unwrap_or((place, ""));
        if path.contains('@') || query.contains('@') {
            return Err("has `/` or `?` before `@`; in a password they are written %2F and %3F");
        }
        let (credentials, hosts) = match authority.split_once('@') {
            Some((_, hosts)) if hosts.contains('@') => {
                return Err("has more than one `@`; in a password it is written %40");
            }
            Some((credentials, hosts)) => (Some(credentials), hosts),
            None => (None, authority),
        };
        Ok(Self {
            tls,
            kind,
            credentials,
            hosts,
            path,
            query: query
                .split('&')
                .filter(|parameter| !parameter.is_empty())
                .map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")))
                .collect(),
        })
    }

    /// The parameters that fit the scheme.
    fn parameters(&self) -> Result<Vec<&'static str>, &'static str> {
        let mut known = vec!["protocol"];
        if self.tls {
            known.extend(["sslrootcert", "sslcert", "sslkey"]);
        }
        match self.kind {
            "unix" if self.credentials.is_some() || !self.hosts.is_empty() => {
                return Err("needs an absolute path, so three slashes in all");
            }
            "unix" => known.extend(["db", "user", "pass"]),
            "sentinel" => known.extend(["sentinel_user", "sentinel_password"]),
            _ => {}
        }
        Ok(known)
    }

    fn layout(&self, unix_database: Option<String>) -> Result<(RedisLayout, u16), &'static str> {
        match self.kind {
            "unix" if self.path.is_empty() => {
                Err("needs an absolute path, so three slashes in all")
            }
            "unix" => {
                let path = PathBuf::from(format!("/{}", decoded(self.path)?));
                let layout = RedisLayout::Single(RedisAddress::Unix(path));
                Ok((layout, database(unix_database.as_deref().unwrap_or(""))?))
            }
            "sentinel" => {
                let (service, number) = self.path.split_once('/').unwrap_or((self.path, ""));
                if service.is_empty() {
                    return Err("names no service; it stands behind the sentinels, as in \
                                redis+sentinel://host1,host2/service");
                }
                let layout = RedisLayout::Sentinel {
                    sentinels: addresses(self.hosts, SENTINEL_PORT)?,
                    service: decoded(service)?,
                };
                Ok((layout, database(number)?))
            }
            "cluster" if !matches!(self.path, "" | "0") => {
                Err("names a database; a cluster has only 0")
            }
            "cluster" => Ok((RedisLayout::Cluster(addresses(self.hosts, REDIS_PORT)?), 0)),
            _ => {
                let layout = RedisLayout::Single(address(self.hosts, REDIS_PORT)?);
                Ok((layout, database(self.path)?))
            }
        }
    }

    /// The URL again, its passwords masked.
    fn masked(&self) -> String {
        let (scheme, plus) = (
            if self.tls { "rediss" } else { "redis" },
            if self.kind.is_empty() { "" } else { "+" },
        );
        let mut shown = format!("{scheme}{plus}{}://", self.kind);
        match self
            .credentials
            .map(|credentials| credentials.split_once(':'))
        {
            Some(Some((user, ""))) => shown.extend([user, ":@"]),
            Some(Some((user, _password))) => shown.extend([user, ":***@"]),
            // A lone word is the user, but many mean the password by it.
            Some(None) => shown.push_str("***@"),
            None => {}
        }
        shown.push_str(self.hosts);
        if !self.path.is_empty() {
            shown.extend(["/", self.path]);
        }
        for (number, (key, value)) in self.query.iter().enumerate() {
            let secret = matches!(*key, "pass" | "sentinel_password");
            let separator = if number == 0 { '?' } else { '&' };
            let value = if secret { "***" } else { value };
            // Writing to a `String` can't fail.
            let _infallible = write!(shown, "{separator}{key}={value}");
        }
        shown
    }
}

fn login(credentials: &str) -> Result<RedisLogin, &'static str> {
    let (user, password) = match credentials.split_once(':') {
        Some((user, password)) => (user, Some(password).filter(|password| !password.is_empty())),
        None => (credentials, None),
    };
    Ok(RedisLogin {
        user: Some(decoded(user)?).filter(|user| !user.is_empty()),
        password: password.map(decoded).transpose()?.map(Secret::from),
    })
}

fn addresses(hosts: &str, port: u16) -> Result<Vec<RedisAddress>, &'static str> {
    hosts.split(',').map(|host| address(host, port)).collect()
}

fn address(text: &str, usual_port: u16) -> Result<RedisAddress, &'static str> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, "")) => (address, None),
        Some((address, port)) => (address, Some(port.strip_prefix(':').unwrap_or_default())),
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let bracketed = text.starts_with('[');
    let is_of_a_name = |byte: u8| {
        byte.is_ascii_alphanumeric() || b".-_".contains(&byte) || (bracketed && byte == b':')
    };
    if host.is_empty() || !host.bytes().all(is_of_a_name) {
        return Err(
            "needs a host, a name or an address, and only one unless its scheme is \
                    redis+sentinel or redis+cluster",
        );
    }
    let port = match port.map(str::parse::<u16>) {
        None => usual_port,
        Some(Ok(port)) if port > 0 => port,
        Some(_) => return Err("needs a port from 1 to 65535"),
    };
    Ok(RedisAddress::Tcp {
        host: host.to_owned(),
        port,
    })
}

fn database(text: &str) -> Result<u16, &'static str> {
    match text {
        "" => Ok(0),
        number => number
            .parse()
            .map_err(|_not_a_number| "has a database that is no number"),
    }
}

fn check_percent(text: &str) -> Result<(), &'static str> {
    let encoded = |after: &str| after.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    if text.split('%').skip(1).all(encoded) {
        return Ok(());
    }
    Err("has `%` without two hexadecimal digits; a plain % is written %25")
}

/// Undoes the %-encoding, whose form was checked.
fn decoded(text: &str) -> Result<String, &'static str> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let digits = [0; 2].map(|_: u8| if byte == b'%' { rest.next() } else { None });
        bytes.push(match digits.map(|digit| digit.and_then(hexadecimal)) {
            [Some(high), Some(low)] => high * 16 + low,
            _ => byte,
        });
    }
    String::from_utf8(bytes).map_err(|_not_text| "has a part that is no UTF-8 when decoded")
}

fn hexadecimal(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests;
