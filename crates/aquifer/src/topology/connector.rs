use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aquifer_wire::{Catalog, Client, Config, Driver, Limits, Secret, SqlState};

use crate::config::Pooler;
use crate::credentials::Credentials;
use crate::statement::Prepared;
use crate::{Error, ErrorKind};

/// Start-up setting of a shared lane: the server refuses writes that the router did not see. Each
/// session reports it.
const READ_ONLY: &str = "default_transaction_read_only";

/// How often a server looks whether its client is still there while it runs a statement: what a
/// client that died has begun must not go on for long.
const CHECK_INTERVAL: (&str, &str) = ("client_connection_check_interval", "500ms");

/// Behind a pooler no session can be started read-only; so each read says it for itself.
const LANE_GUARD: &str = "select pg_catalog.set_config('transaction_read_only', 'on', true), \
                          pg_catalog.set_config('statement_timeout', $1, true)";

const IGNORED: &str = "a shared lane is not read-only although it was asked to be, so it can't be \
    used: something between drops start-up settings; say `advanced.pooler = \"transaction\"`";

/// How sessions are opened, besides where and as whom.
#[derive(Clone, Debug)]
pub(crate) struct Tuning {
    pub(crate) limits: Limits,
    /// How long one statement may run on a lane.
    pub(crate) lane_timeout: Duration,
    pub(crate) pooler: Pooler,
}

/// Opens connections to one database.
#[derive(Clone)]
pub(crate) struct Connector {
    config: Arc<Config>,
    catalog: Arc<Catalog>,
    credentials: Credentials,
    tuning: Tuning,
    /// The limit on a lane, as the server takes it.
    lane_timeout: [String; 1],
    learned: Arc<Learned>,
}

/// What refusals have taught about the server, or about what stands before it.
#[derive(Debug, Default)]
struct Learned {
    /// It has no such setting (before PostgreSQL 14), or its platform can't do it.
    no_check_interval: AtomicBool,
    /// It is a pooler: start-up settings are refused or lost, and sessions are lent.
    pooled: AtomicBool,
}

impl Connector {
    pub(crate) fn new(config: Config, credentials: Credentials, tuning: Tuning) -> Self {
        let learned = Learned::default();
        let pooled = tuning.pooler == Pooler::Transaction;
        learned.pooled.store(pooled, Ordering::Relaxed);
        Self {
            config: Arc::new(config),
            catalog: Arc::new(Catalog::new(DESCRIPTIONS_MAX)),
            credentials,
            lane_timeout: [format!("{}ms", tuning.lane_timeout.as_millis())],
            tuning,
            learned: Arc::new(learned),
        }
    }

    /// The same for another host of the same database: descriptions are shared.
    pub(crate) fn for_host(&self, config: Config) -> Self {
        let learned = Learned::default();
        let pooled = self.tuning.pooler == Pooler::Transaction;
        learned.pooled.store(pooled, Ordering::Relaxed);
        Self {
            config: Arc::new(config),
            credentials: self.credentials.apart(),
            learned: Arc::new(learned),
            ..self.clone()
        }
    }

    /// Opens one connection. What the server refuses to be told is learned, and left out then.
    pub(crate) async fn open(&self, shared: bool) -> Result<(Client, Driver), Error> {
        let login = |password| self.log_in(shared, password);
        self.credentials.log_in(login).await
    }

    async fn log_in(
        &self,
        shared: bool,
        password: Option<Secret>,
    ) -> Result<(Client, Driver), Error> {
        let config = match password {
            None => Arc::clone(&self.config),
            Some(password) => Arc::new(Config::clone(&self.config).password(password)),
        };
        loop {
            let settings = self.start_up(shared);
            let limits = self.limits();
            match Client::connect(&config, &self.catalog, &limits, &settings).await {
                Ok((client, _driver)) if shared && self.was_ignored(&client) => {
                    if self.tuning.pooler != Pooler::Auto {
                        return Err(Error::new(ErrorKind::Connection, IGNORED));
                    }
                    self.learned.pooled.store(true, Ordering::Relaxed);
                }
                Ok(opened) => return Ok(opened),
                Err(error) if self.learn(&error, &settings) => {}
                Err(error) => return Err(Error::from_wire(error, false)),
            }
        }
    }

    /// The settings that a session starts with.
    fn start_up(&self, shared: bool) -> Vec<(&str, &str)> {
        let mut settings = Vec::with_capacity(3);
        if self.is_pooled() {
            return settings;
        }
        if !self.learned.no_check_interval.load(Ordering::Relaxed) {
            settings.push(CHECK_INTERVAL);
        }
        if shared {
            settings.push((READ_ONLY, "on"));
            let [limit] = &self.lane_timeout;
            settings.push(("statement_timeout", limit));
        }
        settings
    }

    /// What a session may hold: a pooler without tracking lends it without what was prepared there.
    fn limits(&self) -> Limits {
        let mut limits = self.tuning.limits.clone();
        if self.is_pooled() {
            limits.statements_max = 0;
        }
        limits
    }

    /// Whether a refusal taught something, so that another attempt will go better.
    fn learn(&self, error: &aquifer_wire::Error, settings: &[(&str, &str)]) -> bool {
        let Some(said) = error.database() else {
            return false;
        };
        let text = said.message();
        let by_pooler = *said.code() == SqlState::PROTOCOL_VIOLATION
            && text.contains("unsupported startup parameter");
        if by_pooler && self.tuning.pooler == Pooler::Auto && !self.is_pooled() {
            self.learned.pooled.store(true, Ordering::Relaxed);
            return true;
        }
        // Unknown before PostgreSQL 14; refused as a value where the platform can't do it.
        if settings.contains(&CHECK_INTERVAL) && text.contains(CHECK_INTERVAL.0) && !by_pooler {
            self.learned
                .no_check_interval
                .store(true, Ordering::Relaxed);
            return true;
        }
        false
    }

    /// Whether something between has dropped the settings of a lane instead of passing them on.
    fn was_ignored(&self, client: &Client) -> bool {
        !self.is_pooled() && client.parameter(READ_ONLY).as_deref() != Some("on")
    }

    /// Whether a pooler in transaction mode stands between, as far as is known.
    pub(crate) fn is_pooled(&self) -> bool {
        self.learned.pooled.load(Ordering::Relaxed)
    }

    /// The host, or all of them, as in the configuration.
    pub(crate) fn host(&self) -> String {
        let targets = self.config.targets().unwrap_or_default();
        let hosts: Vec<_> = targets.iter().map(ToString::to_string).collect();
        hosts.join(",")
    }

    pub(crate) fn lane_timeout(&self) -> Duration {
        self.tuning.lane_timeout
    }

    /// What must stand in front of each read on a lane, where its session does not promise it.
    pub(crate) fn lane_guard(&self) -> Option<Prepared<'_>> {
        self.is_pooled()
            .then_some((LANE_GUARD, &self.lane_timeout as _))
    }

    pub(crate) fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }
}

/// Most statement descriptions kept per database.
const DESCRIPTIONS_MAX: usize = 2048;

impl fmt::Debug for Connector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Connector")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
