//! The hstore extension's type, as maps from text to text or NULL.

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;

use bytes::{BufMut, BytesMut};

use crate::types::catalog::is_extension;
use crate::types::encode::{encode_value, patch_i32};
use crate::types::reader::Reader;
use crate::types::{Decode, DecodeError, Encode, EncodeError, IsNull, Type};

impl<S> Encode for HashMap<String, Option<String>, S> {
    fn encode(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, EncodeError> {
        encode_pairs::<Self>(self.iter(), ty, out)
    }
}

impl Encode for BTreeMap<String, Option<String>> {
    fn encode(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, EncodeError> {
        encode_pairs::<Self>(self.iter(), ty, out)
    }
}

impl<'a, S: BuildHasher + Default> Decode<'a> for HashMap<String, Option<String>, S> {
    fn decode(ty: &Type, raw: &'a [u8]) -> Result<Self, DecodeError> {
        decode_pairs(ty, raw)
    }
}

impl<'a> Decode<'a> for BTreeMap<String, Option<String>> {
    fn decode(ty: &Type, raw: &'a [u8]) -> Result<Self, DecodeError> {
        decode_pairs(ty, raw)
    }
}

fn encode_pairs<'m, T>(
    pairs: impl Iterator<Item = (&'m String, &'m Option<String>)>,
    ty: &Type,
    out: &mut BytesMut,
) -> Result<IsNull, EncodeError> {
    if !is_extension(ty, "hstore") {
        return Err(EncodeError::mismatch::<T>(ty));
    }
    let start = out.len();
    out.put_i32(0);
    let mut count = 0_i32;
    for (key, value) in pairs {
        encode_value(key, &Type::TEXT, out)?;
        encode_value(value, &Type::TEXT, out)?;
        count = count
            .checked_add(1)
            .ok_or_else(|| EncodeError::out_of_range::<T>(ty))?;
    }
    patch_i32(out, start, count);
    Ok(IsNull::No)
}

fn decode_pairs<T>(ty: &Type, raw: &[u8]) -> Result<T, DecodeError>
where
    T: Default + Extend<(String, Option<String>)>,
{
    if !is_extension(ty, "hstore") {
        return Err(DecodeError::mismatch::<T>(ty));
    }
    read_pairs(raw).ok_or_else(|| DecodeError::malformed::<T>(ty))
}

fn read_pairs<T>(raw: &[u8]) -> Option<T>
where
    T: Default + Extend<(String, Option<String>)>,
{
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).map(String::from).ok();
    let mut reader = Reader::new(raw);
    let mut map = T::default();
    for _ in 0..reader.count(8)? {
        let key = text(reader.value()??)?;
        let value = match reader.value()? {
            Some(value) => Some(text(value)?),
            None => None,
        };
        map.extend([(key, value)]);
    }
    reader.finish(map)
}
