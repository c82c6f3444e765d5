//! The library against real servers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::missing_docs_in_private_items,
    clippy::large_futures,
    reason = "a test fails by panicking, and may use what the library must not"
)]

mod admission;
mod ambient;
mod ancestor;
mod boundaries;
mod breaker;
mod bulk;
mod cache;
mod cancel_safety;
mod conflicts;
mod credentials;
mod entity;
mod events;
mod failover;
mod faults;
mod from_row;
mod guides;
mod hooks;
mod idempotency;
mod lanes;
mod ledger;
mod lending;
mod listen;
mod lookups;
mod manager;
mod metrics;
mod migrate;
mod monitor;
mod network;
mod once;
mod opening;
mod opening_transactions;
mod outcome;
mod overload;
mod partial;
mod pooler;
mod queries;
mod query;
mod ramp;
mod redis;
mod reports;
#[cfg(feature = "testing")]
mod repository;
mod routing;
mod runtimes;
mod scenarios;
mod session_state;
mod settings;
mod shutdown;
mod silence;
mod soak;
mod support;
mod switchover;
#[cfg(feature = "testing")]
mod testing;
mod tls;
mod topology;
mod transactions;
mod upkeep;
mod verbs;
mod writes;
