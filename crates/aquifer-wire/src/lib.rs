//! One PostgreSQL connection for Aquifer.
//!
//! This crate speaks the PostgreSQL wire protocol, version 3: start-up, TLS, authentication, the
//! simple and the extended protocol, batches under one Sync, notifications and cancel. It knows one
//! connection and nothing of pools, retries or caches. Users of Aquifer meet it through the
//! `aquifer` crate, which re-exports the value types.

mod database_error;
mod error;
mod sqlstate;
pub mod types;

pub use crate::database_error::DatabaseError;
pub use crate::error::{Error, Kind};
pub use crate::sqlstate::SqlState;
