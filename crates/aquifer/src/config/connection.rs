//! What the wire needs to know, put together from the URL, the `PG*` variables and the knobs.

use std::time::Duration;

use aquifer_wire as wire;

use super::knob::{self, AnyKnob};
use super::text::nearest;
use super::{Config, Origin, refusal};
use crate::{Error, ErrorKind};

/// What a session is called if nobody says more.
const APPLICATION_NAME: &str = "aquifer";

/// How to reach PostgreSQL: what was read, before it is checked.
pub(super) struct Connection<'a> {
    config: &'a Config,
    /// Only what the URL says.
    in_url: wire::Config,
    /// The URL, and the `PG*` variables for what it leaves open.
    completed: wire::Config,
}

impl Config {
    /// Reads the URL and completes it.
    pub(super) fn connection(&self) -> Result<Connection<'_>, Error> {
        let url = self.texts.get(knob::URL.name);
        let text = url.map_or("", |url| url.value.reveal());
        let refused = |problem: &str| match url {
            Some(url) => refusal(knob::URL.name, &url.origin, problem),
            None => Error::new(ErrorKind::Config, problem.to_owned()),
        };
        if url.is_some() && text.trim().is_empty() {
            return Err(refused("is empty; give a URL, or leave it out"));
        }
        if is_foreign(text) {
            return Err(refused(
                "must begin with postgresql:// or postgres://, as in \
                 postgresql://user@host/database",
            ));
        }
        let in_url = text.parse::<wire::Config>();
        let in_url = in_url
            .map_err(|error| refused(&format!("can't be used: {error}{}", elsewhere(text))))?;
        if !value(&in_url, "host").split(',').all(is_host) {
            return Err(refused(
                "has a host with a character that no host has; in a user or password `@` is \
                 written %40, `/` %2F and `%` %25",
            ));
        }
        let lookup = |name: &str| Some(self.libpq.get(name)?.reveal().to_owned());
        let completed = wire::Config::with_environment(text, lookup);
        let completed = completed.map_err(from_wire)?;
        Ok(Connection {
            config: self,
            in_url,
            completed,
        })
    }
}

/// Where a knob belongs that seems to be meant by a parameter of the URL; what was written there is not
/// repeated, since it may be a part of a password.
fn elsewhere(url: &str) -> String {
    let is_setting = |key: &str| wire::Config::new().get(key).is_ok();
    let (_, query) = url.split_once('?').unwrap_or_default();
    let keys = query
        .split('&')
        .filter_map(|parameter| Some(parameter.split_once('=')?.0))
        .filter(|key| key.len() <= 40 && !is_setting(key));
    // Some are called alike in libpq, and stand in URLs.
    let names = || knob::ALL.into_iter().map(|knob| knob.name().to_owned());
    let names = || names().filter(|name| !is_setting(last_word(name)));
    let mut meant = keys.filter_map(|key| nearest(key, names(), last_word));
    let Some(name) = meant.next() else {
        return String::new();
    };
    let knob = knob::ALL.into_iter().find(|knob| knob.name() == name);
    let variable = knob.map_or_else(String::new, AnyKnob::variable);
    format!(". {name} is no part of a URL: set the variable {variable}, or {name} in aquifer.toml")
}

fn last_word(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(_, word)| word)
}

#[cfg(feature = "testing")]
impl Config {
    /// The same server and login, another database, whose name needs no quotes.
    pub(crate) fn on_database(&self, name: &str) -> Self {
        let url = self.texts.get(knob::URL.name);
        let text = url.map_or("", |url| url.value.reveal());
        // What comes last holds, in either form.
        let text = match text {
            url if url.contains("://") && url.contains('?') => format!("{url}&dbname={name}"),
            url if url.contains("://") => format!("{url}?dbname={name}"),
            pairs => format!("{pairs} dbname={name}"),
        };
        self.clone().url(text)
    }
}

impl Connection<'_> {
    /// The URL alone, with its password masked.
    pub(super) fn url(&self) -> String {
        self.in_url.redacted().to_string()
    }

    /// The keys that only the `PG*` variables set, each with its value and its variable.
    pub(super) fn added_by_libpq(&self) -> Vec<(&'static str, String, Origin)> {
        let keys = wire::Config::keys().iter().copied();
        let unlisted = keys.filter(|key| !is_knob(key) && value(&self.in_url, key).is_empty());
        let values = unlisted.map(|key| (key, value(&self.completed, key), self.libpq_origin(key)));
        values.filter(|(_, value, _)| !value.is_empty()).collect()
    }

    /// The value and source of a knob that may also stand in the URL or in a `PG*` variable.
    pub(super) fn shared_knob(&self, key: &str) -> (String, Origin) {
        let config = self.config;
        let text = config
            .texts
            .get(key)
            .map(|text| (text.value.reveal(), &text.origin));
        let origin = text.map(|(_, origin)| origin);
        let own = origin.or_else(|| config.times.get(key).map(|time| &time.origin));
        let url_rank = config
            .texts
            .get(knob::URL.name)
            .map_or(0, |url| url.origin.rank());
        let in_url = !value(&self.in_url, key).is_empty();
        match own {
            Some(own) if !in_url || own.rank() >= url_rank => {
                let text = text.map_or_else(String::new, |(text, _)| text.to_owned());
                (text, own.clone())
            }
            _ if in_url => (value(&self.in_url, key), Origin::Url),
            _ => match value(&self.completed, key) {
                unset if unset.is_empty() => (unset, Origin::Default),
                value => (value, self.libpq_origin(key)),
            },
        }
    }

    /// The longest that opening may take, before it is checked.
    pub(super) fn connect_timeout(&self) -> (Duration, Origin) {
        let (seconds, origin) = self.shared_knob(knob::CONNECT_TIMEOUT.name);
        // Only a connection string says it in seconds, which the wire has read already.
        match seconds
            .parse()
            .ok()
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        {
            Some(timeout) => (timeout, origin),
            None => (self.config.time_unchecked(&knob::CONNECT_TIMEOUT).0, origin),
        }
    }

    /// What sessions are called, before it is checked.
    pub(super) fn application_name(&self) -> (String, Origin) {
        let (name, origin) = self.shared_knob(knob::APPLICATION_NAME.name);
        if origin != Origin::Default {
            return (name, origin);
        }
        match value(&self.completed, "fallback_application_name") {
            unset if unset.is_empty() => (APPLICATION_NAME.to_owned(), origin),
            fallback => (fallback, Origin::Url),
        }
    }

    /// All of it, checked.
    pub(super) fn check(&self) -> Result<wire::Config, Error> {
        let given = |key| !value(&self.completed, key).is_empty();
        if !self.config.texts.contains_key(knob::URL.name) && !given("host") && !given("hostaddr") {
            return Err(Error::new(
                ErrorKind::Config,
                "url is not set; set the variable DATABASE_URL, for example to \
                 postgresql://user@host/database, or url in aquifer.toml, or call Config::url",
            ));
        }
        let (timeout, origin) = self.connect_timeout();
        let timeout = knob::CONNECT_TIMEOUT.check(timeout, &origin)?;
        let (name, origin) = self.application_name();
        check_application_name(&name, &origin)?;
        let (certificates, origin) = self.shared_knob(knob::SSLROOTCERT.name);
        if certificates.is_empty() && origin != Origin::Default {
            let problem = "is empty; name a PEM file or `system`, or leave it out";
            return Err(refusal(knob::SSLROOTCERT.name, &origin, problem));
        }
        let whole = self
            .completed
            .clone()
            .connect_timeout(timeout)
            .application_name(name);
        let whole = whole
            .set(knob::SSLROOTCERT.name, &certificates)
            .map_err(|error| refusal(knob::SSLROOTCERT.name, &origin, error))?;
        whole.targets().map_err(from_wire)?;
        Ok(whole)
    }

    /// The variable that set `key`.
    fn libpq_origin(&self, key: &str) -> Origin {
        let candidates = match key {
            "dbname" => vec!["PGDATABASE".to_owned()],
            "application_name" => vec!["PGAPPNAME".to_owned()],
            "connect_timeout" => vec!["PGCONNECT_TIMEOUT".to_owned()],
            "user" => ["PGUSER", "USER", "LOGNAME"].map(str::to_owned).to_vec(),
            key => vec![format!("PG{}", key.to_uppercase().replace('_', ""))],
        };
        let set = |name: &String| {
            self.config
                .libpq
                .get(name)
                .is_some_and(|value| !value.reveal().is_empty())
        };
        candidates
            .into_iter()
            .find(set)
            .map_or(Origin::Default, Origin::variable)
    }
}

fn is_knob(key: &str) -> bool {
    knob::ALL.iter().any(|knob| knob.name() == key)
}

fn value(config: &wire::Config, key: &str) -> String {
    config.get(key).unwrap_or_default()
}

fn from_wire(error: wire::Error) -> Error {
    Error::new(ErrorKind::Config, error.to_string())
}

/// Refuses what PostgreSQL would cut or replace.
fn check_application_name(name: &str, origin: &Origin) -> Result<(), Error> {
    let printable = name.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if printable && (1..=63).contains(&name.len()) {
        return Ok(());
    }
    let problem = "must be 1 to 63 printable ASCII characters, for PostgreSQL cuts or replaces \
                   what goes beyond; shorten it, or leave it out for the default, aquifer";
    Err(refusal(knob::APPLICATION_NAME.name, origin, problem))
}

/// Whether `host` can be one: what follows the first `@` of a password that holds two can't, and
/// showing it would show a part of the password.
fn is_host(host: &str) -> bool {
    let is_of_a_name = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:%".contains(&byte);
    host.starts_with('/') || host.bytes().all(is_of_a_name)
}

/// Whether `text` is a URL for something else, or a host and database without a scheme, which would
/// be taken for `key=value` pairs.
fn is_foreign(text: &str) -> bool {
    if !text.trim().is_empty() && !text.contains('=') {
        return !text.starts_with("postgres://") && !text.starts_with("postgresql://");
    }
    let is_of_a_scheme =
        |character: char| character.is_ascii_alphanumeric() || "+-.:".contains(character);
    text.split_once("://").is_some_and(|(scheme, _)| {
        scheme.chars().all(is_of_a_scheme) && !matches!(scheme, "postgres" | "postgresql")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_knob_in_a_url_is_sent_to_its_place_and_nothing_of_the_url_is_repeated() {
        for (query, expected) in [
            ("conections_max=canary", "AQUIFER_CONNECTIONS_MAX"),
            (
                "sslmode=require&probe_interval=1s",
                "AQUIFER_ADVANCED_PROBE_INTERVAL",
            ),
        ] {
            let config = Config::new().url(format!("postgresql://u@h/d?{query}"));
            let error = config.connection().err().expect("it is refused");
            let text = error.to_string();
            assert!(text.contains(expected), "{text}");
            assert!(
                !text.contains("canary") && !text.contains("conections"),
                "{text}"
            );
        }
        assert_eq!(
            elsewhere("postgresql://u@h/d?connect_timeout=x&sslmod=1"),
            ""
        );
        assert_eq!(elsewhere("postgresql://u@h/d"), "");
    }
}
