use std::time::Duration;

use aquifer_core::sql::Error;

/// How the result of a query is kept.
#[derive(Clone, Debug)]
pub(crate) struct Keeping {
    pub(crate) ttl: Duration,
    /// The key that the user chose.
    pub(crate) key: Option<Box<str>>,
    /// What it reads, where the user says that.
    pub(crate) tables: Option<Vec<Box<str>>>,
}

impl Keeping {
    pub(crate) fn new(ttl: Duration) -> Self {
        Self {
            ttl,
            key: None,
            tables: None,
        }
    }

    pub(crate) fn add_tables<T: AsRef<str>>(&mut self, tables: impl IntoIterator<Item = T>) {
        // Tags have no schema.
        let bare = |name: T| {
            let name = name.as_ref();
            Box::from(name.rsplit_once('.').map_or(name, |(_, bare)| bare))
        };
        let list = self.tables.get_or_insert_default();
        list.extend(tables.into_iter().map(bare));
    }

    /// Of another statement of the same call, which has another result.
    pub(crate) fn beside(mut self, what: &str) -> Self {
        if let Some(key) = &mut self.key {
            *key = format!("{key}:{what}").into();
        }
        self
    }
}

/// What says how a result is kept, where nothing said that it is.
#[cold]
pub(crate) fn not_kept() -> Error {
    Error::new(
        "`cache_tables` says what a result is made of that is kept, and this one is not",
        "call `cache` or `cache_as` before it",
    )
}
