//! The cache of a `Db`: where queries, writes and what is kept of them meet.

use std::any::Any;
use std::fmt;
use std::panic::Location;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use aquifer_core::stamps::Noted;
use aquifer_wire::Reply;
use quick_cache::sync::Cache as Bounded;
use tokio::sync::watch;
use tokio::time::Instant;

use super::Db;
use super::fence::Fence;
use super::foreign::Watcher;
use crate::cache::{Asked, CATALOG, Cache, Line, Reading, Relations, Rows, Unkept};
use crate::config::CacheSettings;
use crate::deadline::Deadline;
use crate::execute::{self, Engine, Placement, Telling, Watch};
use crate::pool::Destination;
use crate::query::Plan;
use crate::redis::Redis;
use crate::statement::{Call, Changed, Keepable, Text};
use crate::transaction;
use crate::{Error, ErrorKind, clock};

/// For how long what the catalog says is believed, unless the layer itself changes it.
const CATALOG_AGE_MAX: Duration = Duration::from_secs(60);

/// Of so many texts of statements it is kept what they change.
const TEXTS_MAX: usize = 2_000;

/// When what may have been committed only later is told again: a statement whose caller is gone, or
/// whose connection was lost, still runs on the server.
const AGAIN: [Duration; 2] = [Duration::from_secs(3), Duration::from_secs(60)];

/// Where the cache is once somebody has asked for it: who does not use it pays nothing for it.
pub(super) struct CachePlace {
    begun: OnceLock<Cache>,
    /// Itself, for the task that watches what others write.
    own: Weak<Self>,
    settings: CacheSettings,
    redis: Option<Redis>,
    /// For the catalog: of nobody's transaction, without settings, and told nothing itself.
    engine: Engine,
    /// On whose behalf queries run, as far as the connection decides that.
    scope: String,
    texts: Bounded<Box<str>, Arc<Text>>,
    known: Mutex<Option<Known>>,
    /// Held by who asks the catalog.
    asking: tokio::sync::Mutex<()>,
    /// Whether the layer is being shut down.
    ending: watch::Sender<bool>,
}

/// What the catalog says, and since when.
struct Known {
    relations: Arc<Relations>,
    asked: Instant,
    noted: Noted,
}

impl CachePlace {
    /// The engine, which tells the place of its writes.
    pub(super) fn watching(
        mut engine: Engine,
        (settings, scope): (CacheSettings, String),
        redis: Option<Redis>,
    ) -> (Arc<Engine>, Arc<Self>) {
        let others = engine.clone();
        let place = Arc::new_cyclic(|own| Self::new(own, others, (settings, scope), redis));
        engine.watch = Some(Arc::<Self>::clone(&place));
        (Arc::new(engine), place)
    }

    fn new(
        own: &Weak<Self>,
        engine: Engine,
        (settings, scope): (CacheSettings, String),
        redis: Option<Redis>,
    ) -> Self {
        Self {
            begun: OnceLock::new(),
            own: Weak::clone(own),
            settings,
            redis,
            engine: Engine {
                placement: Placement::Exclusive,
                detached: true,
                watch: None,
                ..engine
            },
            scope,
            texts: Bounded::new(TEXTS_MAX),
            known: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
            ending: watch::Sender::new(false),
        }
    }

    pub(super) fn begun(&self) -> Option<&Cache> {
        self.begun.get()
    }

    /// Whose values are its own, of all that share a Redis and a database.
    pub(super) fn namespace(&self) -> &str {
        &self.settings.namespace
    }

    /// Those who listen to channels are told that there is nothing more to hear.
    pub(super) fn end(&self) {
        self.ending.send_replace(true);
        if let Some(cache) = self.begun.get() {
            cache.end_subscriptions();
        }
    }

    fn cache(&self) -> &Cache {
        self.begun.get_or_init(|| {
            let settings = self.settings.clone();
            if let (Some(interval), Some(place)) = (settings.foreign_interval, self.own.upgrade()) {
                let shared = self.redis.is_some();
                let watcher = Watcher::new(&place, &self.engine, (interval, shared));
                drop(self.engine.tasks.spawn(watcher.run()));
            }
            match &self.redis {
                Some(redis) => {
                    let fence = Fence {
                        engine: self.engine.clone(),
                        namespace: settings.namespace.clone(),
                    };
                    Cache::shared(settings, redis, Some(Arc::new(fence)))
                }
                None => {
                    let tasks = Arc::clone(&self.engine.tasks);
                    Cache::alone(settings, tasks, self.engine.observers.clone())
                }
            }
        })
    }

    /// What the catalog says.
    async fn relations(&self) -> Result<Arc<Relations>, Error> {
        if let Some(known) = self.known() {
            return Ok(known);
        }
        let _asking = self.asking.lock().await;
        if let Some(known) = self.known() {
            return Ok(known);
        }
        let (asked, noted) = (clock::now(), self.cache().note_database());
        let call = Call::built(CATALOG, &(), Location::caller());
        let reply = execute::run(&self.engine, call).await?;
        let lines: Vec<Line> = reply.decode()?;
        let relations = Arc::new(Relations::of(lines));
        *self.lock() = Some(Known {
            relations: Arc::clone(&relations),
            asked,
            noted,
        });
        Ok(relations)
    }

    fn known(&self) -> Option<Arc<Relations>> {
        let known = self.lock();
        let known = known.as_ref()?;
        let is_recent = clock::now() - known.asked < CATALOG_AGE_MAX;
        (is_recent && known.noted.is_unchanged()).then(|| Arc::clone(&known.relations))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn tags_of(&self, changed: &Changed) -> Vec<Box<str>> {
        match self.relations().await {
            Ok(relations) => relations.tags_of(changed),
            // Without knowing more it may have been anything.
            Err(_unknown) => Relations::tags_of_anything(),
        }
    }
}

impl Watch for CachePlace {
    fn is_needed(&self) -> bool {
        self.redis.is_some() || self.begun.get().is_some()
    }

    fn text(&self, sql: &str) -> Option<Arc<Text>> {
        let text = self.texts.get(sql).unwrap_or_else(|| {
            let text = Arc::new(Text::of(sql));
            self.texts.insert(sql.into(), Arc::clone(&text));
            text
        });
        let calls = || {
            let known = self.known();
            known.is_none_or(|known| known.may_change(&text.functions))
        };
        let may_change = text.has_effects() || !text.functions.is_empty() && calls();
        may_change.then_some(text)
    }

    fn tell(self: Arc<Self>, changed: Changed, in_doubt: bool) -> Telling {
        Box::pin(async move {
            let tags = self.tags_of(&changed).await;
            if tags.is_empty() {
                return;
            }
            self.cache().touch(&tags).await;
            if !in_doubt {
                return;
            }
            let cache = self.cache().clone();
            let mut ending = self.ending.subscribe();
            let again = async move {
                for pause in AGAIN {
                    let ended = Deadline::after(pause).run(ending.wait_for(|ending| *ending));
                    let is_ending = ended.await.is_ok();
                    cache.touch(&tags).await;
                    if is_ending {
                        return;
                    }
                }
            };
            drop(self.engine.tasks.spawn(again));
        })
    }
}

impl fmt::Debug for CachePlace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.begun.get().fmt(formatter)
    }
}

impl Db {
    /// Values by key, in memory and in Redis: see [`Cache`]. Without `redis_url` in memory only, for this
    /// process. Results of queries are kept by [`QueryBuilder::cache`](crate::QueryBuilder::cache).
    ///
    /// With `redis_url` every write tells Redis what it has changed before it returns, which takes one
    /// round trip, since any process may keep it; without, only once the cache has begun here.
    ///
    /// It begins when it is first asked for, which must be within a runtime, and shares this handle's
    /// events, figures and shutdown. Values are not those of a transaction or of
    /// [settings](Self::with_settings): put the tenant into the key.
    #[must_use]
    pub fn cache(&self) -> &Cache {
        self.cache.cache()
    }

    /// The result of a query that is kept: from memory, from Redis, or from the database.
    pub(super) async fn rows_kept(
        &self,
        query: Arc<dyn Keepable>,
        location: &'static Location<'static>,
    ) -> Result<Reply, Error> {
        let engine = &self.engine;
        let call = query.call(location);
        if let Some(ambient) = transaction::current(engine)? {
            return crate::session::sealed::Run::run(&ambient, call).await;
        }
        let any: Arc<dyn Any + Send + Sync> = Arc::<dyn Keepable>::clone(&query);
        let plan = any.downcast::<Plan>().ok();
        let Some((plan, keeping)) = plan.as_ref().and_then(|plan| Some((plan, plan.kept()?)))
        else {
            return execute::run(engine, call).await;
        };
        let on_behalf = (self.cache.scope.as_str(), engine.settings.as_ref());
        let asked = Asked::of(plan, keeping, on_behalf)?;
        let cache = self.cache();
        let must_know = matches!(
            engine.destination,
            Destination::Replica {
                at_least: Some(_),
                ..
            }
        );
        if !must_know && let Some(rows) = cache.rows_here(&asked) {
            return Ok(rows.reply.clone());
        }
        let relations = self.cache.relations().await;
        let reading = match &relations {
            Ok(relations) => Reading::of(plan, keeping, relations)?,
            Err(_away) => Reading::guessed(plan, keeping),
        };
        if must_know {
            // What the token knows of was told to Redis before it was given out.
            let found = cache.rows_confirmed(&asked, &reading.tags).await;
            return match found {
                Some(rows) => Ok(rows.reply.clone()),
                None => execute::run(engine, call).await,
            };
        }
        let keeps = relations.is_ok();
        let load = loader(
            engine,
            (plan, location),
            (asked.identity, keeps, reading.is_of_row),
        );
        let ttl = keeping.ttl;
        let rows = Box::pin(cache.rows(&asked, (reading.tags, ttl), load)).await;
        match rows {
            // Who asks a replica may have rows though there is no primary now.
            Err(error) if engine.destination != Destination::Main && is_away(&error) => {
                execute::run(engine, call).await
            }
            rows => rows.map(|rows| rows.reply),
        }
    }
}

fn is_away(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Acquire | ErrorKind::Connection | ErrorKind::Unavailable
    )
}

/// Reads a result from the primary, outside of any transaction: a replica may not know what has just
/// been written.
fn loader(
    engine: &Arc<Engine>,
    (plan, location): (&Arc<Plan>, &'static Location<'static>),
    (identity, keeps, is_of_row): (u128, bool, bool),
) -> impl Fn() -> LoadedRows + Clone + Send + use<> {
    let engine = Arc::new(Engine {
        destination: Destination::Main,
        detached: true,
        ..Engine::clone(engine)
    });
    let plan = Arc::clone(plan);
    move || {
        let (engine, plan) = (Arc::clone(&engine), Arc::clone(&plan));
        Box::pin(async move {
            let call = Call::built(plan.sql(), plan.params(), location);
            let reply = execute::run(&engine, call).await?;
            let is_kept = keeps && !(is_of_row && reply.is_empty());
            let rows = Rows { identity, reply };
            match is_kept {
                true => Ok(rows),
                false => Err(Unkept::Rows(rows)),
            }
        })
    }
}

type LoadedRows = std::pin::Pin<Box<dyn Future<Output = Result<Rows, Unkept>> + Send>>;
