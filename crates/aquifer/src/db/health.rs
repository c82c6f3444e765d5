//! Whether the database and Redis do all that is asked of them.

use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use crate::execute::{self, Engine, Placement};
use crate::monitor::{ConnectionMonitor, Finding, HealthProbe, Pace, ProbeFuture};
use crate::observe::{Mode, Service, Status};
use crate::redis::Redis;
use crate::statement::Call;
use crate::{Error, ErrorKind};

/// Travels on a shared lane, which `pg_is_in_recovery()`, being volatile, would not: transactions
/// that hold all exclusive connections don't make the database look down. NULL before PostgreSQL 14.
const IN_RECOVERY: &str = "select current_setting('in_hot_standby', true)::bool";

/// Watches the database, and Redis where there is one.
pub(super) fn monitor(
    engine: &Arc<Engine>,
    redis: Option<&Redis>,
    pace: Pace,
) -> Result<ConnectionMonitor, Error> {
    // Less than the whole, so that what was found out is told instead of the lack of an answer.
    let limit = pace.timeout - pace.timeout / 10;
    let probe = PostgresProbe::new(engine, limit);
    let (tasks, observers) = (Arc::clone(&engine.tasks), engine.observers.clone());
    let monitor = ConnectionMonitor::new(probe, pace, tasks, observers);
    if let Some(redis) = redis {
        monitor.register(RedisProbe::new(redis.clone(), limit))?;
    }
    Ok(monitor)
}

struct PostgresProbe(Engine);

impl PostgresProbe {
    fn new(engine: &Engine, limit: Duration) -> Self {
        let mut engine = engine.clone();
        // On a lane, also when the machine is so busy that all statements seem slow.
        engine.placement = Placement::Shared;
        engine.query_timeout = limit;
        Self(engine)
    }

    async fn is_in_recovery(&self) -> Result<bool, Error> {
        let call = Call {
            sql: IN_RECOVERY,
            params: &(),
            location: Location::caller(),
        };
        let reply = execute::run(&self.0, call).await?;
        let mut rows = reply.decode_column::<Option<bool>>()?;
        Ok(rows.pop().flatten().unwrap_or(false))
    }

    /// What is known to be impossible already; asking would wait for a primary.
    fn limits(&self) -> Option<&'static str> {
        let topology = self.0.pools.topology();
        if topology.guards_writes() {
            return Some("the database takes no writes at present, since its disk is full");
        }
        match topology.mode() {
            Mode::PrimaryDown | Mode::ReadOnly if self.0.pools.are_several() => {
                Some("there is no primary that takes writes at present; replicas answer reads")
            }
            _ => None,
        }
    }

    fn judge(&self, asked: Result<bool, Error>) -> Finding {
        let status = self.0.pools.status();
        let exclusive = status.connections_max - status.lanes_max;
        match asked {
            Ok(false) => Finding::up(),
            Ok(true) => Finding::degraded("the server is in recovery and takes no writes"),
            // Whoever holds all connections got them from a server that was there.
            Err(error) if error.kind() == ErrorKind::Acquire && status.in_use >= exclusive => {
                Finding::degraded(error.to_string())
            }
            Err(error) => Finding::down(error.to_string()),
        }
    }
}

impl HealthProbe for PostgresProbe {
    fn service(&self) -> Service {
        Service::Postgres
    }

    fn probe(&self) -> ProbeFuture<'_> {
        Box::pin(async {
            let finding = match self.limits() {
                Some(why) => Finding::degraded(why),
                None => self.judge(self.is_in_recovery().await),
            };
            let status = self.0.pools.status();
            let open = status.idle + status.in_use + status.lanes;
            finding.measured("connections", figure(open), "").measured(
                "waiting",
                figure(status.waiting),
                "",
            )
        })
    }
}

struct RedisProbe {
    redis: Redis,
    limit: Duration,
}

impl RedisProbe {
    fn new(redis: Redis, limit: Duration) -> Self {
        Self { redis, limit }
    }
}

impl HealthProbe for RedisProbe {
    fn service(&self) -> Service {
        Service::Redis
    }

    fn probe(&self) -> ProbeFuture<'_> {
        Box::pin(async {
            let asked = self.redis.ping(self.limit).await;
            let status = self.redis.status();
            let connected = status.masters.iter().filter(|master| master.connected);
            let connected = connected.count();
            let finding = match (asked, status.status) {
                (Ok(_), Status::Up) => Finding::up(),
                (Err(error), _) if connected == 0 => Finding::down(error.to_string()),
                (Err(error), _) => Finding::degraded(error.to_string()),
                (Ok(_), _) => Finding::degraded(status.cause.unwrap_or_default()),
            };
            finding.measured("connections", figure(connected), "")
        })
    }

    fn is_required(&self) -> bool {
        self.redis.is_required()
    }
}

fn figure(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}
