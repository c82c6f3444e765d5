use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aquifer::{Config, Db, ErrorKind, Resolved, Retry, Session, UnknownCommit};
use aquifer_testkit::{Client, Wrote};

use super::{DEADLINE, READ, WRITE, one_line};
use crate::Error;

/// Both hosts in one URL; writes carry a key, so that they can be asked for again.
#[derive(Clone)]
pub struct Aquifer {
    db: Db,
    unknown: Arc<Mutex<HashMap<i64, UnknownCommit>>>,
}

impl Aquifer {
    /// Opens it on a URL of both hosts.
    ///
    /// # Errors
    /// When neither is the primary.
    pub async fn connect(url: &str) -> Result<Self, Error> {
        let config = Config::from_url(format!("{url}?target_session_attrs=primary"))?;
        Ok(Self {
            db: Db::connect_with(&config.query_timeout(DEADLINE)).await?,
            unknown: Arc::default(),
        })
    }
}

impl Client for Aquifer {
    async fn read(&self, id: i64) -> Result<i64, String> {
        let value = self.db.query_value(READ, (id,)).await;
        value.map_err(|error| one_line(&error))
    }

    async fn write(&self, id: i64) -> Wrote {
        let work = self.db.idempotent(format!("row {id}"));
        let error = match work.execute(WRITE, (id,)).await {
            Ok(_) => return Wrote::Done,
            Err(error) if error.kind() == ErrorKind::AlreadyDone => return Wrote::Done,
            Err(error) => error,
        };
        if error.retry() != Retry::IfIdempotent {
            return Wrote::NotDone(one_line(&error));
        }
        if let Some(commit) = error.unknown_commit() {
            let mut unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
            unknown.insert(id, commit.clone());
        }
        Wrote::Unknown(one_line(&error))
    }

    async fn resolve(&self, id: i64) -> Option<bool> {
        let commit = {
            let unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
            unknown.get(&id).cloned()
        };
        let Some(commit) = commit else {
            // Whoever has a key asks again: it is done now, if it was not before.
            return matches!(self.write(id).await, Wrote::Done).then_some(true);
        };
        match self.db.resolve(&commit).await {
            Ok(Resolved::Committed) => Some(true),
            Ok(Resolved::RolledBack) => Some(false),
            _ => None,
        }
    }
}
