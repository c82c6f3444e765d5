//! The testkit's own tests: each fault does what it says, on real servers.
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod cluster;
mod crash;
mod pgbouncer;
mod postgres;
mod proxy;
mod redis;
mod scripted;
mod tls;
