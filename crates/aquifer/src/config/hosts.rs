//! The hosts of one database, and which of them calls go to.

use std::sync::Arc;

use aquifer_core::topology::Wanted;
use aquifer_wire as wire;
use aquifer_wire::Target;

use super::{Config, Origin, knob, refusal};
use crate::{Error, ErrorKind};

/// The name of a host, and how to reach it alone.
pub(crate) type Host = (Arc<str>, wire::Config);

/// Hosts that have been checked.
#[derive(Debug)]
pub(crate) struct Hosts {
    pub(crate) list: Vec<Host>,
    /// Which of them calls go to that ask for none in particular.
    pub(crate) wanted: Wanted,
    /// Whether their order is left to chance.
    pub(crate) shuffled: bool,
}

impl Config {
    /// Those of the URL, and the replicas beside it.
    pub(super) fn hosts(&self, wire: &wire::Config) -> Result<Hosts, Error> {
        let from_wire = |error: wire::Error| Error::new(ErrorKind::Config, error.to_string());
        let targets = wire.targets().map_err(from_wire)?;
        let port = targets.first().map(Target::port);
        let names = targets.iter().map(|target| target.to_string().into());
        let mut list: Vec<Host> = names.zip(wire.hosts_apart().map_err(from_wire)?).collect();
        if let Some(given) = self.texts.get(knob::REPLICAS.name) {
            let refused = |problem: &str| refusal(knob::REPLICAS.name, &given.origin, problem);
            for replica in given.value.reveal().split(',') {
                let (host, own_port) = split(replica.trim());
                let port = own_port.or(port).unwrap_or_default();
                let alone = wire.clone().set("hostaddr", "").map_err(from_wire)?;
                let alone = alone.hosts([host]).ports([port]);
                let target = alone.targets().ok().filter(|_| !host.is_empty());
                let target = target.and_then(|targets| targets.into_iter().next());
                let target = target.ok_or_else(|| {
                    refused(
                        "must be hosts, each with or without a port, separated by commas, as in \
                         db2.example.com:5432,db3.example.com",
                    )
                })?;
                let mut apart = alone.hosts_apart().map_err(from_wire)?;
                list.extend(
                    apart
                        .pop()
                        .map(|config| (target.to_string().into(), config)),
                );
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
    fn refuse_twice(&self, list: &[Host]) -> Result<(), Error> {
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
            // What follows the colon of a host is a port or nothing.
            Err(_) => ("", None),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn names(url: &str, replicas: &[&str]) -> Result<Vec<String>, Error> {
        let config = Config::new().url(url);
        let config = if replicas.is_empty() {
            config
        } else {
            config.advanced(|advanced| advanced.replicas(replicas))
        };
        let hosts = config.check()?.hosts;
        Ok(hosts
            .list
            .iter()
            .map(|(name, _)| name.to_string())
            .collect())
    }

    #[test]
    fn hosts_are_those_of_the_url_and_the_replicas_beside_it() {
        let url = "postgresql://app@db1:6000/shop";
        let replicas = ["db2", "db3:7000", "[::1]:8000", "/run/pg:9000", "::2"];
        let expected = [
            "db1:6000",
            "db2:6000",
            "db3:7000",
            "[::1]:8000",
            "/run/pg/.s.PGSQL.9000",
            "[::2]:6000",
        ];
        assert_eq!(names(url, &replicas).expect("all can be hosts"), expected);
        let several = "postgresql://app@db1,db2:6000/shop?target_session_attrs=standby";
        assert_eq!(
            names(several, &[]).expect("two hosts"),
            ["db1:5432", "db2:6000"]
        );
        let hosts = Config::new()
            .url(several)
            .check()
            .expect("it is valid")
            .hosts;
        assert_eq!(hosts.wanted, Wanted::Standby);
        for (_, alone) in &hosts.list {
            assert_eq!(alone.get("target_session_attrs").ok().as_deref(), Some(""));
        }
    }

    #[test]
    fn what_is_no_host_or_named_twice_is_refused_with_the_name_of_the_knob() {
        let url = "postgresql://app@db1:6000/shop";
        for replicas in [
            &[""][..],
            &["a b"],
            &["db2:99999"],
            &["db1"],
            &["db2", "db2:6000"],
        ] {
            let error = names(url, replicas).expect_err("it can't be used");
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains("advanced.replicas"), "{error}");
        }
    }
}
