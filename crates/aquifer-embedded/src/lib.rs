//! A private PostgreSQL, started from the binaries on this machine, that ends with its owner.
//!
//! Nothing that is installed is touched: no service, no existing cluster, no port unless one is
//! asked for. The server runs in a directory of its own behind a unix socket; a root owner steps
//! down to `postgres` or `nobody`. It ends when it is stopped, when [`Embedded`] is dropped, and when
//! the owner is killed, for then a [`Watchdog`] ends it.
//!
//! ```
//! use aquifer_embedded::Embedded;
//!
//! let server = Embedded::builder()
//!     .setting("max_connections", "20")
//!     .start()?;
//! assert!(server.url().starts_with("postgresql://postgres@"));
//! server.stop()?;
//! # Ok::<(), aquifer_embedded::Error>(())
//! ```
//!
//! | I want … | use … |
//! |---|---|
//! | a server for a test or a demonstration | [`Embedded::start`] |
//! | data that is still there tomorrow | [`Builder::directory`] |
//! | a port, TLS, settings, access rules | [`Builder`] |
//! | a second server that follows it, and takes over | [`Builder::standby_of`], [`Embedded::promote`] |
//! | to see what a client does when the server stops | [`Embedded::shut_down`], [`Embedded::start_again`] |
//!
//! All calls block the thread for as long as PostgreSQL needs: about a second for a new directory, a
//! tenth of a second otherwise.

mod account;
mod binaries;
mod builder;
mod cluster;
mod deadline;
mod embedded;
mod error;
mod initdb;
mod place;
mod postmaster;
mod standby;
mod url;
mod watchdog;

pub use builder::Builder;
pub use embedded::Embedded;
pub use error::{Error, ErrorKind};
pub use place::free_port;
pub use postmaster::Shutdown;
pub use watchdog::{Ending, Watchdog};
