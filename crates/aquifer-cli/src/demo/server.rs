//! Where the demo runs: a server of its own, or the one that `DATABASE_URL` names.

use std::env;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use aquifer::{AssertSafe, Config, Db, Embedded, ErrorKind, Session};

use super::excerpt::excerpt;
use super::figures;
use super::scene::short;
use super::stage::{Chapter, Failure, Step};

const SOURCE: &str = include_str!("server.rs");

/// The server, and what is to be removed from it at the end.
pub(super) enum Server {
    Ours(Box<Embedded>),
    Given(Given),
}

/// A server that is there already, and the part of it that is the demo's.
pub(super) struct Given {
    url: String,
    schema: String,
    /// Whether the schema may be there.
    made: bool,
    /// Whether the layer had a schema of its own there before.
    had_layers: bool,
}

/// The server that the environment names; none when it names none.
pub(super) fn given() -> Option<Server> {
    let url = env::var("DATABASE_URL").ok()?;
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    let seconds = since_epoch.map_or(0, |since| since.as_secs());
    // Two demos on one server do not meet.
    let schema = format!("aquifer_demo_{seconds}_{}", std::process::id());
    (!url.is_empty()).then_some(Server::Given(Given {
        url,
        schema,
        made: false,
        had_layers: true,
    }))
}

pub(super) fn chapter(given: bool) -> Chapter {
    if given {
        return Chapter {
            title: "The server that DATABASE_URL names",
            why: "Everything happens in a schema of its own, which is removed at the end, \
                  whatever happens.",
            code: Vec::new(),
        };
    }
    Chapter {
        title: "A PostgreSQL of our own",
        why: "Nothing installed is touched: a temporary directory, a unix socket, no port. The \
              server ends with this program, even if that is killed.",
        code: excerpt(SOURCE, "start"),
    }
}

/// Makes ready what was chosen; `server` is filled as soon as there is something to remove.
pub(super) async fn perform(step: &mut Step, server: &mut Option<Server>) -> Result<(), Failure> {
    if let Some(Server::Given(given)) = server {
        return given.make_schema(step).await;
    }
    match start().await {
        Ok(mut embedded) => {
            let directory = embedded.socket_dir().display().to_string();
            step.note(&format!("its data and its socket are in {directory}"));
            let initdb = embedded.initdb_time().unwrap_or_default();
            step.note(&format!(
                "initdb took {}, the start {}",
                figures::time(initdb),
                figures::time(embedded.start_time()),
            ));
            step.check(embedded.is_running(), "the server process is there");
            *server = Some(Server::Ours(Box::new(embedded)));
            Ok(())
        }
        Err(failure) => {
            step.note("to use a server that is there already, set DATABASE_URL");
            Err(failure)
        }
    }
}

async fn start() -> Result<Embedded, Failure> {
    // It blocks until the server is ready.
    let started = tokio::task::spawn_blocking(|| {
        // ANCHOR: start
        let server = Embedded::start()?;
        // ANCHOR_END: start
        Ok(server)
    });
    started.await?
}

impl Given {
    async fn make_schema(&mut self, step: &mut Step) -> Result<(), Failure> {
        let db = Db::connect(&self.url).await?;
        let layers = "select to_regnamespace('aquifer') is not null";
        self.had_layers = db.query_value(layers, ()).await?;
        let create = AssertSafe(format!("create schema {}", self.schema));
        self.made = true;
        if let Err(error) = db.execute_script(create).await {
            // What the server refused is not there; after any other error it may be.
            self.made = error.kind() != ErrorKind::Database;
            return Err(error.into());
        }
        let (version, database, user): (String, String, String) = db
            .query_one(
                "select current_setting('server_version'), current_database()::text, \
                 current_user::text",
                (),
            )
            .await?;
        db.close().await?;
        step.note(&format!(
            "PostgreSQL {}, database {database}, user {user}",
            short(&version)
        ));
        step.note(&format!("the schema is {}", self.schema));
        Ok(())
    }

    async fn remove_schema(&self) -> Result<(), Failure> {
        let schema = &self.schema;
        let db = Db::connect(&self.url).await?;
        db.execute_script(AssertSafe(format!(
            "drop schema if exists {schema} cascade"
        )))
        .await?;
        if !self.had_layers {
            // Where the cache notes what Redis missed.
            let drop = "drop table if exists aquifer.cache_fence; drop schema if exists aquifer";
            db.execute_script(drop).await?;
        }
        let left: bool = db
            .query_value(
                "select exists (select from pg_namespace where nspname = $1)",
                (schema.as_str(),),
            )
            .await?;
        db.close().await?;
        if left {
            return Err("it is still there".into());
        }
        Ok(())
    }
}

impl Server {
    pub(super) fn is_ours(&self) -> bool {
        matches!(self, Self::Ours(_))
    }

    /// The socket of a server of our own.
    pub(super) fn socket(&self) -> Option<PathBuf> {
        match self {
            Self::Ours(embedded) => {
                let name = format!(".s.PGSQL.{}", embedded.port());
                Some(embedded.socket_dir().join(name))
            }
            Self::Given(_) => None,
        }
    }

    /// What every `Db` of the demo starts from.
    pub(super) fn config(&self) -> Result<Config, Failure> {
        Ok(Config::from_url(self.url())?)
    }

    /// Where it is; with the password, if there is one.
    pub(super) fn url(&self) -> String {
        match self {
            Self::Ours(embedded) => embedded.url(),
            Self::Given(given) => with_search_path(&given.url, &given.schema),
        }
    }

    /// The server's log as far as it is ours to read.
    pub(super) fn log(&self) -> String {
        match self {
            Self::Ours(embedded) => embedded.log(),
            Self::Given(_) => String::new(),
        }
    }

    /// How to look at what the demo left, without repeating a password.
    pub(super) fn psql(&self) -> String {
        match self {
            Self::Ours(embedded) => format!(
                "{} -h {} -p {} -U postgres postgres",
                psql_program(embedded),
                embedded.socket_dir().display(),
                embedded.port(),
            ),
            Self::Given(given) => format!(
                "PGOPTIONS='-c search_path={}' psql \"$DATABASE_URL\"",
                given.schema
            ),
        }
    }

    /// Removes all that the demo made, and says what that was.
    pub(super) async fn end(self) -> Result<String, Failure> {
        match self {
            Self::Ours(embedded) => {
                let stopped = tokio::task::spawn_blocking(|| stop(*embedded)).await?;
                stopped.map_err(|failure| left("the server", failure))?;
                Ok("the server is stopped, its directory removed".to_owned())
            }
            Self::Given(given) if !given.made => Ok("nothing was made on the server".to_owned()),
            Self::Given(given) => {
                let what = format!("schema {}", given.schema);
                let removed = given.remove_schema().await;
                removed.map_err(|failure| left(&what, failure))?;
                Ok(format!("{what} is removed"))
            }
        }
    }
}

fn stop(embedded: Embedded) -> Result<(), Failure> {
    let directory = embedded.socket_dir().to_owned();
    embedded.stop()?;
    if directory.exists() {
        return Err(format!("{} is still there", directory.display()).into());
    }
    Ok(())
}

fn left(what: &str, cause: Failure) -> Failure {
    format!("{what} could not be removed: {cause}").into()
}

/// By name where the shell finds it, else with its directory.
fn psql_program(embedded: &Embedded) -> String {
    let path = env::var_os("PATH").unwrap_or_default();
    if env::split_paths(&path).any(|directory| directory.join("psql").is_file()) {
        "psql".to_owned()
    } else {
        embedded.binaries().join("psql").display().to_string()
    }
}

/// The same server with `schema` as the search path of every session.
fn with_search_path(url: &str, schema: &str) -> String {
    // The name consists of letters, digits and underscores, so nothing else needs escaping.
    if !url.contains("://") {
        return format!("{url} options='-c search_path={schema}'");
    }
    let (start, query) = url.split_once('?').unwrap_or((url, ""));
    let setting = format!("-c%20search_path%3D{schema}");
    let mut pairs: Vec<String> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(ToOwned::to_owned)
        .collect();
    match pairs.iter_mut().find(|pair| pair.starts_with("options=")) {
        Some(options) => *options = format!("{options}%20{setting}"),
        None => pairs.push(format!("options={setting}")),
    }
    format!("{start}?{}", pairs.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_path_joins_what_the_url_says_already() {
        let cases = [
            (
                "postgres://h/d",
                "postgres://h/d?options=-c%20search_path%3Ds",
            ),
            (
                "postgres://h/d?sslmode=disable",
                "postgres://h/d?sslmode=disable&options=-c%20search_path%3Ds",
            ),
            (
                "postgres://h/d?options=-c%20geqo%3Doff&user=u",
                "postgres://h/d?options=-c%20geqo%3Doff%20-c%20search_path%3Ds&user=u",
            ),
            (
                "host=h dbname=d",
                "host=h dbname=d options='-c search_path=s'",
            ),
        ];
        for (url, expected) in cases {
            assert_eq!(with_search_path(url, "s"), expected);
        }
    }
}
