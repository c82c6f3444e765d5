//! From a configuration to a session that is ready for its first statement.
//!
//! One deadline, `connect_timeout`, covers everything for one host. Dropping one of these futures
//! at any point closes its socket; only a name look-up, the reading of certificates or of a
//! password file and a key derivation, which run on the blocking pool, end by themselves a little later, without effect.

mod attempt;
mod authentication;
mod cancel;
mod connect;
mod encryption;
mod exchange;
mod passfile;
mod role;
mod scram;
mod search;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use bytes::BytesMut;

pub(crate) use self::cancel::{CancelRoute, send_cancel};
pub(crate) use self::search::open_any;
use crate::transport::Transport;

/// A session that is ready for its first statement.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) transport: Transport,
    /// Messages for the session to look at first: the notices of start-up, and what was read behind
    /// ReadyForQuery, which is nearly always nothing.
    pub(crate) unread: BytesMut,
    /// The server process; 0 if the server (a pooler) told none, and then it can't be cancelled.
    pub(crate) process_id: i32,
    /// What proves the right to cancel: 4 bytes in protocol 3.0, or none.
    pub(crate) secret_key: Vec<u8>,
    /// What the server reported of its settings.
    pub(crate) parameters: BTreeMap<String, String>,
    /// How to reach the same server again for a cancel request.
    pub(crate) cancel: CancelRoute,
}

/// The address of the socket's other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// How far opening got; named when the time runs out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    LookUp,
    Connect,
    Tls,
    Authentication,
    StartUp,
}

impl fmt::Display for Phase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::LookUp => "the name look-up",
            Self::Connect => "the TCP connect",
            Self::Tls => "the TLS handshake",
            Self::Authentication => "authentication",
            Self::StartUp => "start-up after authentication",
        })
    }
}

#[cfg(test)]
mod tests;
