//! What the steps play with: the handle under test, and a second one that looks from outside.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aquifer::{Config, DatabaseManager, Db, Error, Observer, Session, Status};

use super::excerpt::excerpt;
use super::figures;
use super::server::Server;
use super::stage::{Chapter, Failure, Step};
use super::tally::Tally;

const SOURCE: &str = include_str!("scene.rs");

pub(super) struct Scene {
    pub(super) manager: DatabaseManager,
    pub(super) db: Db,
    /// Another pool on the same server: it counts sessions and rows, and ends backends.
    pub(super) witness: Db,
    pub(super) tally: Arc<Tally>,
    /// By which the server tells the sessions of `db` from others.
    pub(super) application_name: String,
}

pub(super) fn chapter() -> Chapter {
    Chapter {
        title: "One handle",
        why: "A manager brings the connections up and down; the handle that it gives out is \
              cheap to clone and is all that the rest of a service needs.",
        code: excerpt(SOURCE, "connect"),
    }
}

pub(super) async fn perform(step: &mut Step, server: &Server) -> Result<Scene, Failure> {
    let application_name = format!("aquifer-demo-{}", std::process::id());
    let tally = Arc::new(Tally::default());
    let begun = Instant::now();
    let observer: Arc<dyn Observer> = Arc::clone(&tally) as _;
    let (manager, db) = connect(server.config()?, &application_name, observer).await?;
    let version: String = db.query_value("show server_version", ()).await?;
    step.note(&format!(
        "connected, and answered by PostgreSQL {}, in {}",
        short(&version),
        figures::time(begun.elapsed())
    ));
    for health in manager.health().await {
        let (service, status) = (health.service, health.status);
        let detail = match (health.latency, health.cause) {
            (Some(latency), None) => format!("asked and answered in {}", figures::time(latency)),
            (_, cause) => cause.unwrap_or_default(),
        };
        step.check(
            status == Status::Up,
            &format!("health: {service:?} is {status:?}, {detail}"),
        );
    }
    let witness = Config::application_name(server.config()?, "aquifer-demo-witness")
        .connections_max(2)
        .advanced(|advanced| advanced.lanes(0));
    Ok(Scene {
        manager,
        db,
        witness: Db::connect_with(&witness).await?,
        tally,
        application_name,
    })
}

async fn connect(
    config: Config,
    name: &str,
    observer: Arc<dyn Observer>,
) -> Result<(DatabaseManager, Db), Error> {
    // ANCHOR: connect
    let config = config
        .application_name(name)
        .acquire_timeout(Duration::from_secs(20))
        .advanced(|advanced| advanced.waiters_max(2_000))
        .observer(observer);
    let manager = DatabaseManager::new(config);
    manager.initialize().await?;
    let db = manager.db()?;
    // ANCHOR_END: connect
    Ok((manager, db))
}

/// The number alone, without the packager's name for it.
pub(super) fn short(version: &str) -> &str {
    version.split_whitespace().next().unwrap_or_default()
}

impl Scene {
    /// How many sessions of `db` the server sees.
    pub(super) async fn sessions(&self) -> Result<i64, Error> {
        self.witness
            .query_value(
                "select count(*) from pg_stat_activity where application_name = $1",
                (self.application_name.as_str(),),
            )
            .await
    }

    /// The sum of all balances.
    pub(super) async fn money(&self) -> Result<i64, Error> {
        self.witness
            .query_value("select sum(balance)::bigint from accounts", ())
            .await
    }
}
