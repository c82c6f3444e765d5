//! What the cache is told, checked.

use std::time::Duration;

use super::{CacheFormat, Config, Origin, knob, refusal};
use crate::Error;

/// What the namespace is called unless something else is set.
const NAMESPACE: &str = "aquifer";
const NAMESPACE_MAX: usize = 64;

/// Settings of the cache that have been checked.
#[derive(Clone, Debug)]
pub(crate) struct CacheSettings {
    pub(crate) namespace: String,
    pub(crate) format: CacheFormat,
    pub(crate) ttl: Duration,
    pub(crate) negative_ttl: Duration,
    pub(crate) load_timeout: Duration,
    pub(crate) loads_max: u32,
    /// In bytes.
    pub(crate) memory_max: u64,
    /// How often the database's log is read for what others write, if it is.
    pub(crate) foreign_interval: Option<Duration>,
}

impl Config {
    pub(crate) fn check_cache(&self) -> Result<CacheSettings, Error> {
        let (namespace, origin) = self.cache_namespace_unchecked();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
        if !(1..=NAMESPACE_MAX).contains(&namespace.len()) || !namespace.bytes().all(plain) {
            let problem = format!(
                "must have 1 to {NAMESPACE_MAX} letters, digits, `_`, `.` or `-`, since all keys in \
                 Redis begin with it"
            );
            return Err(refusal(knob::CACHE_NAMESPACE.name, &origin, problem));
        }
        Ok(CacheSettings {
            namespace,
            format: self.format()?,
            ttl: self.time(&knob::CACHE_TTL)?,
            negative_ttl: self.time(&knob::CACHE_NEGATIVE_TTL)?,
            foreign_interval: match self.flag(&knob::CACHE_FOREIGN_WRITES) {
                true => Some(self.time(&knob::CACHE_FOREIGN_INTERVAL)?),
                false => None,
            },
            load_timeout: self.time(&knob::CACHE_LOAD_TIMEOUT)?,
            loads_max: self.count(&knob::CACHE_LOADS_MAX)?,
            memory_max: self.count(&knob::CACHE_MEMORY_MAX)?.into(),
        })
    }

    pub(super) fn cache_namespace_unchecked(&self) -> (String, Origin) {
        match self.texts.get(knob::CACHE_NAMESPACE.name) {
            Some(text) => (text.value.reveal().to_owned(), text.origin.clone()),
            None => (NAMESPACE.to_owned(), Origin::Default),
        }
    }
}
