use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::config::Config;
use crate::db::{Db, Shutdown};
use crate::deadline::Deadline;
use crate::metrics::MetricsCollector;
use crate::observe::{Service, Status};
use crate::session::Session;
use crate::{Error, ErrorKind};

/// How long a health check may take.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(1);

/// Travels on a shared lane, which `pg_is_in_recovery()`, being volatile, would not: transactions
/// that hold all exclusive connections don't make the database look down. NULL before PostgreSQL 14.
const IN_RECOVERY: &str = "select current_setting('in_hot_standby', true)::bool";

/// Brings the connections of a service up and down: New → Starting → Ready → Down.
///
/// Make one at start, hand [`db`](Self::db) to what needs it, and shut down at the end. There is no
/// process-wide instance.
///
/// ```no_run
/// # use std::time::Duration;
/// # use aquifer::{Config, DatabaseManager, Error};
/// # async fn example() -> Result<(), Error> {
/// let manager = DatabaseManager::new(Config::from_env()?);
/// manager.initialize().await?;
/// let db = manager.db()?;
/// println!("{:?}", manager.health().await);
/// manager.shutdown(Duration::from_secs(10)).await;
/// # Ok(()) }
/// ```
#[doc(alias("initializeDatabase", "shutdownDatabase", "getDatabaseHealth"))]
pub struct DatabaseManager {
    config: Config,
    metrics: MetricsCollector,
    state: Mutex<State>,
}

#[derive(Clone)]
enum State {
    New,
    Starting,
    Ready(Db),
    /// With what a shutdown that was dropped half-way may have left.
    Down(Option<Db>),
}

/// How one service did when it was asked.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServiceHealth {
    /// Which one.
    pub service: Service,
    /// How it does.
    pub status: Status,
    /// How long its answer took; `None` when none came.
    pub latency: Option<Duration>,
    /// Why it is not up.
    pub cause: Option<String>,
}

impl DatabaseManager {
    /// Nothing is opened yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let metrics = config.given_metrics().cloned().unwrap_or_default();
        Self {
            config: config.metrics(&metrics),
            metrics,
            state: Mutex::new(State::New),
        }
    }

    /// The figures of all that this manager brings up, also before and after.
    #[must_use]
    pub fn metrics(&self) -> &MetricsCollector {
        &self.metrics
    }

    /// Opens the database; within `connect_timeout` for each host in the URL.
    ///
    /// # Errors
    /// As [`Db::connect`]: PostgreSQL is required, so its absence is an error that says what failed
    /// and why; then this may be called again. [`ErrorKind::Closed`] when it was called before or
    /// after a shutdown.
    ///
    /// # Cancel safety
    /// Dropping the future closes what was opened, and this may be called again.
    pub async fn initialize(&self) -> Result<(), Error> {
        {
            let mut state = self.state();
            match &*state {
                State::New => *state = State::Starting,
                other => return Err(other.refuse_initialize()),
            }
        }
        let starting = Starting(self);
        let db = Db::connect_with(&self.config).await?;
        // Asked once now, so that it is known where the question belongs when all is in use; what
        // goes wrong with it, `health` will tell.
        let deadline = Deadline::after(HEALTH_TIMEOUT);
        drop(deadline.run(db.detached().query(IN_RECOVERY, ())).await);
        let shut_down_meanwhile = {
            let mut state = self.state();
            if matches!(*state, State::Starting) {
                *state = State::Ready(db.clone());
                false
            } else {
                true
            }
        };
        drop(starting);
        if shut_down_meanwhile {
            db.shutdown(Duration::ZERO).await;
            return Err(State::Down(None).refuse_use());
        }
        Ok(())
    }

    /// The handle on the database.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`] before [`initialize`](Self::initialize) and after
    /// [`shutdown`](Self::shutdown).
    pub fn db(&self) -> Result<Db, Error> {
        match &*self.state() {
            State::Ready(db) => Ok(db.clone()),
            other => Err(other.refuse_use()),
        }
    }

    /// Asks each service how it does, within 1 s.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn health(&self) -> Vec<ServiceHealth> {
        vec![self.postgres_health().await]
    }

    async fn postgres_health(&self) -> ServiceHealth {
        let deadline = Deadline::after(HEALTH_TIMEOUT);
        let down = |cause: String| ServiceHealth {
            service: Service::Postgres,
            status: Status::Down,
            latency: None,
            cause: Some(cause),
        };
        let db = match self.db() {
            Ok(db) => db.detached(),
            Err(error) => return down(error.to_string()),
        };
        // On a lane, also when the machine is so busy that all statements seem slow.
        let db = db.shared();
        let asked = db.query_value::<Option<bool>>(IN_RECOVERY, ());
        match deadline
            .run(asked)
            .await
            .map(|asked| asked.map(|on| on.unwrap_or(false)))
        {
            Ok(Ok(in_recovery)) => ServiceHealth {
                service: Service::Postgres,
                status: if in_recovery {
                    Status::Degraded
                } else {
                    Status::Up
                },
                latency: Some(deadline.elapsed()),
                cause: in_recovery
                    .then(|| "the server is in recovery and takes no writes".to_owned()),
            },
            Ok(Err(error)) => down(error.to_string()),
            Err(_) => down(format!("no answer within {HEALTH_TIMEOUT:?}")),
        }
    }

    /// Shuts down within `deadline`: see [`Db::shutdown`]. Calling it again returns zeros.
    ///
    /// # Cancel safety
    /// As [`Db::shutdown`]; calling it again goes on with what is left.
    pub async fn shutdown(&self, deadline: Duration) -> Shutdown {
        let db = {
            let mut state = self.state();
            let before = std::mem::replace(&mut *state, State::Down(None));
            let (State::Ready(db) | State::Down(Some(db))) = before else {
                return Shutdown::default();
            };
            *state = State::Down(Some(db.clone()));
            db
        };
        db.shutdown(deadline).await
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes Starting back to New when opening fails or its future is dropped.
struct Starting<'a>(&'a DatabaseManager);

impl Drop for Starting<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        if matches!(*state, State::Starting) {
            *state = State::New;
        }
    }
}

impl State {
    fn refuse_initialize(&self) -> Error {
        let text = match self {
            Self::New | Self::Starting => "`initialize` is running already; await the first call",
            Self::Ready(_) => "`initialize` was called before; use `db()`",
            Self::Down(_) => "the manager was shut down; make a new one",
        };
        Error::new(ErrorKind::Closed, text)
    }

    fn refuse_use(&self) -> Error {
        let text = match self {
            Self::Down(_) => "the manager was shut down; make a new one",
            _ => "the manager is not initialized yet; await `initialize` first",
        };
        Error::new(ErrorKind::Closed, text)
    }
}

impl fmt::Debug for DatabaseManager {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &*self.state() {
            State::New => "new",
            State::Starting => "starting",
            State::Ready(_) => "ready",
            State::Down(_) => "down",
        };
        formatter
            .debug_struct("DatabaseManager")
            .field("state", &state)
            .finish_non_exhaustive()
    }
}
