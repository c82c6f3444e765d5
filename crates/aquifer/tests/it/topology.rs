//! Several hosts: a primary, its standbys, and what becomes of callers when they change parts.

mod failover;
mod modes;
mod reads;
mod shutdown;
mod start;

use std::time::Duration;

use aquifer::{Config, Db, Event, Events, HostRole, HostStatus};
use aquifer_testkit::Postgres;

use crate::support::PATIENCE;

/// A handle on all servers of a cluster, whose callers can wait for a failover on a busy machine, and
/// which takes no server for lost that is only late there.
async fn connect(url: &str) -> Db {
    connect_as(url, |config| config).await
}

async fn connect_as(url: &str, change: impl FnOnce(Config) -> Config) -> Db {
    let config = Config::from_url(url)
        .unwrap()
        .query_timeout(PATIENCE)
        .acquire_timeout(PATIENCE)
        .advanced(|advanced| {
            let advanced = advanced.probe_timeout(Duration::from_secs(2));
            let advanced = advanced.queue_target(PATIENCE);
            advanced.primary_wait(PATIENCE)
        });
    Db::connect_with(&change(config)).await.unwrap()
}

/// The next event that `wanted` finds something in.
async fn event<T>(events: &mut Events, what: &str, wanted: impl Fn(&Event) -> Option<T>) -> T {
    let found = tokio::time::timeout(PATIENCE, async {
        loop {
            let event = events.next().await.expect("the handle is there");
            if let Some(found) = wanted(&event) {
                return found;
            }
        }
    });
    found
        .await
        .unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}"))
}

/// What is known about a server.
fn host(db: &Db, server: &Postgres) -> HostStatus {
    let port = format!(":{}", server.port());
    let mut hosts = db.hosts().into_iter();
    hosts.find(|host| host.host.ends_with(&port)).unwrap()
}

async fn until_role(db: &Db, server: &Postgres, role: HostRole) {
    crate::support::until(&format!("{role:?}"), || host(db, server).role == Some(role)).await;
}

/// Runs what blocks the thread.
fn blocking<T>(work: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(work)
}
