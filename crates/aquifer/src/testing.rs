//! For tests of services: databases of their own, work that is taken back, statements that are
//! counted. Feature `testing`.
//!
//! | I want … | use … |
//! |---|---|
//! | each test to have an empty database with the schema | [`Template`] |
//! | what a test writes to be taken back, in a database that is shared | [`sandbox`] |
//! | to test a service without a database | [`FakeRepository`] |
//! | writes that fail, connections that end | [`TestDatabase::fail_writes`], [`TestDatabase::end_connections`] |
//! | to know how many statements a call needs, and to find those that run once per row | [`Recorder`], [`assert_queries!`] |
//! | the server to judge every statement that the tests sent, in CI | `AQUIFER_COLLECT` and `aquifer check`, see [below](#all-statements-before-the-server) |
//!
//! ```no_run
//! use aquifer::migrate::Migrator;
//! use aquifer::testing::{Recorder, Template};
//! use aquifer::{Config, Session};
//!
//! # async fn example() -> Result<(), aquifer::Error> {
//! let config = Config::from_env()?;
//! let migrator = Migrator::from_dir("migrations")?;
//! let template = Template::prepare(&config, &migrator).await?;
//! let database = template.database().await?;
//!
//! let recorder = Recorder::new();
//! let db = database.connect_with(|config| config.observer(recorder.observer())).await?;
//! let names: Vec<String> = db.query_column("select name from users", ()).await?;
//! recorder.assert_queries(1);
//! recorder.assert_no_repeats(1);
//! # Ok(()) }
//! ```
//!
//! # All statements before the server
//!
//! With `AQUIFER_COLLECT` in its environment, a test run whose `aquifer` has this feature writes each
//! distinct statement and its place to the file named there, whatever handle has sent it:
//!
//! ```text
//! AQUIFER_COLLECT=$PWD/target/statements.jsonl cargo test
//! aquifer check target/statements.jsonl --embedded --migrations migrations
//! ```
//!
//! `aquifer check` has a server prepare each of them, runs none, and shows what is wrong with which
//! place of the source, what no index serves, and what has no limit; `aquifer check --help` says more.
//!
//! The path should be absolute: Cargo runs each test program in the directory of its package. Programs
//! that run at the same time add to one file; it grows with each run, so remove it before one that is
//! to be the whole. The file has the texts, never a value of a parameter. Left out are
//! statements that the server has refused (SQLSTATE class 42), since a test must have meant that, what
//! can't be planned (SET, CREATE TABLE), scripts that have such a statement, COPY, and the layer's
//! own. [`Recorder::collect_into`] does the same for one handle.

mod count;
mod fake;
mod faults;
mod recorder;
mod sandbox;
mod template;

pub use self::count::{Count, IntoCount};
pub use self::fake::FakeRepository;
pub use self::recorder::{Recorded, Recorder, Repeated};
pub use self::sandbox::sandbox;
pub use self::template::{Template, TestDatabase};
pub use crate::assert_queries;
