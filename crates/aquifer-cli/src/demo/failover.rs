//! A primary that dies while it is written to, and the standby that takes its place.

mod load;
mod pair;

use std::time::{Duration, Instant};

use aquifer::{Config, Db, Error, Event, Events, HostRole, Service, Session};
use tokio::task::JoinHandle;
use tokio::time;

use self::load::Load;
use self::pair::Pair;
use super::excerpt::excerpt;
use super::figures;
use super::patience;
use super::stage::{Chapter, Failure, Step};

const SOURCE: &str = include_str!("failover.rs");

/// Writes before the primary dies, and after the standby has taken over.
const WRITES: usize = 200;
/// How long nobody promotes the standby: whoever does has to notice first.
const UNNOTICED: Duration = Duration::from_millis(300);
/// How often the standby is asked whether it takes writes.
const ASK_EVERY: Duration = Duration::from_millis(2);

pub(super) fn chapter() -> Chapter {
    let mut code = excerpt(SOURCE, "connect");
    code.push("");
    code.extend(load::code());
    code.push("");
    code.push("$ kill -9 primary; pg_ctl promote -D standby");
    Chapter {
        title: "kill -9 of the primary",
        why: "Both hosts stand in one URL. Writers are held while no host takes writes and go on \
              with the new primary; each event is shown as it comes, and afterwards what the \
              writers were told is held against what is there.",
        code,
    }
}

pub(super) async fn perform(step: &mut Step) -> Result<(), Failure> {
    let begun = Instant::now();
    let pair = Pair::start().await?;
    step.note(&format!(
        "a primary and a synchronous standby started in {}",
        figures::time(begun.elapsed())
    ));
    let db = connect(&pair.url()).await?;
    load::create(&db).await?;
    db.monitor().start();
    let events = db.events();
    let load = Load::start(&db);
    load.proceed(WRITES).await?;

    let killed = Instant::now();
    pair.kill_primary().await?;
    let opened = accepts_writes(pair.standby_url());
    let promoted = {
        let pair = pair.clone();
        tokio::spawn(async move {
            time::sleep(UNNOTICED).await;
            pair.promote().await
        })
    };
    tell(step, &pair, events, killed, &load).await;
    promoted.await??;
    let opened = opened.await??;
    load.proceed(WRITES).await?;
    let first_write = load.first_after(killed);
    let told = load.finish().await?;
    step.check(
        first_write.is_some(),
        &match first_write {
            Some(first) => format!(
                "first write {} after the new primary took writes, {} after the kill",
                figures::time(first.saturating_duration_since(opened)),
                figures::time(first - killed)
            ),
            None => "no write came through after the kill".to_owned(),
        },
    );
    told.report(step, &db).await?;
    let health = db.monitor().check_health().await;
    for health in health
        .iter()
        .filter(|health| health.service == Service::Postgres)
    {
        step.note(&format!("health now: {:?}", health.status));
    }
    db.close().await?;
    pair.stop().await
}

#[rustfmt::skip] // Laid out for the width of a terminal.
async fn connect(both: &str) -> Result<Db, Error> {
    // ANCHOR: connect
    let config = Config::from_url(both)? // postgres://…?host=a,b
        .acquire_timeout(Duration::from_secs(30))
        .query_timeout(Duration::from_secs(60));
    let db = Db::connect_with(&config).await?;
    // ANCHOR_END: connect
    Ok(db)
}

/// Shows events until writes have come through again.
async fn tell(step: &mut Step, pair: &Pair, mut events: Events, killed: Instant, load: &Load) {
    let show = async {
        while let Some(event) = events.next().await {
            if let Some(text) = words(&event) {
                let since = figures::time(killed.elapsed());
                step.note(&format!("{since:>7}  {}", pair.named(&text)));
            }
        }
    };
    let over = patience::until("writes come through again", async || {
        Ok(load.first_after(killed).is_some() && killed.elapsed() > UNNOTICED)
    });
    // Whether they came through is checked afterwards.
    let _ended = time::timeout(Duration::from_secs(60), async {
        tokio::select! {
            () = show => {}
            _ = over => {}
        }
    })
    .await;
}

/// Events that tell of the failover, in a line each.
fn words(event: &Event) -> Option<String> {
    Some(match event {
        Event::HealthChange {
            service, from, to, ..
        } => format!("health of {service}: {from:?}, now {to:?}"),
        Event::RoleChange { host, from, to, .. } => {
            let from = from.map_or("unknown", role);
            format!("{host}: {from}, now {}", role(*to))
        }
        Event::ModeChange { from, to, .. } => format!("mode: {from:?}, now {to:?}"),
        Event::Failover { to, gap, .. } => {
            format!(
                "failover to {to}, {} without a primary",
                figures::time(*gap)
            )
        }
        Event::ConnectionError { host, .. } => {
            format!(
                "{} does not answer",
                host.as_deref().unwrap_or("the database")
            )
        }
        Event::ConnectionRecovery { host, .. } => {
            format!(
                "{} answers again",
                host.as_deref().unwrap_or("the database")
            )
        }
        _ => return None,
    })
}

fn role(role: HostRole) -> &'static str {
    match role {
        HostRole::Primary => "primary",
        HostRole::Standby => "standby",
        HostRole::Fenced => "fenced",
        _ => "unreachable",
    }
}

/// Asks the standby until it is none any more; the moment it said so.
fn accepts_writes(standby: String) -> JoinHandle<Result<Instant, Failure>> {
    tokio::spawn(async move {
        let config = Config::from_url(standby)?
            .connections_max(1)
            .advanced(|advanced| advanced.lanes(0));
        let db = Db::connect_with(&config).await?;
        loop {
            if !db.query_value("select pg_is_in_recovery()", ()).await? {
                let opened = Instant::now();
                db.close().await?;
                return Ok(opened);
            }
            time::sleep(ASK_EVERY).await;
        }
    })
}
