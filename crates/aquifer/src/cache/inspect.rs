//! What stands in Redis at one key, for whoever wants to know why it is used or not.

use std::fmt;
use std::time::Duration;

use aquifer_core::stamps::Stamp;

use super::encoding::Encoded;
use super::envelope::{self, Opened};
use super::key::{Names, check_length};
use super::read::number;
use super::remote::Remote;
use super::store::{Entry, Stored};
use super::tag;
use crate::config::{CacheFormat, Config};
use crate::redis::Redis;
use crate::{Error, ErrorKind};

/// How often it is read again because its tags have changed meanwhile.
const ROUNDS: usize = 5;

/// What stands in Redis at a key of the cache, and whether it would be used; `aquifer cache inspect`
/// prints it.
///
/// ```no_run
/// use aquifer::{CacheEntry, Config, Error, Redis};
///
/// # async fn example() -> Result<(), Error> {
/// let config = Config::load()?;
/// let redis = Redis::connect(&config).await?;
/// let entry = CacheEntry::read(&redis, &config, "user:1").await?;
/// for stamp in &entry.stamps {
///     println!("{}: {}", stamp.name, if stamp.holds() { "holds" } else { "changed" });
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct CacheEntry {
    /// What the key is called in Redis.
    pub name: String,
    /// What stands there.
    pub content: CacheContent,
    /// For how long it is still there; `None` if for ever, or there is nothing.
    pub left: Option<Duration>,
    /// For how long a value is still fresh, if nothing that it depends on changes; zero if it is only
    /// of use to who takes stale ones. `None` of what is no value.
    pub fresh: Option<Duration>,
    /// How long its load took, by which it is reckoned when to load it again; zero if it was not loaded.
    pub effort: Option<Duration>,
    /// How the value is written.
    pub format: Option<CacheFormat>,
    /// In Redis, in bytes: the value and all that stands around it.
    pub length: usize,
    /// The names that it was given to be invalidated by.
    pub tags: Vec<String>,
    /// What it depends on: the key, the namespace, then each tag, and tables and rows of which it was made.
    pub stamps: Vec<CacheStamp>,
    encoded: Option<Encoded>,
}

/// What stands at a key of the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CacheContent {
    /// There is nothing.
    Nothing,
    /// A value, whole by its checksum.
    #[non_exhaustive]
    Value {
        /// By which the layer tells the types of values apart.
        layout: u64,
    },
    /// The knowledge that there is no value, whole by its checksum.
    Absence,
    /// A whole number, which has no stamps.
    Counter(i64),
    /// A value whose checksum is not that of its bytes, or that is cut off: it is read as a miss.
    Damaged,
    /// Something that the layer did not write: it is read as a miss.
    Foreign,
}

/// A stamp that a value depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheStamp {
    /// What it is called in Redis.
    pub name: String,
    /// What it was when the value was loaded.
    pub was: Option<String>,
    /// What it is now; `None` if it is gone, which is a change too.
    pub is: Option<String>,
}

/// What is known of stamps now, by their names.
type Stamps = Vec<(String, Option<Stamp>)>;

impl CacheStamp {
    /// Whether nothing has changed since the value was loaded.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.was.is_some() && self.was == self.is
    }
}

impl CacheEntry {
    /// Reads what stands in Redis under `key` in the namespace of `config`. Nothing is changed by it.
    ///
    /// Keys of the layer's own, which begin with `q:`, can be read as well.
    ///
    /// # Errors
    /// [`Usage`](ErrorKind::Usage) for a key that is empty or longer than 512 bytes,
    /// [`Config`](ErrorKind::Config) for a namespace that can't be used, and those of Redis.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn read(redis: &Redis, config: &Config, key: &str) -> Result<Self, Error> {
        check_length("a key", key)?;
        let names = Names::new(&config.check_cache()?.namespace);
        let (remote, name) = (
            Remote {
                redis: redis.clone(),
            },
            names.entry(key),
        );
        let mut tags = Vec::new();
        for _ in 0..ROUNDS {
            let stamps = names.stamps_of(key, &tags);
            let stored = Box::pin(remote.read(std::slice::from_ref(&name), &stamps)).await?;
            let Stored {
                mut entries,
                stamps: now,
            } = stored;
            let Some(Entry { bytes, left }) = entries.pop().flatten() else {
                return Self::without_value(redis, name).await;
            };
            let opened = Opened::read(&bytes);
            let of_this = opened.as_ref().map_or(&[][..], |opened| &opened.tags);
            if of_this == tags {
                let stamps: Stamps = stamps.into_iter().zip(now).collect();
                return Ok(Self::new(name, (&bytes, left), stamps));
            }
            // Its stamps are read together with it.
            tags = of_this.to_vec();
        }
        let text = "the entry gets other tags all the time; ask again";
        Err(Error::new(ErrorKind::Redis, text))
    }

    fn new(name: String, (bytes, left): (&[u8], Option<Duration>), stamps: Stamps) -> Self {
        let bare = |content| Self {
            name: name.clone(),
            content,
            left,
            length: bytes.len(),
            fresh: None,
            effort: None,
            format: None,
            tags: Vec::new(),
            stamps: Vec::new(),
            encoded: None,
        };
        if let Some(number) = number(bytes) {
            return bare(CacheContent::Counter(number));
        }
        let Some(opened) = Opened::read(bytes) else {
            return bare(match envelope::begins(bytes) {
                true => CacheContent::Damaged,
                false => CacheContent::Foreign,
            });
        };
        let stamps = stamps.into_iter().zip(opened.marks());
        let stamps = stamps.map(|((name, is), was)| CacheStamp {
            name,
            was: Some(was.to_owned()),
            is: is.map(|stamp| stamp.mark().to_string()),
        });
        Self {
            tags: opened.tags.iter().filter_map(|tag| named(tag)).collect(),
            stamps: stamps.collect(),
            fresh: left.map(|left| opened.span.fresh_left(left)),
            effort: Some(opened.span.effort),
            format: opened.value.map(|_| opened.encoding.format()),
            encoded: opened.value.map(|bytes| Encoded {
                bytes: bytes.to_vec(),
                encoding: opened.encoding,
            }),
            ..bare(match opened.value {
                Some(_) => CacheContent::Value {
                    layout: opened.layout,
                },
                None => CacheContent::Absence,
            })
        }
    }

    /// Where reading finds no text, there may be a list or a hash.
    async fn without_value(redis: &Redis, name: String) -> Result<Self, Error> {
        let kind: String = redis.command("TYPE").arg(&name).run().await?;
        let content = match kind.as_str() {
            "none" | "string" => CacheContent::Nothing,
            _ => CacheContent::Foreign,
        };
        Ok(Self {
            name,
            content,
            left: None,
            fresh: None,
            effort: None,
            format: None,
            length: 0,
            tags: Vec::new(),
            stamps: Vec::new(),
            encoded: None,
        })
    }

    /// Whether a process that asks now would use it: it is whole, and nothing that it depends on has
    /// changed. That its type has another layout in the program that asks is not known here.
    #[must_use]
    pub fn is_good(&self) -> bool {
        match self.content {
            CacheContent::Counter(_) => true,
            CacheContent::Value { .. } | CacheContent::Absence => {
                self.stamps.iter().all(CacheStamp::holds)
            }
            CacheContent::Nothing | CacheContent::Damaged | CacheContent::Foreign => false,
        }
    }

    /// The value as a document; `None` if there is none, or it has parts that JSON has not, such as
    /// bytes.
    #[must_use]
    pub fn value(&self) -> Option<serde_json::Value> {
        match self.content {
            CacheContent::Counter(number) => Some(number.into()),
            CacheContent::Value { .. } => {
                let encoded = self.encoded.as_ref()?;
                encoded.encoding.read(&encoded.bytes)
            }
            _ => None,
        }
    }
}

/// The user's own name of a tag; none of tables and rows.
fn named(tag: &str) -> Option<String> {
    let name = tag.strip_prefix(&*tag::of_user(""))?;
    Some(name.to_owned())
}

/// The value stays out.
impl fmt::Debug for CacheEntry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("CacheEntry")
            .field("name", &self.name)
            .field("left", &self.left)
            .field("fresh", &self.fresh)
            .field("effort", &self.effort)
            .field("format", &self.format)
            .field("length", &self.length)
            .field("tags", &self.tags)
            .field("stamps", &self.stamps)
            .finish_non_exhaustive()
    }
}
