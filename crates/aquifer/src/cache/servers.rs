use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

use super::Inner;
use super::rules::{Rule, keeps};
use crate::redis::Redis;
use crate::{Error, ErrorKind};

/// Which servers this process has found to hold what it may believe.
///
/// A replica that was promoted, or a server that was started again with what it had once saved, may have
/// lost the last stamps. Then versions may come again that there were before, under lives that go on, and
/// old values stand under stamps that fit. So nothing that others than the known servers say is believed
/// before the stamp of the namespace was renewed there.
#[derive(Debug, Default)]
pub(super) struct Servers {
    /// Their identity; 0 before any.
    known: AtomicU64,
    checking: Mutex<()>,
}

/// So often they may change while they are looked at.
const ATTEMPTS: usize = 3;

impl Inner {
    /// Whether an answer that has come by now is one of servers that are known.
    pub(super) fn knows_servers(&self) -> bool {
        let Some(redis) = self.redis() else {
            return true;
        };
        !keeps(Rule::ServersCompared)
            || redis.identity() == Some(self.servers.known.load(Ordering::Acquire))
    }

    /// Gets to know the servers, if others have taken their place: one round trip, and three where
    /// nobody has yet.
    pub(super) async fn know_servers(&self) -> Result<(), Error> {
        let Some(redis) = self.redis() else {
            return Ok(());
        };
        if self.knows_servers() {
            return Ok(());
        }
        let _one_at_a_time = self.servers.checking.lock().await;
        for _ in 0..ATTEMPTS {
            if self.knows_servers() {
                return Ok(());
            }
            self.check_servers(redis).await?;
        }
        let text = "it is not known which servers of Redis answer: they change all the time, or some \
                    of them are away";
        Err(Error::new(ErrorKind::Connection, text))
    }

    /// As [`know_servers`](Self::know_servers), for calls: they do not wait for Redis that is away.
    pub(super) async fn believe_servers(&self) -> Result<(), Error> {
        if self.knows_servers() {
            return Ok(());
        }
        // Boxed: it is rare.
        Box::pin(self.store.unless_away(self.know_servers())).await
    }

    async fn check_servers(&self, redis: &Redis) -> Result<(), Error> {
        let place = self.names.servers();
        let before = redis.identity();
        // Opens connections, where there are none.
        let noted: Option<String> = redis.command("GET").arg(&place).run().await?;
        let Some(identity) = before.filter(|before| redis.identity() == Some(*before)) else {
            return Ok(());
        };
        let text = format!("{identity:016x}");
        if noted.as_ref() != Some(&text) {
            self.renew().await?;
            redis
                .command("SET")
                .arg(&place)
                .arg(text)
                .run::<()>()
                .await?;
        }
        self.servers.known.store(identity, Ordering::Release);
        Ok(())
    }
}
