use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

use super::script::{Script, Step};

/// A message that a client sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Received {
    /// The connection, counted from 1 in the order of acceptance.
    pub connection: u64,
    /// The tag; [`tag::STARTUP`](crate::tag::STARTUP) for the StartupMessage.
    pub tag: u8,
    /// What follows the length.
    pub body: Vec<u8>,
}

/// A CancelRequest.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CancelRequest {
    /// The process that BackendKeyData named.
    pub process: u32,
    /// The secret, of any length.
    pub secret: Vec<u8>,
}

/// So much is kept of what clients say; a test that needs more asks earlier.
const RECEIVED_MAX: usize = 10_000;

/// What all connections of one server share.
#[derive(Debug)]
pub(super) struct Stage {
    scripts: Mutex<Scripts>,
    pub(super) record: watch::Sender<Record>,
}

#[derive(Debug)]
enum Scripts {
    InTurn(VecDeque<Script>),
    Always(Script),
}

/// What has happened so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    pub(super) received: Vec<Received>,
    pub(super) cancels: Vec<CancelRequest>,
    pub(super) failures: Vec<String>,
    pub(super) played: usize,
    pub(super) expected: usize,
}

impl Stage {
    pub(super) fn in_turn(scripts: VecDeque<Script>) -> Self {
        let record = Record {
            expected: scripts.len(),
            ..Record::default()
        };
        Self {
            scripts: Mutex::new(Scripts::InTurn(scripts)),
            record: watch::Sender::new(record),
        }
    }

    pub(super) fn always(script: Script) -> Self {
        Self {
            scripts: Mutex::new(Scripts::Always(script)),
            record: watch::Sender::default(),
        }
    }

    /// Whether the next script waits for the client to speak first.
    pub(super) fn begins_by_reading(&self) -> bool {
        let scripts = self.scripts.lock().unwrap_or_else(PoisonError::into_inner);
        let script = match &*scripts {
            Scripts::InTurn(scripts) => scripts.front(),
            Scripts::Always(script) => Some(script),
        };
        // Without a script the client may still want to cancel.
        script.is_none_or(|script| matches!(script.steps.first(), Some(Step::Startup)))
    }

    pub(super) fn take_script(&self) -> Option<Script> {
        let mut scripts = self.scripts.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *scripts {
            Scripts::InTurn(scripts) => scripts.pop_front(),
            Scripts::Always(script) => Some(script.clone()),
        }
    }

    pub(super) fn received(&self, message: Received) {
        self.record.send_modify(|record| {
            if record.received.len() < RECEIVED_MAX {
                record.received.push(message);
            }
        });
    }

    pub(super) fn cancelled(&self, body: &[u8]) {
        let process = body.get(4..8).and_then(|bytes| bytes.try_into().ok());
        let request = CancelRequest {
            process: process.map_or(0, u32::from_be_bytes),
            secret: body.get(8..).unwrap_or_default().to_vec(),
        };
        self.record
            .send_modify(|record| record.cancels.push(request));
    }

    pub(super) fn failed(&self, failure: String) {
        self.record
            .send_modify(|record| record.failures.push(failure));
    }

    pub(super) fn played(&self) {
        self.record.send_modify(|record| record.played += 1);
    }
}
