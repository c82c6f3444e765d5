use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::config::Config;
use crate::db::{Db, Shutdown};
use crate::metrics::MetricsCollector;
use crate::monitor::{ConnectionMonitor, ServiceHealth};
use crate::observe::Service;
use crate::{Error, ErrorKind};

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
        db.monitor().check_health().await;
        db.monitor().start();
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

    /// How the services do; watched since [`initialize`](Self::initialize).
    ///
    /// # Errors
    /// [`ErrorKind::Closed`] as [`db`](Self::db).
    pub fn monitor(&self) -> Result<ConnectionMonitor, Error> {
        Ok(self.db()?.monitor())
    }

    /// Asks each service how it does, within `health_timeout`; before and after its time the
    /// database counts as down.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn health(&self) -> Vec<ServiceHealth> {
        match self.monitor() {
            Ok(monitor) => monitor.check_health().await,
            Err(error) => vec![ServiceHealth::unasked(Service::Postgres, error.to_string())],
        }
    }

    /// Shuts down within `deadline`: see [`Db::shutdown`]. Calling it again finds nothing to do.
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
