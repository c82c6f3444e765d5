//! The `PG*` variables of libpq, read through a function that the caller hands in.

use std::path::Path;

use super::{Config, keys};
use crate::{Error, Kind};

const VARIABLES: [(&str, &str); 20] = [
    ("PGHOST", "host"),
    ("PGHOSTADDR", "hostaddr"),
    ("PGPORT", "port"),
    ("PGUSER", "user"),
    ("PGPASSWORD", "password"),
    ("PGPASSFILE", "passfile"),
    ("PGDATABASE", "dbname"),
    ("PGSSLMODE", "sslmode"),
    ("PGSSLROOTCERT", "sslrootcert"),
    ("PGSSLCERT", "sslcert"),
    ("PGSSLKEY", "sslkey"),
    ("PGSSLNEGOTIATION", "sslnegotiation"),
    ("PGCHANNELBINDING", "channel_binding"),
    ("PGREQUIREAUTH", "require_auth"),
    ("PGCONNECT_TIMEOUT", "connect_timeout"),
    ("PGAPPNAME", "application_name"),
    ("PGOPTIONS", "options"),
    ("PGTARGETSESSIONATTRS", "target_session_attrs"),
    ("PGLOADBALANCEHOSTS", "load_balance_hosts"),
    ("PGGSSENCMODE", "gssencmode"),
];

/// Whoever sets one of these expects something of it, so passing over it would be wrong.
const REFUSED: [&str; 6] = [
    "PGSERVICE",
    "PGSSLCRL",
    "PGSSLCRLDIR",
    "PGREQUIREPEER",
    "PGREQUIRESSL",
    "PGSSLMINPROTOCOLVERSION",
];

/// Sets what the variables say, except the keys that `explicit` sets too.
pub(super) fn apply(
    config: &mut Config,
    explicit: &[(String, String)],
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<(), Error> {
    let lookup = |variable| lookup(variable).filter(|value| !value.is_empty());
    let explicitly = |key| explicit.iter().any(|(other, _)| other == key);
    for variable in REFUSED {
        if lookup(variable).is_some() {
            return Err(unsupported(variable));
        }
    }
    for (variable, key) in VARIABLES {
        let Some(value) = lookup(variable).filter(|_value| !explicitly(key)) else {
            continue;
        };
        keys::set(&mut config.settings, key, &value, None)
            .map_err(|error| Error::new(Kind::Config, format!("{variable}: {error}")))?;
    }
    if config.settings.user.is_none() {
        config.settings.user = lookup("USER").or_else(|| lookup("LOGNAME"));
    }
    if config.settings.passfile.is_none() && !explicitly("passfile") {
        let usual = lookup("HOME").map(|home| Path::new(&home).join(".pgpass"));
        config.settings.passfile = usual.filter(|file| file.exists());
    }
    Ok(())
}

fn unsupported(variable: &str) -> Error {
    Error::new(
        Kind::Config,
        format!("the variable {variable} is set but not supported: unset it"),
    )
}
