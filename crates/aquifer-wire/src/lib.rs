//! One PostgreSQL connection for Aquifer.
//!
//! This crate speaks the PostgreSQL wire protocol, version 3: start-up, TLS, authentication, the
//! simple and the extended protocol, batches under one Sync, notifications and cancel. It knows one
//! connection and nothing of pools, retries or caches. Users of Aquifer meet it through the
//! `aquifer` crate, which re-exports the value types.
//!
//! [`Client`] makes requests, [`Driver`] carries them: an I/O future that the owner polls in a task.
//! Requests of several tasks are pipelined and answered in order. Reads that share one Sync
//! ([`Sharing::Shared`]) are held while the connection is busy and then travel together, so that a
//! loaded connection needs a fraction of the system calls and of the server's work per query.

mod cancel;
mod client;
pub mod config;
mod copy;
mod database_error;
mod driver;
mod ended;
mod error;
mod event;
mod frame;
mod from_row;
mod lookup;
mod names;
mod parameters;
mod portal;
mod pulse;
mod queue;
mod reply;
mod request;
mod row;
mod secret;
mod shared;
mod slot;
mod socket;
mod sqlstate;
mod startup;
mod statement;
mod tls;
mod transport;
pub mod types;

pub use crate::client::{Client, Limits, Started, TransactionStatus, Unfinished};
pub use crate::config::{Config, Target};
pub use crate::copy::{CopyIn, CopyOut};
pub use crate::database_error::DatabaseError;
pub use crate::driver::Driver;
pub use crate::ended::Ended;
pub use crate::error::{Error, Kind};
pub use crate::event::{Event, Events, Notification};
pub use crate::from_row::{FromRow, Mapping, RowReader};
pub use crate::parameters::check_count;
pub use crate::portal::{Fetched, Portal};
pub use crate::pulse::Pulse;
pub use crate::queue::Sharing;
pub use crate::reply::{Reply, RowAt};
pub use crate::row::{ColumnIndex, Row};
pub use crate::secret::Secret;
pub use crate::sqlstate::SqlState;
pub use crate::statement::{Catalog, Column, Columns, Statement, fingerprint};
