use std::fmt::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

use aquifer_embedded::Builder;

use crate::postgres::{Login, Postgres};

/// A primary and its standbys, by streaming replication, each a [`Postgres`] with its own port.
///
/// What a server can suffer stands at [`Postgres`]: [`kill_all`](Postgres::kill_all),
/// [`freeze`](Postgres::freeze), [`shut_down`](Postgres::shut_down),
/// [`pause_replay`](Postgres::pause_replay). A network that fails is a [`Proxy`](crate::Proxy)
/// before each. On two cores that are busy otherwise a primary takes two to four seconds to start, a
/// standby and a return as a standby one to three each, a promotion some tenths of a second.
///
/// ```
/// let cluster = aquifer_testkit::Cluster::start(1);
/// let old = cluster.primary();
/// old.set_synchronous(true); // or what was committed last may be lost
/// old.psql("create table kept as select 1 as n");
/// old.kill_all();
/// let new = cluster.promote(cluster.standbys()[0]);
/// assert_eq!(new.psql("table kept"), "1");
/// cluster.rejoin(old);
/// assert!(old.is_standby());
/// ```
#[derive(Debug)]
pub struct Cluster {
    servers: Vec<Postgres>,
    primary: AtomicUsize,
}

impl Cluster {
    /// Starts a primary and its standbys, which stream.
    #[must_use]
    pub fn start(standbys: usize) -> Self {
        Self::start_with(standbys, Self::builder())
    }

    /// Where clusters start from: as [`Postgres::builder`], and a standby that was away for a while
    /// still finds the log that it missed.
    pub fn builder() -> Builder {
        Postgres::builder().setting("wal_keep_size", "256MB")
    }

    /// Starts a primary and its standbys as a [`builder`](Self::builder) says.
    #[must_use]
    pub fn start_with(standbys: usize, builder: Builder) -> Self {
        let mut servers = vec![Postgres::start_with(builder.clone())];
        for _ in 0..standbys {
            let standby = servers.first().map(|primary| {
                let builder = builder.clone();
                primary.start_standby_with(builder)
            });
            servers.extend(standby);
        }
        Self {
            servers,
            primary: AtomicUsize::new(0),
        }
    }

    /// The server that was made the primary last, whatever has become of it.
    #[must_use]
    pub fn primary(&self) -> &Postgres {
        let primary = self.servers.get(self.primary.load(Ordering::Acquire));
        primary.expect("the number of one of them")
    }

    /// All others: standbys, and old primaries that have not rejoined.
    #[must_use]
    pub fn standbys(&self) -> Vec<&Postgres> {
        let primary = self.primary();
        let others = self.servers.iter();
        others
            .filter(|server| !std::ptr::eq(*server, primary))
            .collect()
    }

    /// All servers, in an order that never changes.
    #[must_use]
    pub fn servers(&self) -> &[Postgres] {
        &self.servers
    }

    /// Makes a standby the primary, and waits until it accepts writes; other standbys that run go
    /// over to it. The old primary is left as it is, even alive.
    pub fn promote<'cluster>(&'cluster self, standby: &'cluster Postgres) -> &'cluster Postgres {
        let mut servers = self.servers.iter();
        let number = servers
            .position(|server| std::ptr::eq(server, standby))
            .expect("a server of this cluster");
        let old = self.primary();
        standby.promote();
        self.primary.store(number, Ordering::Release);
        for server in self.standbys() {
            if !std::ptr::eq(server, old) && server.pid().is_some() {
                server.follow(standby);
            }
        }
        standby
    }

    /// Makes an old primary, alive or dead, a fresh standby of the new one.
    pub fn rejoin(&self, server: &Postgres) {
        server.rejoin(self.primary());
    }

    /// The URL of database `postgres` on all servers for the superuser, with the password.
    ///
    /// Add `?target_session_attrs=primary` and the like as needed.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_at(self.servers.iter().map(Postgres::port))
    }

    /// As [`url`](Self::url), with other ports, as of proxies before the servers.
    #[must_use]
    pub fn url_at(&self, ports: impl IntoIterator<Item = u16>) -> String {
        let primary = self.primary();
        let one = format!("@127.0.0.1:{}/", primary.port());
        primary
            .tcp_url()
            .replace(&one, &format!("@{}/", hosts(ports)))
    }

    /// The URL of database `postgres` on all servers for `login`.
    #[must_use]
    pub fn login_url(&self, login: Login) -> String {
        let primary = self.primary();
        let one = format!("@127.0.0.1:{}/", primary.port());
        let ports = self.servers.iter().map(Postgres::port);
        primary
            .login_url(login)
            .replace(&one, &format!("@{}/", hosts(ports)))
    }
}

fn hosts(ports: impl IntoIterator<Item = u16>) -> String {
    let mut hosts = String::new();
    for port in ports {
        let comma = if hosts.is_empty() { "" } else { "," };
        // Writing to a `String` can't fail.
        let _infallible = write!(hosts, "{comma}127.0.0.1:{port}");
    }
    hosts
}
