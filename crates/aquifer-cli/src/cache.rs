//! `aquifer cache`: what stands in Redis.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use aquifer::{CacheContent, CacheEntry, CacheFormat, CacheStamp, Config, ErrorKind, Redis};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::Failure;
use crate::config::printable;

/// As the shell's own.
const WRONG_USE: u8 = 2;

/// What it exits with where there is nothing.
const NOTHING: u8 = 3;

/// For what the connection still has to say.
const FAREWELL: Duration = Duration::from_secs(1);

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Tells what Redis holds under a key of the cache, and whether it would be used
    ///
    /// That is: its kind, the layout of its type, its format, its time left, for how long of it it is
    /// fresh, how long its load took, its length, its tags, and each stamp that it depends on, with what
    /// it was when the value was loaded and what it is now; of a counter its number. Other values are
    /// printed with --value only.
    ///
    /// Redis and the namespace are those that a service here would use (see `aquifer config print`).
    /// Nothing is changed.
    ///
    /// Exits with 0 if there is something, 1 when Redis can't be asked, 2 for wrong use or
    /// configuration, 3 if there is nothing.
    Inspect(Inspect),
}

#[derive(Args)]
pub(crate) struct Inspect {
    /// As the service names it, such as user:1
    key: String,
    /// Prints the value too
    #[arg(long)]
    value: bool,
    /// Prints one JSON object
    #[arg(long)]
    json: bool,
    /// Reads this TOML file instead of the one that AQUIFER_CONFIG names
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
    /// The namespace, instead of the configured one
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(command: &Command, output: &mut impl Write) -> Result<(), Failure> {
    let Command::Inspect(inspect) = command;
    let mut config = match &inspect.file {
        Some(path) => Config::from_file(path)?.with_env()?,
        None => Config::load()?,
    };
    if let Some(namespace) = &inspect.namespace {
        config = config.cache_namespace(namespace);
    }
    let redis = Redis::connect(&config).await?;
    let entry = CacheEntry::read(&redis, &config, &inspect.key).await;
    redis.shutdown(FAREWELL).await;
    let entry = entry.map_err(|error| match error.kind() {
        ErrorKind::Usage => Failure {
            code: WRONG_USE,
            cause: error.into(),
        },
        _ => error.into(),
    })?;
    let written = if inspect.json {
        write_json(&entry, inspect.value, output)
    } else {
        write_text(&entry, inspect.value, output)
    };
    match written.and_then(|()| output.flush()) {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        written => written?,
    }
    match entry.content {
        CacheContent::Nothing => Err(Failure {
            code: NOTHING,
            cause: format!("Redis holds nothing at {}", printable(&entry.name)).into(),
        }),
        _ => Ok(()),
    }
}

/// A word for each kind, the same in both forms.
fn kind(content: &CacheContent) -> &'static str {
    match content {
        CacheContent::Nothing => "nothing",
        CacheContent::Value { .. } => "value",
        CacheContent::Absence => "absence",
        CacheContent::Counter(_) => "counter",
        CacheContent::Damaged => "damaged",
        _ => "foreign",
    }
}

fn layout(content: &CacheContent) -> Option<String> {
    match content {
        CacheContent::Value { layout, .. } => Some(format!("{layout:016x}")),
        _ => None,
    }
}

fn number(content: &CacheContent) -> Option<i64> {
    match content {
        CacheContent::Counter(number) => Some(*number),
        _ => None,
    }
}

/// Whether its checksum is right, of what has one.
fn is_whole(content: &CacheContent) -> Option<bool> {
    match content {
        CacheContent::Value { .. } | CacheContent::Absence => Some(true),
        CacheContent::Damaged => Some(false),
        _ => None,
    }
}

fn milliseconds(time: Duration) -> Option<u64> {
    u64::try_from(time.as_millis()).ok()
}

fn write_json(entry: &CacheEntry, with_value: bool, output: &mut impl Write) -> io::Result<()> {
    let stamp = |stamp: &CacheStamp| json!({ "name": stamp.name, "was": stamp.was, "is": stamp.is, "holds": stamp.holds() });
    let stamps: Vec<Value> = entry.stamps.iter().map(stamp).collect();
    let mut object = json!({
        "name": entry.name,
        "kind": kind(&entry.content),
        "good": entry.is_good(),
        "number": number(&entry.content),
        "layout": layout(&entry.content),
        "checksum_ok": is_whole(&entry.content),
        "format": entry.format.map(CacheFormat::name),
        "fresh_ms": entry.fresh.and_then(milliseconds),
        "effort_us": entry.effort.and_then(|effort| u64::try_from(effort.as_micros()).ok()),
        "left_ms": entry.left.and_then(milliseconds),
        "length": entry.length,
        "tags": entry.tags,
        "stamps": stamps,
    });
    if let (true, Some(object)) = (with_value, object.as_object_mut()) {
        object.insert("value".to_owned(), entry.value().unwrap_or_default());
    }
    serde_json::to_writer_pretty(&mut *output, &object)?;
    writeln!(output)
}

fn write_text(entry: &CacheEntry, with_value: bool, output: &mut impl Write) -> io::Result<()> {
    let mut line =
        |name: &str, text: &str| writeln!(output, "{name:<8}  {}", printable(text).trim_end());
    line("key", &entry.name)?;
    line("kind", explained(&entry.content))?;
    if entry.content == CacheContent::Nothing {
        return Ok(());
    }
    if let Some(number) = number(&entry.content) {
        line("number", &number.to_string())?;
    }
    if let Some(layout) = layout(&entry.content) {
        line("layout", &layout)?;
    }
    if let Some(format) = entry.format {
        line("format", format.name())?;
    }
    let left = entry.left.map(|left| format!("{left:?}"));
    line("left", left.as_deref().unwrap_or("for ever"))?;
    if let Some(fresh) = entry.fresh {
        line("fresh", &format!("{fresh:?}"))?;
    }
    if let Some(effort) = entry.effort.filter(|effort| !effort.is_zero()) {
        line("effort", &format!("{effort:?} to load"))?;
    }
    line("length", &format!("{} bytes", entry.length))?;
    for tag in &entry.tags {
        line("tag", tag)?;
    }
    for stamp in &entry.stamps {
        let state = match (&stamp.is, stamp.holds()) {
            (_, true) => "holds",
            (None, false) => "gone",
            (Some(_), false) => "changed",
        };
        line("stamp", &format!("{state:<7} {}", stamp.name))?;
    }
    let verdict = if entry.is_good() {
        "would be used"
    } else {
        "is a miss for whoever asks"
    };
    line("verdict", verdict)?;
    if with_value {
        let shown = entry.value().map(|value| value.to_string());
        let none = "has no form that can be shown";
        line("value", shown.as_deref().unwrap_or(none))?;
    }
    Ok(())
}

fn explained(content: &CacheContent) -> &'static str {
    match content {
        CacheContent::Nothing => "nothing",
        CacheContent::Value { .. } => "value, its checksum is right",
        CacheContent::Absence => {
            "absence: it is known that there is no value; its checksum is right"
        }
        CacheContent::Counter(_) => "counter, which has no stamps",
        CacheContent::Damaged => "damaged: cut off, or its checksum is wrong",
        _ => "foreign: nothing that the cache has written",
    }
}
