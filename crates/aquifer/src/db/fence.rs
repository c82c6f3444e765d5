//! The row that is raised when Redis was not told of a change.

use std::panic::Location;

use aquifer_wire::SqlState;

use crate::Error;
use crate::cache::{FenceAnswer, FenceRow};
use crate::execute::{self, Engine};
use crate::statement::Call;

const READ: &str = "select epoch from aquifer.cache_fence where namespace = $1";

const RAISE: &str = "insert into aquifer.cache_fence as fence (namespace, epoch) values ($1, 1) \
    on conflict (namespace) do update set epoch = fence.epoch + 1";

/// Several services may do it at once, hence the lock.
const CREATE: &str = "do $$ begin \
    perform pg_advisory_xact_lock(7020383461); \
    if to_regnamespace('aquifer') is null then create schema aquifer; end if; \
    if to_regclass('aquifer.cache_fence') is null then \
      create table aquifer.cache_fence (namespace text primary key, epoch bigint not null); \
    end if; \
  end $$";

/// That of one namespace.
pub(super) struct Fence {
    pub(super) engine: Engine,
    pub(super) namespace: String,
}

impl FenceRow for Fence {
    fn raise(&self) -> FenceAnswer<'_, ()> {
        Box::pin(async move {
            match self.upsert().await {
                Err(error) if is_missing(&error) => {
                    let created = execute::run_script(&self.engine, CREATE, Location::caller());
                    Box::pin(created).await.map_err(explain)?;
                    self.upsert().await
                }
                done => done,
            }
        })
    }

    fn read(&self) -> FenceAnswer<'_, i64> {
        Box::pin(async move {
            let namespace = (self.namespace.as_str(),);
            let call = Call::built(READ, &namespace, Location::caller());
            match execute::run(&self.engine, call).await {
                Ok(reply) => Ok(reply.decode_column()?.pop().unwrap_or(0)),
                Err(error) if is_missing(&error) => Ok(0),
                Err(error) => Err(error),
            }
        })
    }
}

impl Fence {
    async fn upsert(&self) -> Result<(), Error> {
        let namespace = (self.namespace.as_str(),);
        let call = Call::built(RAISE, &namespace, Location::caller());
        execute::run(&self.engine, call).await.map(drop)
    }
}

fn is_missing(error: &Error) -> bool {
    error.sqlstate() == Some(&SqlState::UNDEFINED_TABLE)
}

fn explain(error: Error) -> Error {
    error.add(
        "the table aquifer.cache_fence can't be made; make it as (namespace text primary key, epoch \
         bigint not null), and grant SELECT, INSERT and UPDATE on it",
    )
}
