//! Where the server is, in the forms that the peers take.

/// Where the server is, and what a contender calls itself there.
#[derive(Clone, Debug)]
pub struct Place {
    /// A host name, or the directory of a unix socket.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The sessions of one contender are counted by this name.
    pub application: String,
}

impl Place {
    /// The server there.
    #[must_use]
    pub fn new(host: &str, port: u16) -> Self {
        Self {
            host: host.to_owned(),
            port,
            application: "bench".to_owned(),
        }
    }

    /// The same server, for the contender of that name.
    #[must_use]
    pub fn of(&self, application: String) -> Self {
        Self {
            application,
            ..self.clone()
        }
    }

    /// libpq's `key=value` form.
    #[must_use]
    pub fn pairs(&self) -> String {
        let Self {
            host,
            port,
            application,
        } = self;
        format!(
            "host={host} port={port} user=postgres dbname=postgres sslmode=disable \
             application_name={application}"
        )
    }

    /// A URL that names the host as a parameter, as sqlx takes a unix socket.
    #[must_use]
    pub fn url(&self) -> String {
        let Self {
            host,
            port,
            application,
        } = self;
        format!(
            "postgres://postgres@localhost:{port}/postgres?host={host}&sslmode=disable\
             &application_name={application}"
        )
    }

    /// A URL whose host may be the socket itself, percent-encoded, as xitca-postgres takes it.
    #[must_use]
    pub fn socket_url(&self) -> String {
        let Self {
            host,
            port,
            application,
        } = self;
        let host = match host.strip_prefix('/') {
            Some(path) => format!("%2F{}%2F.s.PGSQL.{port}", path.replace('/', "%2F")),
            None => host.clone(),
        };
        format!(
            "postgres://postgres@{host}:{port}/postgres?sslmode=disable\
             &application_name={application}"
        )
    }
}
