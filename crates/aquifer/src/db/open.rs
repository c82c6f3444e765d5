//! Opening the pools of a database.

use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use crate::config::Settings;
use crate::credentials::Credentials;
use crate::deadline::Deadline;
use crate::observe::Observers;
use crate::pool::{Destination, Limits, Many, Plan, Pool, Pools};
use crate::tasks::Tasks;
use crate::topology::{Connector, Rules, Topology, Tuning};
use crate::{Error, clock};

/// Opens the first connection to the host that calls go to; with several hosts, once it is known which
/// one that is.
pub(super) async fn pools(
    settings: Settings,
    tasks: &Arc<Tasks>,
    observers: &Observers,
) -> Result<Pools, Error> {
    let deadline = Deadline::after(settings.connect_timeout);
    let mut rules = rules(&settings);
    let tuning = tuning(&settings);
    let limits = Limits::from(&settings);
    let mut hosts = settings.hosts.list;
    if hosts.len() == 1 {
        // Another primary is not to be expected.
        rules.primary_wait = Duration::ZERO;
    }
    if settings.hosts.shuffled {
        shuffle(&mut hosts);
    }
    let names = hosts.iter().map(|(name, _)| Arc::clone(name));
    let several = hosts.len() > 1;
    let topology = Topology::new(names, rules, several, observers.clone());
    let credentials = Credentials::new(
        settings.password,
        settings.connect_timeout,
        observers.clone(),
    );
    let connector = Connector::new(settings.wire, credentials, tuning);
    if !several {
        let reports = topology.reports(0);
        let pool = Pool::new(connector, limits, tasks, observers.clone(), reports);
        pool.start().await?;
        return Ok(Pools::One(pool, topology));
    }
    let connectors = hosts
        .into_iter()
        .map(|(_, config)| connector.for_host(config));
    let connectors: Vec<Connector> = connectors.collect();
    let probed = connectors.clone();
    let plan = Plan {
        catalog: Arc::clone(connector.catalog()),
        connectors,
        limits,
        catchup_timeout: settings.catchup_timeout,
        tasks: Arc::clone(tasks),
        observers: observers.clone(),
    };
    let pools = Pools::Many(Many::new(topology.clone(), plan));
    topology.start(probed, settings.probe_timeout, tasks);
    topology.settle(deadline).await?;
    // A wrong password or a full server shows here.
    let location = Location::caller();
    let first = pools.checkout(Destination::Main, deadline, location, false);
    drop(first.await?);
    Ok(pools)
}

fn rules(settings: &Settings) -> Rules {
    let mut rules = Rules::default();
    rules.interval = settings.probe_interval;
    rules.alarm_interval = rules.alarm_interval.min(rules.interval);
    rules.settle = settings.probe_timeout;
    rules.primary_wait = settings.primary_wait;
    rules.lag_max = settings.lag_max;
    rules.lag_bytes_max = u64::from(settings.lag_bytes_max);
    rules.wanted = settings.hosts.wanted;
    rules
}

fn tuning(settings: &Settings) -> Tuning {
    let mut limits = aquifer_wire::Limits::default();
    limits.message_max = settings.message_max;
    limits.requests_max = settings.requests_max;
    limits.statements_max = settings.statements_max;
    Tuning {
        limits,
        lane_timeout: settings.lane_timeout,
        pooler: settings.pooler,
    }
}

/// Puts the hosts in an order of chance; good enough to spread services over them.
fn shuffle<T>(hosts: &mut [T]) {
    for last in (1..hosts.len()).rev() {
        let bound = u64::try_from(last + 1).unwrap_or(u64::MAX);
        let chosen = usize::try_from(clock::random() % bound).unwrap_or_default();
        hosts.swap(chosen, last);
    }
}
