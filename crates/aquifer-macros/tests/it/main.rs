//! The derives' code, compiled and run against stand-ins of the crate that it is written for.
#![allow(
    clippy::exhaustive_structs,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    unnameable_types,
    unreachable_pub,
    reason = "stand-ins are not an interface"
)]

mod aquifer;
mod from_row;
