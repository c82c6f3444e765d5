//! Peers side by side: the same statements, the same rows, the same private server, in one run.
//!
//! A [`Contender`] is one way to work with the database; each peer has a file under [`peers`] that
//! opens its contenders, and each kind of work a file under [`workloads`]. [`rounds`] lets the
//! contenders run in turns, so that whatever else the machine does meets all of them alike, and
//! [`counted`] counts instructions, system calls and allocations, which no other load changes.
//! [`report`] prints tables in Markdown, [`figures`] draws the ratios that are promised from them.

pub mod bounded;
#[cfg(feature = "cache")]
pub mod cache;
pub mod contender;
pub mod counted;
pub mod cpu;
pub mod delay;
#[cfg(feature = "peers")]
pub mod document;
#[cfg(feature = "failover")]
pub mod failover;
#[cfg(feature = "peers")]
pub mod figures;
pub mod marked;
pub mod peers;
pub mod place;
#[cfg(feature = "peers")]
pub mod plot;
#[cfg(feature = "query")]
pub mod query;
pub mod report;
pub mod rounds;
pub mod runtime;
pub mod sections;
pub mod server;
pub mod statements;
pub mod user;
pub mod workloads;

pub use contender::{Contender, Entry, Race};
pub use place::Place;
pub use server::{Durability, Server};
pub use user::User;
pub use workloads::Workload;

/// Anything that went wrong: a benchmark ends with it.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
