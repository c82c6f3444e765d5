//! The hosts of one database, and which of them calls go to.

use std::sync::Arc;

use aquifer_core::topology::Wanted;
use aquifer_wire as wire;

use super::{Config, Origin, knob, refusal};
use crate::{Error, ErrorKind};

/// Hosts that have been checked.
#[derive(Debug)]
pub(crate) struct Hosts {
    /// The name of each, and how to reach it alone.
    pub(crate) list: Vec<(Arc<str>, wire::Config)>,
    /// Which of them calls go to that ask for none in particular.
    pub(crate) wanted: Wanted,
    /// Whether their order is left to chance.
    pub(crate) shuffled: bool,
}

impl Config {
    /// Those of the URL, and the replicas beside it.
    pub(super) fn hosts(&self, wire: &wire::Config) -> Result<Hosts, Error> {
        let from_wire = |error: wire::Error| Error::new(ErrorKind::Config, error.to_string());
        let of_url = wire.hosts_apart().map_err(from_wire)?;
        let port = of_url.first().map(|(target, _)| target.port());
        let mut list: Vec<(Arc<str>, wire::Config)> = of_url
            .into_iter()
            .map(|(target, config)| (target.to_string().into(), config))
            .collect();
        if let Some(given) = self.texts.get(knob::REPLICAS.name) {
            let refused = |problem: &str| refusal(knob::REPLICAS.name, &given.origin, problem);
            for replica in given.value.reveal().split(',') {
                let (host, own_port) = split(replica.trim());
                let port = own_port.or(port).unwrap_or_default();
                let alone = wire.clone().set("hostaddr", "").map_err(from_wire)?;
                let alone = alone.hosts([host]).ports([port]).hosts_apart();
                let (target, config) = alone
                    .ok()
                    .filter(|_| !host.is_empty())
                    .and_then(|mut hosts| hosts.pop())
                    .ok_or_else(|| {
                        refused(
                            "must be hosts, each with or without a port, separated by commas, as \
                             in db2.example.com:5432,db3.example.com",
                        )
                    })?;
                list.push((target.to_string().into(), config));
            }
        }
        self.refuse_twice(&list)?;
        Ok(Hosts {
            list,
            wanted: wanted(&wire.get("target_session_attrs").unwrap_or_default()),
            shuffled: wire
                .get("load_balance_hosts")
                .is_ok_and(|order| order == "random"),
        })
    }

    /// One that is named twice would be taken for two that claim the same part.
    fn refuse_twice(&self, list: &[(Arc<str>, wire::Config)]) -> Result<(), Error> {
        let names = || list.iter().map(|(name, _)| name);
        let twice = names()
            .enumerate()
            .find(|(index, name)| names().take(*index).any(|other| other == *name));
        let Some((_, name)) = twice else {
            return Ok(());
        };
        let given = self.texts.get(knob::REPLICAS.name);
        let (knob, origin) = match given {
            Some(given) => (knob::REPLICAS.name, given.origin.clone()),
            None => (knob::URL.name, Origin::Default),
        };
        let problem = format!("names the host {name} twice; name it once");
        Err(refusal(knob, &origin, problem))
    }
}

/// A host and its port, if it has one: `db`, `db:5432`, `[::1]:5432`, `/run/postgresql:5432`.
fn split(text: &str) -> (&str, Option<u16>) {
    let bracketed = text.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    if let Some((host, rest)) = bracketed {
        return (
            host,
            rest.strip_prefix(':').and_then(|port| port.parse().ok()),
        );
    }
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && !host.contains(':') => match port.parse() {
            Ok(port) => (host, Some(port)),
            Err(_) => (text, None),
        },
        _ => (text, None),
    }
}

/// By the words of libpq, which the wire has checked.
fn wanted(attrs: &str) -> Wanted {
    match attrs {
        "any" => Wanted::Any,
        "read-only" => Wanted::ReadOnly,
        "standby" => Wanted::Standby,
        "prefer-standby" => Wanted::PreferStandby,
        _ => Wanted::Primary,
    }
}
