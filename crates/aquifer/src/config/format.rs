use super::{Config, Origin, knob, refusal};
use crate::Error;

/// How the cache writes values into Redis; [`Config::cache_format`] says which.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CacheFormat {
    /// MessagePack in an envelope: the least bytes, and the fastest to read.
    #[default]
    MessagePack,
    /// JSON in an envelope, which can be read by eye behind the envelope's head. What JSON can't hold,
    /// such as a map whose keys are no texts, is written as MessagePack. Numbers that are not finite
    /// become `null`.
    Json,
}

impl CacheFormat {
    const ALL: [Self; 2] = [Self::MessagePack, Self::Json];

    /// As a file or a variable would say it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::MessagePack => "messagepack",
            Self::Json => "json",
        }
    }
}

impl Config {
    /// How values are written, checked.
    pub(super) fn format(&self) -> Result<CacheFormat, Error> {
        let Some(given) = self.texts.get(knob::CACHE_FORMAT.name) else {
            return Ok(CacheFormat::default());
        };
        let text = given.value.reveal();
        let known = CacheFormat::ALL
            .into_iter()
            .find(|format| format.name() == text);
        known.ok_or_else(|| {
            refusal(
                knob::CACHE_FORMAT.name,
                &given.origin,
                "must be messagepack or json; leave it out for the default, messagepack",
            )
        })
    }

    /// What is shown for it.
    pub(super) fn shown_format(&self) -> (String, Origin) {
        let given = self.texts.get(knob::CACHE_FORMAT.name);
        given.map_or_else(
            || (CacheFormat::default().name().to_owned(), Origin::Default),
            |given| (given.value.reveal().to_owned(), given.origin.clone()),
        )
    }
}
