//! What ties a `Db` to its collector of metrics.

use std::sync::Arc;
use std::time::Duration;

use aquifer_wire as wire;
use tokio::task::AbortHandle;

use crate::execute::Engine;
use crate::metrics::{MetricsCollector, PoolFigures};
use crate::observe::{Endpoint, Event, Service, Status};
use crate::pool::{PoolStatus, Pools};

/// The port that goes without saying.
const PORT: u16 = 5432;

/// Where statements go, as far as the configuration says.
pub(super) fn endpoint(config: &wire::Config) -> Endpoint {
    let get = |name: &str| config.get(name).unwrap_or_default();
    let one = |text: &str| !text.is_empty() && !text.contains(',');
    let address = Some(get("host")).filter(|host| one(host));
    let port = get("port").parse().ok().filter(|port| *port != PORT);
    let namespace = Some(get("dbname")).filter(|name| !name.is_empty());
    Endpoint {
        namespace: namespace.unwrap_or_else(|| get("user")).into(),
        address: address.map(Into::into),
        port,
    }
}

/// What the pool is called: OpenTelemetry's fallback where no name is given.
pub(super) fn source_name(endpoint: &Endpoint) -> String {
    let address = endpoint.address.as_deref().unwrap_or("several");
    let port = endpoint.port.unwrap_or(PORT);
    format!("{address}:{port}/{}", endpoint.namespace)
}

/// Has the collector ask the pools; its first connection is open, so the service is up.
pub(super) fn attach(metrics: &MetricsCollector, name: &str, pools: &Pools) {
    metrics.measures().set_health(Service::Postgres, Status::Up);
    let status = pools.watch();
    metrics.attach(name, move || status().map(figures));
}

/// A lane is in use while it has requests.
fn figures(status: PoolStatus) -> PoolFigures {
    let lanes_used = status.lanes.min(status.lane_requests);
    PoolFigures {
        connections_max: status.connections_max,
        idle: status.idle + status.lanes - lanes_used,
        used: status.in_use + lanes_used,
        waiting: status.waiting,
        lane_requests: status.lane_requests,
    }
}

/// Keeps points of the metrics, until the task is aborted.
pub(super) fn collect(
    engine: &Arc<Engine>,
    metrics: &MetricsCollector,
    interval: Duration,
) -> Option<AbortHandle> {
    let observers = engine.observers.clone();
    let metrics = metrics.clone();
    engine.tasks.spawn(async move {
        loop {
            tokio::time::sleep(interval).await;
            if let Some(values) = metrics.collect_if_due(interval) {
                let values = values.into();
                observers.publish(Event::MetricsCollected { values });
            }
        }
    })
}
