use bytes::{BufMut, BytesMut};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::error::Category;

use crate::types::{Decode, DecodeError, Encode, EncodeError, IsNull, Type};

/// jsonb has one binary form so far: this byte and the text.
const JSONB_VERSION: u8 = 1;

/// A value of `json` or `jsonb` through its serde form.
///
/// JSON's `null` is a value and not NULL; `Option<Json<T>>` tells them apart. Numbers that no Rust
/// number holds, and the order, spacing and duplicate keys of `json`, are kept only by reading the
/// column as `String`.
///
/// ```
/// use aquifer_wire::types::{Decode, Json, Type};
///
/// let Json(numbers) = Json::<Vec<i32>>::decode(&Type::JSON, b"[1, 2]")?;
/// assert_eq!(numbers, [1, 2]);
/// # Ok::<(), aquifer_wire::types::DecodeError>(())
/// ```
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[expect(
    clippy::exhaustive_structs,
    reason = "a wrapper that is built and taken apart by users"
)]
#[serde(transparent)]
pub struct Json<T>(pub T);

impl<T: Serialize> Encode for Json<T> {
    fn encode(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, EncodeError> {
        encode_json(&self.0, ty, out)
    }
}

impl<'a, T: Deserialize<'a>> Decode<'a> for Json<T> {
    fn decode(ty: &Type, raw: &'a [u8]) -> Result<Self, DecodeError> {
        decode_json(ty, raw).map(Self)
    }
}

impl Encode for Value {
    fn encode(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, EncodeError> {
        encode_json(self, ty, out)
    }
}

impl<'a> Decode<'a> for Value {
    fn decode(ty: &Type, raw: &'a [u8]) -> Result<Self, DecodeError> {
        decode_json(ty, raw)
    }
}

fn encode_json<T: Serialize>(
    value: &T,
    ty: &Type,
    out: &mut BytesMut,
) -> Result<IsNull, EncodeError> {
    match *ty {
        Type::JSON => {}
        Type::JSONB => out.put_u8(JSONB_VERSION),
        _ => return Err(EncodeError::mismatch::<T>(ty)),
    }
    // What serde_json says may contain parts of the value, so it is not passed on.
    serde_json::to_writer(out.writer(), value)
        .map_err(|_shows_the_value| EncodeError::new::<T>(ty, "its serde form is not JSON"))?;
    Ok(IsNull::No)
}

fn decode_json<'a, T: Deserialize<'a>>(ty: &Type, raw: &'a [u8]) -> Result<T, DecodeError> {
    let text = match (ty, raw) {
        (&Type::JSON, text) | (&Type::JSONB, [JSONB_VERSION, text @ ..]) => text,
        (&Type::JSONB, _) => return Err(DecodeError::malformed::<T>(ty)),
        _ => return Err(DecodeError::mismatch::<T>(ty)),
    };
    // As above: only where and of what kind.
    serde_json::from_slice(text).map_err(|error| {
        let reason = match error.classify() {
            Category::Data => "the JSON does not fit the Rust type",
            Category::Syntax | Category::Eof | Category::Io => {
                "the text is not JSON, or a number \
                in it is out of range"
            }
        };
        let place = format!(
            "{reason} (at line {}, column {})",
            error.line(),
            error.column()
        );
        DecodeError::new::<T>(ty, place)
    })
}

impl<T: DeserializeOwned> Json<T> {
    /// The value inside.
    pub fn into_inner(self) -> T {
        self.0
    }
}
