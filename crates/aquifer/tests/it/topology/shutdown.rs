//! P28 with several hosts: shutdown ends within its deadline while a replica lags, beside an old
//! primary that lives on, without a primary, and without any host.

use std::time::Duration;

use aquifer::{Db, Error, HostRole, Mode, Session};
use aquifer_testkit::{Cluster, Shutdown};

use super::{blocking, connect_as, until_role};
use crate::shutdown::states::Under;
use crate::support::until;

async fn handle(cluster: &Cluster) -> Db {
    let db = connect_as(&cluster.url(), |config| {
        let config = config.query_timeout(Duration::from_secs(60));
        config.advanced(|advanced| advanced.catchup_timeout(Duration::from_secs(60)))
    })
    .await;
    until_role(&db, cluster.standbys()[0], HostRole::Standby).await;
    db
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_ends_in_time_whatever_the_hosts_do() {
    let cluster = blocking(|| Cluster::start(1));
    let (old, new) = (cluster.primary(), cluster.standbys()[0]);
    let lagging = handle(&cluster).await;
    let split = handle(&cluster).await;
    let held = handle(&cluster).await;
    let down = handle(&cluster).await;
    lagging.execute("create table t (a int)", ()).await.unwrap();
    a_read_that_waits_for_a_replica(lagging, &cluster).await;

    let tx = split.begin().await.unwrap();
    tx.execute("insert into t values (1)", ()).await.unwrap();
    blocking(|| cluster.promote(new));
    for db in [&split, &held, &down] {
        until_role(db, old, HostRole::Fenced).await;
    }
    // It is cut; so is whatever comes to it from now on.
    let asked = tx.clone();
    let under = Under::new(split)
        .calls(async move { asked.execute("insert into t values (2)", ()).await })
        .keep(tx);
    under.end("beside an old primary").await;

    blocking(|| new.shut_down(Shutdown::Immediate));
    until("there is no primary", || held.mode() == Mode::PrimaryDown).await;
    let write = waits(&held);
    let under = Under::new(held.clone()).calls(write);
    until("it is held", || held.pool_status().waiting == 1).await;
    under.end("without a primary").await;

    blocking(|| old.shut_down(Shutdown::Immediate));
    until("nobody answers", || down.mode() == Mode::Down).await;
    let write = waits(&down);
    let under = Under::new(down.clone()).calls(write);
    until("it is held", || down.pool_status().waiting == 1).await;
    under.end("without any host").await;
}

fn waits(db: &Db) -> impl Future<Output = Result<u64, Error>> + use<> {
    let db = db.clone();
    async move { db.execute("insert into t values (3)", ()).await }
}

async fn a_read_that_waits_for_a_replica(db: Db, cluster: &Cluster) {
    let standby = cluster.standbys()[0];
    blocking(|| {
        standby.catch_up(cluster.primary());
        standby.pause_replay();
    });
    db.execute("insert into t values (0)", ()).await.unwrap();
    let token = db.consistency().await.unwrap();
    let late = db.at_least(&token);
    let read = async move { late.query("select a from t", ()).await };
    let mut read = Box::pin(read);
    let polled = crate::support::abort_at(2, &mut read).await;
    assert!(polled.is_none(), "it waits for the replica");
    Under::new(db)
        .calls(read)
        .end("with a replica that lags")
        .await;
    blocking(|| standby.resume_replay());
}
