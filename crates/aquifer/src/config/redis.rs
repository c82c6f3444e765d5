//! The URL of Redis: whether it can be used, and how it is shown.

use super::knob;
use super::{Config, refusal};
use crate::Error;

const FORM: &str = "its form is redis://user:password@host:6379/0, or redis+unix:///path?db=0";

impl Config {
    /// The URL with its password masked, if one is set.
    pub(super) fn redis(&self) -> Result<Option<String>, Error> {
        let Some(url) = self.texts.get(knob::REDIS_URL.name) else {
            return Ok(None);
        };
        masked(url.value.reveal()).map(Some).map_err(|problem| {
            refusal(
                knob::REDIS_URL.name,
                &url.origin,
                format_args!("{problem}; {FORM}"),
            )
        })
    }
}

/// Checks a URL and masks its password; the error never repeats it.
fn masked(url: &str) -> Result<String, &'static str> {
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err("has no scheme");
    };
    if rest.contains(|character: char| character.is_whitespace() || character.is_control()) {
        return Err("has a space or control character; in a password it is %-encoded");
    }
    if rest.contains('#') {
        return Err("has `#`, which in a password is written %23; options after it are not taken");
    }
    check_percent(rest)?;
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = place.split_once('/').unwrap_or((place, ""));
    if path.contains('@') || query.contains('@') {
        return Err("has `/` or `?` before `@`; in a password they are written %2F and %3F");
    }
    let (place, parameters): (_, &[&str]) = match scheme {
        "redis" | "rediss" => (network(authority, path)?, &["protocol"]),
        "redis+unix" if !authority.is_empty() || path.is_empty() => {
            return Err("needs an absolute path, so three slashes in all");
        }
        "redis+unix" => (format!("/{path}"), &["db", "pass", "protocol", "user"]),
        _ => return Err("must begin with redis://, rediss:// or redis+unix://"),
    };
    let query = masked_query(query, parameters)?;
    Ok(format!("{scheme}://{place}{query}"))
}

/// `user:password@host:port/database`, masked.
fn network(authority: &str, database: &str) -> Result<String, &'static str> {
    let (credentials, host) = match authority.split_once('@') {
        Some((_, host)) if host.contains('@') => {
            return Err("has more than one `@`; in a password it is written %40");
        }
        Some((credentials, host)) => (masked_credentials(credentials), host),
        None => (String::new(), authority),
    };
    check_host(host)?;
    if !database.is_empty() && database.parse::<u16>().is_err() {
        return Err("has a database that is no number");
    }
    let slash = if database.is_empty() { "" } else { "/" };
    Ok(format!("{credentials}{host}{slash}{database}"))
}

fn masked_credentials(credentials: &str) -> String {
    match credentials.split_once(':') {
        Some((user, "")) => format!("{user}:@"),
        Some((user, _password)) => format!("{user}:***@"),
        // A lone word is the user, but many mean the password by it.
        None => "***@".to_owned(),
    }
}

fn check_host(text: &str) -> Result<(), &'static str> {
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
        return Err("needs one host, a name or an address");
    }
    match port.map(str::parse::<u16>) {
        None => Ok(()),
        Some(Ok(port)) if port > 0 => Ok(()),
        Some(_) => Err("needs a port from 1 to 65535"),
    }
}

fn masked_query(query: &str, known: &[&str]) -> Result<String, &'static str> {
    let mut masked = String::new();
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        if !known.contains(&key) {
            return Err(
                "has an unknown parameter; known are protocol, and on unix sockets db, user, pass",
            );
        }
        let value = if matches!(key, "db" | "protocol" | "user") {
            value
        } else {
            "***"
        };
        masked.push(if masked.is_empty() { '?' } else { '&' });
        masked.push_str(key);
        masked.push('=');
        masked.push_str(value);
    }
    Ok(masked)
}

fn check_percent(text: &str) -> Result<(), &'static str> {
    let encoded = |after: &str| after.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    if text.split('%').skip(1).all(encoded) {
        return Ok(());
    }
    Err("has `%` without two hexadecimal digits; a plain % is written %25")
}

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn a_good_url_is_shown_without_its_password() {
        let cases = [
            ("redis://h", "redis://h"),
            ("redis://h:6379/0", "redis://h:6379/0"),
            (
                "rediss://u:canary@h.example.com:1/15",
                "rediss://u:***@h.example.com:1/15",
            ),
            ("redis://:can%61ry@[::1]:7/", "redis://:***@[::1]:7"),
            ("redis://:a:canary@h", "redis://:***@h"),
            ("redis://canary@h", "redis://***@h"),
            ("redis://u:@h", "redis://u:@h"),
            ("redis://h?protocol=resp3", "redis://h?protocol=resp3"),
            ("redis+unix:///run/r.sock", "redis+unix:///run/r.sock"),
            (
                "redis+unix:///run/r.sock?db=1&user=u&pass=canary",
                "redis+unix:///run/r.sock?db=1&user=u&pass=***",
            ),
        ];
        for (url, shown) in cases {
            assert_eq!(masked(url).as_deref(), Ok(shown), "{url}");
        }
    }

    #[test]
    fn a_bad_url_is_refused() {
        for url in [
            "",
            "h:6379",
            "http://h",
            "REDIS://h",
            "redis://",
            "redis:///0",
            "redis://u:p@",
            "redis://h:0",
            "redis://h:65536",
            "redis://h:",
            "redis://[::1]x",
            "redis://[::1",
            "redis://h/x",
            "redis://h/65536",
            "redis://h1,h2",
            "redis://u:p@ss@h",
            "redis://u:p/ss@h",
            "redis://u:1/ss@h",
            "redis://u:p?ss@h",
            "redis://u:p#ss@h",
            "redis://u:p%ss@h",
            "redis://u:p%2@h",
            "redis://u:p ss@h",
            "redis://h?pass=p",
            "redis+unix://h/run/r.sock",
            "redis+unix://",
            "rediss://h#insecure",
        ] {
            assert!(masked(url).is_err(), "{url}");
        }
    }
}
