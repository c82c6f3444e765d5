//! What `aquifer config print` shows.

use super::Config;
use super::connection::Connection;
use super::knob::{self, AnyKnob};
use super::origin::Origin;
use super::quantity::Quantity;

/// Stands for a URL that can't be read, whose password therefore can't be told from the rest.
const UNREADABLE: &str = "(can't be read)";

impl Config {
    /// Every setting: its name, its value and where that came from; passwords are masked.
    ///
    /// First the knobs, in the order of the table above, then what the `PG*` variables add, by the
    /// names of libpq. A value is written as in a file, and empty if there is none.
    ///
    /// ```
    /// let config = aquifer::Config::from_url("postgresql://app:secret@db/shop")?;
    /// let (name, value, _origin) = config.values().next().ok_or("empty")?;
    /// assert_eq!((name, value.as_str()), ("url", "postgresql://app:***@db/shop"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn values(&self) -> impl Iterator<Item = (&'static str, String, Origin)> {
        // Why a URL can't be read is the matter of `check`; the rest is shown all the same.
        let connection = self.connection().ok();
        let mut values: Vec<_> = knob::ALL
            .iter()
            .map(|knob| {
                let (value, origin) = self.shown(*knob, connection.as_ref());
                (knob.name(), value, origin)
            })
            .collect();
        values.extend(connection.iter().flat_map(Connection::added_by_libpq));
        values.extend(self.password.as_ref().map(|provider| {
            let shown = "(asked for each connection)".to_owned();
            ("password_provider", shown, provider.origin.clone())
        }));
        values.extend(self.redis_password.as_ref().map(|provider| {
            let shown = "(asked when needed)".to_owned();
            ("redis_password_provider", shown, provider.origin.clone())
        }));
        values.into_iter()
    }

    fn shown(&self, knob: AnyKnob, connection: Option<&Connection<'_>>) -> (String, Origin) {
        match (knob, connection) {
            (AnyKnob::Count(knob), _) => written(self.count_unchecked(knob)),
            (AnyKnob::Time(knob), Some(connection)) if knob.name == knob::CONNECT_TIMEOUT.name => {
                written(connection.connect_timeout())
            }
            (AnyKnob::Time(knob), _) => written(self.time_unchecked(knob)),
            (AnyKnob::Flag(knob), _) => written(self.flag_unchecked(knob)),
            (AnyKnob::Text(knob), connection) => self.shown_text(knob.name, connection),
        }
    }

    fn shown_text(&self, name: &str, connection: Option<&Connection<'_>>) -> (String, Origin) {
        if name == knob::POOLER.name {
            return self.shown_pooler();
        }
        if name == knob::CACHE_NAMESPACE.name {
            return self.cache_namespace_unchecked();
        }
        if name == knob::CACHE_FORMAT.name {
            return self.shown_format();
        }
        if name == knob::BREAKER.name {
            return self.shown_breaker();
        }
        let Some(text) = self.texts.get(name) else {
            return match (name, connection) {
                ("application_name", Some(connection)) => connection.application_name(),
                ("sslrootcert", Some(connection)) => connection.shared_knob(name),
                _ => (String::new(), Origin::Default),
            };
        };
        let unreadable = || UNREADABLE.to_owned();
        let value = match (name, connection) {
            ("url", connection) => connection.map_or_else(unreadable, Connection::url),
            ("redis_url", _) => self.redis().ok().flatten().unwrap_or_else(unreadable),
            (name, Some(connection)) => return connection.shared_knob(name),
            (_, None) => text.value.reveal().to_owned(),
        };
        (value, text.origin.clone())
    }
}

fn written((value, origin): (impl Quantity, Origin)) -> (String, Origin) {
    (value.written(), origin)
}
