//! Values and stamps in Redis.

use std::time::Duration;

use ::redis::Value;
use aquifer_core::stamps::Stamp;

use super::claim::Claim;
use super::rules::{Rule, keeps};
use super::scripts;
use super::store::{Entry, StampFor, Stored};
use crate::redis::{Pipeline, Redis};
use crate::{Error, ErrorKind, clock};

/// So many keys are looked at and removed at a time.
const SWEPT: usize = 1_000;

/// So many stamps are changed by one run of a script, which holds up all others.
const SCRIPTED: usize = 64;

/// What Redis says to one command.
type Answer = Result<Value, Error>;

pub(super) struct Remote {
    pub(super) redis: Redis,
}

impl Remote {
    pub(super) async fn read(
        &self,
        entries: &[String],
        stamps: &[String],
    ) -> Result<Stored, Error> {
        let answers = self
            .reading(self.redis.pipeline(), entries, stamps)
            .run_each();
        self.stored(answers.await?.into_iter(), entries.len(), stamps.len())
    }

    /// A cluster's nodes are asked at the same time, so there the claim may have been made after the value
    /// was read.
    pub(super) async fn read_claiming(
        &self,
        entry: &str,
        stamps: &[String],
        claim: &Claim,
    ) -> Result<(bool, Stored), Error> {
        let pipeline = script(self.redis.pipeline(), scripts::CLAIM, claim.name());
        let pipeline = pipeline.arg(claim.token()).arg(Claim::milliseconds());
        let entry = [entry.to_owned()];
        let read = self.reading(pipeline, &entry, stamps).idempotent();
        let mut answers = read.run_each().await?.into_iter();
        let is_ours = integer(answers.next().unwrap_or_else(|| Err(malformed()))?)? == 1;
        Ok((is_ours, self.stored(answers, 1, stamps.len())?))
    }

    fn reads_together(&self, names: usize) -> bool {
        // A cluster's nodes each answer for their own keys.
        !self.redis.is_cluster() && names > 1
    }

    fn reading(&self, mut pipeline: Pipeline, entries: &[String], stamps: &[String]) -> Pipeline {
        let names: Vec<&String> = entries.iter().chain(stamps).collect();
        if self.reads_together(names.len()) {
            pipeline = pipeline.command("MGET").arg(names.as_slice());
        } else {
            for name in &names {
                pipeline = pipeline.command("GET").arg(name.as_str());
            }
        }
        for entry in entries {
            pipeline = pipeline.command("PTTL").arg(entry);
        }
        pipeline
    }

    fn stored(
        &self,
        mut answers: std::vec::IntoIter<Answer>,
        entries: usize,
        stamps: usize,
    ) -> Result<Stored, Error> {
        let names = entries + stamps;
        let mut texts: Vec<Option<Vec<u8>>> = Vec::with_capacity(names);
        if self.reads_together(names) {
            match answers.next().transpose()? {
                Some(Value::Array(values)) => texts.extend(values.into_iter().map(text)),
                _ => return Err(malformed()),
            }
        } else {
            for answer in answers.by_ref().take(names) {
                texts.push(text_unless_of_another_kind(answer)?);
            }
        }
        if texts.len() != names {
            return Err(malformed());
        }
        let read = texts.split_off(entries);
        let stamp = |text: Option<Vec<u8>>| text.and_then(|text| Stamp::parse(&text));
        let stamps = read.into_iter().map(stamp).collect();
        let entries = texts.into_iter().zip(answers).map(entry);
        Ok(Stored {
            entries: entries.collect::<Result<_, _>>()?,
            stamps,
        })
    }

    pub(super) async fn ensure(&self, stamps: &[StampFor]) -> Result<Vec<Stamp>, Error> {
        let mut pipeline = self.redis.pipeline();
        for stamp in stamps {
            pipeline = ensure(pipeline, stamp);
        }
        read_stamps(pipeline).await
    }

    pub(super) async fn bump(&self, stamps: &[StampFor]) -> Result<Vec<Stamp>, Error> {
        let mut pipeline = self.redis.pipeline();
        for stamp in stamps {
            pipeline = bump(pipeline, stamp);
        }
        read_stamps(pipeline).await
    }

    pub(super) async fn bump_present(&self, stamps: &[StampFor]) -> Result<(), Error> {
        let mut pipeline = self.redis.pipeline();
        let together = if self.redis.is_cluster() { 1 } else { SCRIPTED };
        for stamps in stamps.chunks(together) {
            let names: Vec<&str> = stamps.iter().map(|stamp| &*stamp.name).collect();
            let script = pipeline.command("EVAL").arg(scripts::BUMP_PRESENT);
            pipeline = script.arg(names.len()).arg(names);
        }
        let answers = pipeline.idempotent().run_each().await?;
        answers.into_iter().try_for_each(|answer| answer.map(drop))
    }

    pub(super) async fn put(
        &self,
        entries: &[(String, Vec<u8>)],
        ttl: Duration,
    ) -> Result<(), Error> {
        let mut pipeline = self.redis.pipeline();
        for (name, bytes) in entries {
            pipeline = script(pipeline, scripts::PUT, name);
            pipeline = pipeline.arg(bytes).arg(milliseconds(Some(ttl)));
        }
        let answers = pipeline.idempotent().run_each().await?;
        answers.into_iter().try_for_each(|answer| answer.map(drop))
    }

    pub(super) async fn delete(
        &self,
        entries: &[String],
        stamps: &[StampFor],
    ) -> Result<u64, Error> {
        let mut pipeline = self.redis.pipeline();
        for stamp in stamps {
            pipeline = bump(pipeline, stamp);
        }
        for entry in entries {
            pipeline = pipeline.command("UNLINK").arg(entry);
        }
        let mut answers = pipeline.idempotent().run_each().await?.into_iter();
        for answer in answers.by_ref().take(stamps.len()) {
            drop(answer?);
        }
        answers.try_fold(0, |removed: u64, answer| {
            Ok(removed + u64::try_from(integer(answer?)?).unwrap_or(0))
        })
    }

    pub(super) async fn expire(
        &self,
        entry: &str,
        stamp: &str,
        ttl: Duration,
    ) -> Result<bool, Error> {
        let ttl = milliseconds(Some(ttl));
        let expire = script(self.redis.pipeline(), scripts::EXPIRE, entry).arg(ttl);
        let (is_there,): (i64,) = expire.idempotent().run().await?;
        // Whoever keeps the value learns its time when it asks again.
        let touch = script(self.redis.pipeline(), scripts::TOUCH, stamp).arg(ttl);
        touch.idempotent().run::<(i64,)>().await?;
        Ok(is_there == 1)
    }

    pub(super) async fn add(&self, entry: &str, number: i64) -> Result<i64, Error> {
        let add = self.redis.command("INCRBY").arg(entry).arg(number);
        add.run().await.map_err(|error| match error.redis_code() {
            Some("ERR" | "WRONGTYPE") => not_a_counter().with_source(error),
            _ => error,
        })
    }

    pub(super) async fn renew(&self, name: &str, stamp: Stamp) -> Result<(), Error> {
        let renew = script(self.redis.pipeline(), scripts::RENEW, name);
        let renew = renew.arg(stamp.to_string()).idempotent();
        renew.run::<(i64,)>().await.map(drop)
    }

    /// Each master knows only its own keys, so each is asked by a connection to it.
    pub(super) async fn sweep(&self, prefix: &str) -> Result<(), Error> {
        let pattern = format!("{prefix}*");
        for address in self.redis.masters() {
            let link = self.redis.link(&address, |_push| {}).await?;
            let mut cursor = String::from("0");
            loop {
                let scan = link.command("SCAN").arg(&cursor).arg("MATCH").arg(&pattern);
                let scan = scan.arg("COUNT").arg(SWEPT);
                let (next, keys): (String, Vec<Vec<u8>>) = scan.run().await?;
                let mut pipeline = link.pipeline();
                for key in &keys {
                    pipeline = pipeline.command("UNLINK").arg(key);
                }
                // One that moves to another master just now is swept there, or stays.
                drop(pipeline.run_each().await?);
                if next == "0" {
                    break;
                }
                cursor = next;
            }
        }
        Ok(())
    }

    pub(super) async fn discard(&self, entry: &str, bytes: &[u8]) -> Result<(), Error> {
        let discard = script(self.redis.pipeline(), scripts::DISCARD, entry).arg(bytes);
        discard.idempotent().run::<(i64,)>().await.map(drop)
    }
}

/// What an answer says whose key holds something that is no number.
pub(super) fn not_a_counter() -> Error {
    Error::new(
        ErrorKind::Usage,
        "the key is not a counter: it holds something else than a whole number, such as a value of \
         `set`, or the sum does not fit into 64 bits; count under a key of its own, or delete it first",
    )
}

fn script(pipeline: Pipeline, script: &str, key: &str) -> Pipeline {
    pipeline.command("EVAL").arg(script).arg(1).arg(key)
}

fn bump(pipeline: Pipeline, stamp: &StampFor) -> Pipeline {
    let pipeline = script(pipeline, scripts::BUMP, &stamp.name).arg(life());
    let pipeline = pipeline.arg(milliseconds(stamp.ttl));
    // No position: what users store is not read from replicas.
    pipeline.arg("0000000000000000")
}

fn ensure(pipeline: Pipeline, stamp: &StampFor) -> Pipeline {
    let pipeline = script(pipeline, scripts::ENSURE, &stamp.name);
    pipeline.arg(life()).arg(milliseconds(stamp.ttl))
}

/// The stamp, after it was made if there was none, by this connection itself: what a script does is
/// announced also to the connection that called it, whatever NOLOOP says.
pub(super) async fn make_by(pipeline: Pipeline, stamp: &StampFor) -> Result<Stamp, Error> {
    let first = Stamp::first(new_life()).to_string();
    let mut pipeline = pipeline
        .command("SET")
        .arg(&stamp.name)
        .arg(first)
        .arg("NX");
    if stamp.ttl.is_some() {
        pipeline = pipeline.arg("PX").arg(milliseconds(stamp.ttl));
    }
    let (_made_or_not, text): (Value, Vec<u8>) =
        pipeline.command("GET").arg(&stamp.name).run().await?;
    Stamp::parse(&text).ok_or_else(malformed)
}

async fn read_stamps(pipeline: Pipeline) -> Result<Vec<Stamp>, Error> {
    let answers = pipeline.idempotent().run_each().await?;
    let stamp = |answer: Result<Value, Error>| {
        let text = text(answer?).ok_or_else(malformed)?;
        Stamp::parse(&text).ok_or_else(malformed)
    };
    answers.into_iter().map(stamp).collect()
}

/// A life that never was, as scripts take it.
fn life() -> String {
    format!("{:016x}", new_life())
}

fn new_life() -> u64 {
    if !keeps(Rule::LivesNeverReturn) {
        return 7;
    }
    clock::random()
}

/// At least one, since Redis takes no less; 0 is for ever.
fn milliseconds(ttl: Option<Duration>) -> u64 {
    let Some(ttl) = ttl else { return 0 };
    let century = 100 * 365 * 24 * 3_600_000;
    u64::try_from(ttl.as_millis())
        .unwrap_or(century)
        .clamp(1, century)
}

fn text(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.into_bytes()),
        _ => None,
    }
}

/// A list or a hash at our key is no value; with MGET Redis says so itself.
fn text_unless_of_another_kind(answer: Result<Value, Error>) -> Result<Option<Vec<u8>>, Error> {
    match answer {
        Ok(value) => Ok(text(value)),
        Err(error) if error.redis_code() == Some("WRONGTYPE") => Ok(None),
        Err(error) => Err(error),
    }
}

/// What stands at a key, with what PTTL said of it.
fn entry((text, left): (Option<Vec<u8>>, Answer)) -> Result<Option<Entry>, Error> {
    let left = integer(left?)?;
    // It may have gone between the two commands.
    Ok(text.filter(|_| left != -2).map(|bytes| Entry {
        bytes,
        left: u64::try_from(left).ok().map(Duration::from_millis),
    }))
}

fn integer(value: Value) -> Result<i64, Error> {
    match value {
        Value::Int(number) => Ok(number),
        _ => Err(malformed()),
    }
}

fn malformed() -> Error {
    Error::new(
        ErrorKind::Redis,
        "Redis gave an answer that does not fit the command of the cache",
    )
}
