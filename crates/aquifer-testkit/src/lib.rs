//! Real servers, and real faults, for the tests of Aquifer.
//!
//! | I want … | use … |
//! |---|---|
//! | a PostgreSQL that tests share | [`Postgres::shared`], [`Postgres::create_database`] |
//! | a PostgreSQL to stop, pause and kill | [`Postgres::start`], [`Postgres::start_with`] |
//! | a standby, replication, promotions | [`Postgres::start_standby`] |
//! | a primary with its standbys, and failovers | [`Cluster`] |
//! | writers and readers whose every answer is checked | [`Load`] |
//! | failovers under load, measured | [`Rehearsal`] |
//! | processes with caches, each read of which is checked | [`Trial`] |
//! | a login by a certain method | [`Login`] |
//! | certificates, good and bad | [`Tls`] |
//! | a Redis to stop, pause and kill, a replica of it | [`Redis`] |
//! | sentinels that watch a Redis, a cluster of Redis | [`Sentinels`], [`RedisCluster`] |
//! | a PgBouncer before a PostgreSQL | [`PgBouncer`] |
//! | a network that delays, stalls and breaks | [`Proxy`] |
//! | a connection that breaks at one message | [`Cut`] |
//! | a PostgreSQL server that lies | [`ScriptedServer`] |
//!
//! Every server is private, listens on a loopback port or a socket that was free, and ends with the
//! test process, also after `kill -9`. What can't be done fails the test with the reason: every
//! function here panics instead of returning an error.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a test fails by panicking, and this crate is part of tests"
)]

mod background;
mod cluster;
mod load;
mod numbers;
mod pgbouncer;
mod postgres;
mod process;
mod proxy;
mod redis;
mod rehearsal;
mod scratch;
mod scripted;
mod tls;
mod trial;

pub use aquifer_embedded::{Builder, Embedded, Shutdown};
pub use cluster::Cluster;
pub use load::{Client, Complaints, Ledger, Load, Meter, Wrote};
pub use numbers::Numbers;
pub use pgbouncer::PgBouncer;
pub use postgres::{Database, Login, Postgres};
pub use proxy::{Cut, Direction, Ending, Mode, Proxy, Traffic, Upstream, tag};
pub use redis::{Redis, RedisCluster, Sentinels};
pub use rehearsal::{Failovers, Fault, Rehearsal, Round};
pub use scripted::{CancelRequest, Gate, Received, Script, ScriptedServer, message};
pub use tls::{CertificateFiles, ServerCertificate, Tls};
pub use trial::{CELLS, Cached, Failpoint, Figures, List, Loading, Part, Trial, Versions, Way};
