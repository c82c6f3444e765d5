//! The library against real servers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::missing_docs_in_private_items,
    clippy::large_futures,
    reason = "a test fails by panicking, and may use what the library must not"
)]

mod ambient;
mod ancestor;
mod boundaries;
mod cancel_safety;
mod conflicts;
mod events;
mod faults;
mod from_row;
mod hooks;
mod idempotency;
mod ledger;
mod listen;
mod manager;
mod network;
mod once;
mod opening;
mod opening_transactions;
mod outcome;
mod queries;
mod routing;
mod runtimes;
mod session_state;
mod shutdown;
mod support;
mod transactions;
