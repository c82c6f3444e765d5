//! Connection URLs: `postgresql://user:password@host1:5432,host2/database?key=value`.

use std::fmt::{self, Write as _};

use super::{Config, Pairs, Settings};
use crate::{Error, Kind};

/// What comes after the scheme, or `None` if the text is no URL of ours.
pub(super) fn strip_scheme(text: &str) -> Option<&str> {
    ["postgresql://", "postgres://"]
        .into_iter()
        .find_map(|scheme| text.strip_prefix(scheme))
}

/// Reads a URL without its scheme into settings; errors never repeat the text.
pub(super) fn parse(rest: &str) -> Result<Pairs, Error> {
    let mut pairs = Vec::new();
    // As in libpq, credentials end at the first `@`, which stands before any `/`.
    let authority = match rest.split_once('@') {
        Some((credentials, after)) if !credentials.contains('/') => {
            self::credentials(credentials, &mut pairs)?;
            after
        }
        _ => rest,
    };
    let (authority, query) = authority.split_once('?').unwrap_or((authority, ""));
    let (hosts, database) = authority.split_once('/').unwrap_or((authority, ""));
    self::hosts(hosts, &mut pairs)?;
    if database.contains(['@', '/']) {
        return Err(malformed(
            "has `@` or `/` after the host; in a user, password or database they are written %40 \
             and %2F",
        ));
    }
    if !database.is_empty() {
        pairs.push(("dbname".to_owned(), decode(database)?));
    }
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let Some((key, value)) = parameter.split_once('=') else {
            return Err(malformed("has a parameter without `=`"));
        };
        pairs.push((decode(key)?, decode(value)?));
    }
    Ok(pairs)
}

fn credentials(text: &str, pairs: &mut Pairs) -> Result<(), Error> {
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    for (key, value) in [("user", user), ("password", password)] {
        if !value.is_empty() {
            pairs.push((key.to_owned(), decode(value)?));
        }
    }
    Ok(())
}

fn hosts(text: &str, pairs: &mut Pairs) -> Result<(), Error> {
    let mut names = Vec::new();
    let mut ports = Vec::new();
    for item in text.split(',') {
        let (name, port) = host_and_port(item)?;
        let name = decode(name)?;
        if name.contains(',') {
            return Err(malformed("has a host with `,` in it"));
        }
        names.push(name);
        ports.push(decode(port)?);
    }
    if names.iter().any(|name| !name.is_empty()) || names.len() > 1 {
        pairs.push(("host".to_owned(), names.join(",")));
    }
    if ports.iter().any(|port| !port.is_empty()) {
        pairs.push(("port".to_owned(), ports.join(",")));
    }
    Ok(())
}

/// Splits `name:port` or `[address]:port`; either part may be empty.
fn host_and_port(item: &str) -> Result<(&str, &str), Error> {
    let Some(bracketed) = item.strip_prefix('[') else {
        return Ok(item.split_once(':').unwrap_or((item, "")));
    };
    let Some((address, after)) = bracketed.split_once(']') else {
        return Err(malformed("has an IPv6 address without its `]`"));
    };
    if address.is_empty() {
        return Err(malformed("has an empty IPv6 address"));
    }
    match after.strip_prefix(':') {
        Some(port) => Ok((address, port)),
        None if after.is_empty() => Ok((address, "")),
        None => Err(malformed("has text right after an IPv6 address")),
    }
}

/// Replaces each `%XX` by the byte it stands for.
fn decode(text: &str) -> Result<String, Error> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = (rest.next().and_then(digit), rest.next().and_then(digit));
        let (Some(high), Some(low)) = digits else {
            return Err(malformed(
                "has `%` without two hexadecimal digits; a plain % is written %25",
            ));
        };
        bytes.push(high << 4 | low);
    }
    String::from_utf8(bytes).map_err(|_position| malformed("has %-encoded bytes that are no UTF-8"))
}

fn digit(byte: u8) -> Option<u8> {
    let digit = char::from(byte).to_digit(16)?;
    u8::try_from(digit).ok()
}

/// Percent-encodes all that could mean something in a URL.
pub(super) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String can't fail.
            let _infallible = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// Prints a configuration as a URL with `***` for the password.
pub(super) struct Redacted<'a>(pub(super) &'a Config);

impl fmt::Display for Redacted<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = &self.0.settings;
        formatter.write_str("postgresql://")?;
        if let Some(user) = &settings.user {
            formatter.write_str(&encode(user))?;
        }
        if settings.password.is_some() {
            formatter.write_str(":***")?;
        }
        if settings.user.is_some() || settings.password.is_some() {
            formatter.write_str("@")?;
        }
        let in_authority = write_hosts(settings, formatter)?;
        if let Some(dbname) = &settings.dbname {
            write!(formatter, "/{}", encode(dbname))?;
        }
        let mut separator = '?';
        for key in Config::keys() {
            let elsewhere = matches!(*key, "user" | "password" | "dbname")
                || (in_authority && matches!(*key, "host" | "port"));
            let value = self.0.get(key).unwrap_or_default();
            if !elsewhere && !value.is_empty() {
                write!(formatter, "{separator}{key}={}", encode(&value))?;
                separator = '&';
            }
        }
        Ok(())
    }
}

/// Writes `host:port,host:port` if the two lists fit together; else they become parameters.
fn write_hosts(
    settings: &Settings,
    formatter: &mut fmt::Formatter<'_>,
) -> Result<bool, fmt::Error> {
    let (hosts, ports) = (&settings.hosts, &settings.ports);
    let fit = ports.len() == hosts.len() && ports.iter().any(Option::is_some);
    if hosts.is_empty() || !(ports.is_empty() || fit) {
        return Ok(false);
    }
    for (position, host) in hosts.iter().enumerate() {
        let comma = if position > 0 { "," } else { "" };
        let (open, close) = if host.contains(':') {
            ("[", "]")
        } else {
            ("", "")
        };
        write!(formatter, "{comma}{open}{}{close}", encode(host))?;
        if let Some(port) = ports.get(position).copied().flatten() {
            write!(formatter, ":{port}")?;
        }
    }
    Ok(true)
}

fn malformed(problem: &str) -> Error {
    Error::new(
        Kind::Config,
        format!(
            "the connection URL {problem}; its form is \
             postgresql://user:password@host:port,host:port/database?key=value"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::{parse, strip_scheme};

    type Expected<'a> = &'a [(&'a str, &'a str)];

    #[test]
    fn urls_are_read_as_libpq_reads_them() {
        let cases: &[(&str, Expected<'_>)] = &[
            ("", &[]),
            ("/", &[]),
            ("?", &[]),
            ("h", &[("host", "h")]),
            ("h:1", &[("host", "h"), ("port", "1")]),
            (":1", &[("port", "1")]),
            ("h/d", &[("host", "h"), ("dbname", "d")]),
            ("/d", &[("dbname", "d")]),
            ("u@h", &[("user", "u"), ("host", "h")]),
            ("u@", &[("user", "u")]),
            (":p@h", &[("password", "p"), ("host", "h")]),
            ("u:@h", &[("user", "u"), ("host", "h")]),
            (
                "u:p%40%2F%25@h",
                &[("user", "u"), ("password", "p@/%"), ("host", "h")],
            ),
            (
                "u:p?q:r@h",
                &[("user", "u"), ("password", "p?q:r"), ("host", "h")],
            ),
            ("h1:1,h2:2", &[("host", "h1,h2"), ("port", "1,2")]),
            ("h1,h2:2", &[("host", "h1,h2"), ("port", ",2")]),
            (",", &[("host", ",")]),
            ("[::1]", &[("host", "::1")]),
            ("[::1]:1,h", &[("host", "::1,h"), ("port", "1,")]),
            ("[fe80::1%25eth0]", &[("host", "fe80::1%eth0")]),
            ("%2Fvar%2Frun/d", &[("host", "/var/run"), ("dbname", "d")]),
            ("%2Fsock:1", &[("host", "/sock"), ("port", "1")]),
            (
                "h?sslmode=require",
                &[("host", "h"), ("sslmode", "require")],
            ),
            (
                "h/d?options=-c%20a=b&user=u",
                &[
                    ("host", "h"),
                    ("dbname", "d"),
                    ("options", "-c a=b"),
                    ("user", "u"),
                ],
            ),
            ("?host=/tmp&port=1", &[("host", "/tmp"), ("port", "1")]),
            ("h/%C3%A9", &[("host", "h"), ("dbname", "é")]),
        ];
        for (text, expected) in cases {
            let pairs = parse(text).unwrap();
            let read: Vec<_> = pairs
                .iter()
                .map(|(k, v)| (k.as_str(), v.as_str()))
                .collect();
            assert_eq!(&read, expected, "{text:?}");
        }
    }

    #[test]
    fn malformed_urls_are_refused_without_being_repeated() {
        for text in [
            "[canary",
            "[]",
            "[::1]canary",
            "canary%",
            "canary%2",
            "canary%zz",
            "u:canary%FF@h",
            "h?canary",
            "u:1/canary@h/d",
            "h/d/canary",
            "canary%2Ch",
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(!error.contains("canary"), "{error}");
        }
    }

    #[test]
    fn both_schemes_are_ours_and_no_others() {
        assert_eq!(strip_scheme("postgres://h"), Some("h"));
        assert_eq!(strip_scheme("postgresql://h"), Some("h"));
        assert_eq!(strip_scheme("mysql://h"), None);
    }
}
