use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aquifer_testkit::{Client, Wrote};
use sqlx::postgres::{PgPool, PgPoolOptions};
use tokio::time::{sleep, timeout};

use super::{DEADLINE, READ, WRITE, one_line};
use crate::Error;

/// Between two attempts of one call.
const PAUSE: Duration = Duration::from_millis(20);

/// sqlx knows one host per pool, so its users keep a list: a call that fails on one host goes on with
/// the next until its deadline, where nothing can have been written.
#[derive(Clone)]
pub struct Sqlx(Arc<Hosts>);

struct Hosts {
    pools: Vec<PgPool>,
    current: AtomicUsize,
}

impl Sqlx {
    /// Makes it for the URLs of all hosts.
    ///
    /// # Errors
    /// When a URL can't be read.
    pub fn connect(urls: &[String]) -> Result<Self, Error> {
        let pool = |url: &String| {
            PgPoolOptions::new()
                .max_connections(10)
                // Half a deadline, so that there is time for the other host.
                .acquire_timeout(DEADLINE / 2)
                .connect_lazy(url)
        };
        let pools: Result<Vec<PgPool>, _> = urls.iter().map(pool).collect();
        Ok(Self(Arc::new(Hosts {
            pools: pools?,
            current: AtomicUsize::new(0),
        })))
    }

    fn current(&self) -> (usize, &PgPool) {
        let current = self.0.current.load(Ordering::Relaxed) % self.0.pools.len();
        (current, &self.0.pools[current])
    }

    /// The next host, unless somebody else has moved on already.
    fn move_on(&self, from: usize) {
        let next = (from + 1) % self.0.pools.len();
        let order = Ordering::Relaxed;
        let _moved = self.0.current.compare_exchange(from, next, order, order);
    }

    async fn look_up(&self, id: i64) -> i64 {
        loop {
            let (host, pool) = self.current();
            match sqlx::query_scalar(READ).bind(id).fetch_one(pool).await {
                Ok(value) => return value,
                Err(_) => self.move_on(host),
            }
            sleep(PAUSE).await;
        }
    }

    async fn insert(&self, id: i64) -> Wrote {
        loop {
            let (host, pool) = self.current();
            let sent = match pool.acquire().await {
                Ok(mut connection) => sqlx::query(WRITE).bind(id).execute(&mut *connection).await,
                Err(_) => {
                    self.move_on(host);
                    sleep(PAUSE).await;
                    continue;
                }
            };
            match sent {
                Ok(_) => return Wrote::Done,
                // A standby, which has done nothing.
                Err(error) if code(&error).as_deref() == Some("25006") => self.move_on(host),
                Err(error) => {
                    self.move_on(host);
                    return Wrote::Unknown(one_line(&error));
                }
            }
            sleep(PAUSE).await;
        }
    }
}

fn code(error: &sqlx::Error) -> Option<String> {
    let code = error.as_database_error()?.code()?;
    Some(code.into_owned())
}

impl Client for Sqlx {
    async fn read(&self, id: i64) -> Result<i64, String> {
        let (host, _) = self.current();
        let answer = timeout(DEADLINE, self.look_up(id)).await;
        answer.map_err(|_elapsed| {
            self.move_on(host);
            "the caller's deadline".to_owned()
        })
    }

    async fn write(&self, id: i64) -> Wrote {
        let (host, _) = self.current();
        let wrote = timeout(DEADLINE, self.insert(id)).await;
        wrote.unwrap_or_else(|_elapsed| {
            self.move_on(host);
            Wrote::Unknown("the caller's deadline".to_owned())
        })
    }

    async fn resolve(&self, _id: i64) -> Option<bool> {
        None
    }
}
