//! For tests of services: databases of their own, work that is taken back, statements that are
//! counted. Feature `testing`.
//!
//! | I want … | use … |
//! |---|---|
//! | each test to have an empty database with the schema | [`Template`] |
//! | what a test writes to be taken back, in a database that is shared | [`sandbox`] |
//! | to test a service without a database | [`FakeRepository`] |
//! | writes that fail, connections that end | [`TestDatabase::fail_writes`], [`TestDatabase::end_connections`] |
//! | to know how many statements a call needs, and to find those that run once per row | [`Recorder`] |
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

mod fake;
mod faults;
mod recorder;
mod sandbox;
mod template;

pub use self::fake::FakeRepository;
pub use self::recorder::{Recorded, Recorder, Repeated};
pub use self::sandbox::sandbox;
pub use self::template::{Template, TestDatabase};
