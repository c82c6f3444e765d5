//! How a value is written as bytes, and read again.

use std::any::TypeId;

use super::CacheValue;
use super::query::Rows;
use crate::config::CacheFormat;
use crate::{Error, ErrorKind};

/// What the bytes of a value are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    MessagePack,
    Json,
}

/// A value as bytes.
#[derive(Clone, Debug)]
pub(super) struct Encoded {
    pub(super) bytes: Vec<u8>,
    pub(super) encoding: Encoding,
}

impl Encoded {
    /// Fields stand with their names, so that each is read as the one it was.
    pub(super) fn of<T: CacheValue>(value: &T, format: CacheFormat) -> Result<Self, Error> {
        // Replies of the server are bytes, of which JSON makes lists of numbers.
        let is_reply = TypeId::of::<T>() == TypeId::of::<Rows>();
        if format == CacheFormat::Json
            && !is_reply
            && let Ok(bytes) = serde_json::to_vec(value)
        {
            return Ok(Self {
                bytes,
                encoding: Encoding::Json,
            });
        }
        let bytes = rmp_serde::to_vec_named(value).map_err(|error| {
            let text = format!(
                "a value of type {} can't be kept in the cache: its serialization failed",
                std::any::type_name::<T>()
            );
            Error::new(ErrorKind::Encode, text).with_source(error)
        })?;
        Ok(Self {
            bytes,
            encoding: Encoding::MessagePack,
        })
    }
}

impl Encoding {
    /// What it is called where it is chosen.
    pub(super) fn format(self) -> CacheFormat {
        match self {
            Self::MessagePack => CacheFormat::MessagePack,
            Self::Json => CacheFormat::Json,
        }
    }

    /// Nothing where the bytes are no `T`.
    pub(super) fn read<T: CacheValue>(self, bytes: &[u8]) -> Option<T> {
        match self {
            Self::MessagePack => rmp_serde::from_slice(bytes).ok(),
            Self::Json => serde_json::from_slice(bytes).ok(),
        }
    }
}
