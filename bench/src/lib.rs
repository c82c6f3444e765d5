//! Peers side by side: the same statement, the same rows, the same private server, in one run.
//!
//! A [`Contender`] is one way to run the statement; each peer has a file under [`peers`] that opens
//! its contenders. [`rounds`] lets them run in turns, so that whatever else the machine does meets
//! all of them alike, and [`counted`] counts instructions and system calls, which no other load
//! changes. [`report`] prints tables in Markdown.

pub mod contender;
pub mod counted;
pub mod cpu;
pub mod delay;
pub mod peers;
pub mod report;
pub mod rounds;
pub mod server;
pub mod user;

pub use contender::{Contender, Entry, Race};
pub use server::Server;
pub use user::User;

/// Anything that went wrong: a benchmark ends with it.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
