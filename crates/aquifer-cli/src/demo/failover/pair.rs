//! Two private servers, one the standby of the other.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aquifer::{Embedded, embedded};

use crate::demo::stage::Failure;

#[derive(Clone)]
pub(super) struct Pair {
    servers: Arc<Mutex<Option<[Embedded; 2]>>>,
    /// The directories of their sockets, the primary's first.
    directories: [String; 2],
    ports: [u16; 2],
}

impl Pair {
    pub(super) async fn start() -> Result<Self, Failure> {
        let started = tokio::task::spawn_blocking(|| {
            // What was acknowledged must be on the standby: then a failover loses nothing.
            let primary = Embedded::builder()
                .setting("synchronous_standby_names", "*")
                .start()?;
            let standby = Embedded::builder().standby_of(&primary).start()?;
            Ok::<_, embedded::Error>([primary, standby])
        });
        let servers = started.await??;
        Ok(Self {
            directories: servers
                .each_ref()
                .map(|server| server.socket_dir().display().to_string()),
            ports: servers.each_ref().map(Embedded::port),
            servers: Arc::new(Mutex::new(Some(servers))),
        })
    }

    /// Both, the primary first.
    pub(super) fn url(&self) -> String {
        format!(
            "postgres://postgres@/postgres?host={}&port={},{}",
            self.directories.join(","),
            self.ports[0],
            self.ports[1]
        )
    }

    pub(super) fn standby_url(&self) -> String {
        let [_, directory] = &self.directories;
        let [_, port] = self.ports;
        format!("postgres://postgres@/postgres?host={directory}&port={port}")
    }

    /// A text in which the hosts have names that people tell apart.
    pub(super) fn named(&self, text: &str) -> String {
        let mut text = text.to_owned();
        let places = self.directories.iter().zip(self.ports);
        for ((directory, port), name) in places.zip(["host a", "host b"]) {
            let socket = format!("{directory}/.s.PGSQL.{port}");
            text = text.replace(&socket, name);
        }
        text
    }

    pub(super) async fn kill_primary(&self) -> Result<(), Failure> {
        self.act(|[primary, _]| primary.kill()).await
    }

    pub(super) async fn promote(&self) -> Result<(), Failure> {
        self.act(|[_, standby]| standby.promote()).await
    }

    pub(super) async fn stop(self) -> Result<(), Failure> {
        let stopped = tokio::task::spawn_blocking(move || {
            let Some(servers) = self.lock().take() else {
                return Ok(());
            };
            servers.into_iter().try_for_each(Embedded::stop)
        });
        Ok(stopped.await??)
    }

    /// Does what blocks where it may.
    async fn act(
        &self,
        act: impl FnOnce(&mut [Embedded; 2]) -> Result<(), embedded::Error> + Send + 'static,
    ) -> Result<(), Failure> {
        let pair = self.clone();
        let acted = tokio::task::spawn_blocking(move || match &mut *pair.lock() {
            Some(servers) => act(servers).map_err(Failure::from),
            None => Err("the servers are stopped".into()),
        });
        acted.await?
    }

    fn lock(&self) -> MutexGuard<'_, Option<[Embedded; 2]>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
