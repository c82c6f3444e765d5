//! The layout of a type, found out from how it is read: its names, fields and their types, all the way
//! down. Values of another layout are not read: a field that is new and may be missing would be taken
//! for missing.
//!
//! It is read from nothing: each part is given the least value that fits. Where a type takes that for an
//! error, or takes anything (`flatten`, `untagged`), the layout ends, for the same type always at the
//! same place; there only the reading itself tells types apart.

use std::fmt;

use serde::de::value::{Error, StrDeserializer, U32Deserializer};
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer,
    MapAccess, SeqAccess, VariantAccess, Visitor,
};
use xxhash_rust::xxh3::Xxh3;

/// So many variants of each enum are looked at, one in each round.
const ROUNDS: usize = 8;

/// Below this depth options and lists are empty, so that a type which contains itself comes to an end.
const DEPTH_OPTIONAL: usize = 6;
const DEPTH_MAX: usize = 24;

/// Most parts of one round.
const PARTS_MAX: usize = 2_000;

/// The same for types that are written and read alike.
pub(super) fn layout_of<T: for<'de> Deserialize<'de>>() -> u64 {
    let mut hash = Xxh3::new();
    for round in 0..ROUNDS {
        let mut shape = Shape {
            hash: &mut hash,
            round,
            depth: 0,
            parts: 0,
        };
        let ended = T::deserialize(&mut shape).is_err();
        shape.note(if ended { "ended" } else { "done" });
    }
    hash.digest()
}

struct Shape<'a> {
    hash: &'a mut Xxh3,
    round: usize,
    depth: usize,
    parts: usize,
}

impl Shape<'_> {
    fn note(&mut self, text: &str) {
        self.hash.update(text.as_bytes());
        self.hash.update(&[0]);
    }

    fn names(&mut self, kind: &str, name: &str, parts: &[&str]) {
        self.note(kind);
        self.note(name);
        for part in parts {
            self.note(part);
        }
    }

    fn below<V>(&mut self, visit: impl FnOnce(&mut Self) -> Result<V, Error>) -> Result<V, Error> {
        self.parts += 1;
        if self.depth >= DEPTH_MAX || self.parts > PARTS_MAX {
            return Err(Error::custom("too deep"));
        }
        self.depth += 1;
        let visited = visit(self);
        self.depth -= 1;
        visited
    }

    fn goes_on(&self) -> bool {
        self.depth < DEPTH_OPTIONAL && self.parts < PARTS_MAX / 2
    }

    fn elements<'de, V: Visitor<'de>>(
        &mut self,
        count: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.below(|shape| visitor.visit_seq(Elements { shape, left: count }))
    }

    fn fields<'de, V: Visitor<'de>>(
        &mut self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.below(|shape| visitor.visit_map(Fields { shape, fields }))
    }
}

macro_rules! plain {
    ($($method:ident: $visit:ident($($value:expr)?)),* $(,)?) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            self.note(stringify!($visit));
            visitor.$visit($($value)?)
        })*
    };
}

impl<'de> Deserializer<'de> for &mut Shape<'_> {
    type Error = Error;

    plain! {
        deserialize_any: visit_unit(),
        deserialize_ignored_any: visit_unit(),
        deserialize_unit: visit_unit(),
        deserialize_bool: visit_bool(false),
        deserialize_i8: visit_i8(0),
        deserialize_i16: visit_i16(0),
        deserialize_i32: visit_i32(0),
        deserialize_i64: visit_i64(0),
        deserialize_i128: visit_i128(0),
        deserialize_u8: visit_u8(0),
        deserialize_u16: visit_u16(0),
        deserialize_u32: visit_u32(0),
        deserialize_u64: visit_u64(0),
        deserialize_u128: visit_u128(0),
        deserialize_f32: visit_f32(0.0),
        deserialize_f64: visit_f64(0.0),
        deserialize_char: visit_char('a'),
        deserialize_str: visit_str(""),
        deserialize_string: visit_str(""),
        deserialize_identifier: visit_str(""),
        deserialize_bytes: visit_bytes(&[]),
        deserialize_byte_buf: visit_bytes(&[]),
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.note("option");
        if self.goes_on() {
            self.below(|shape| visitor.visit_some(shape))
        } else {
            visitor.visit_none()
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.names("unit", name, &[]);
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.names("newtype", name, &[]);
        self.below(|shape| visitor.visit_newtype_struct(shape))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.note("list");
        let count = usize::from(self.goes_on());
        self.elements(count, visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.names("tuple", &length.to_string(), &[]);
        self.elements(length, visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.names("tuple", name, &[]);
        self.elements(length, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.note("map");
        let left = usize::from(self.goes_on());
        self.below(|shape| visitor.visit_map(Elements { shape, left }))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.names("struct", name, fields);
        self.fields(fields, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.names("enum", name, variants);
        let index = self.round.checked_rem(variants.len()).unwrap_or_default();
        self.below(|shape| visitor.visit_enum(Variant { shape, index }))
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

struct Elements<'a, 'b> {
    shape: &'a mut Shape<'b>,
    left: usize,
}

impl<'de> SeqAccess<'de> for Elements<'_, '_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        self.left = left;
        seed.deserialize(&mut *self.shape).map(Some)
    }
}

impl<'de> MapAccess<'de> for Elements<'_, '_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        self.next_element_seed(seed)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        seed.deserialize(&mut *self.shape)
    }
}

struct Fields<'a, 'b> {
    shape: &'a mut Shape<'b>,
    fields: &'static [&'static str],
}

impl<'de> MapAccess<'de> for Fields<'_, '_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let Some((field, rest)) = self.fields.split_first() else {
            return Ok(None);
        };
        self.fields = rest;
        let field: StrDeserializer<'_, Error> = field.into_deserializer();
        seed.deserialize(field).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        seed.deserialize(&mut *self.shape)
    }
}

struct Variant<'a, 'b> {
    shape: &'a mut Shape<'b>,
    index: usize,
}

impl<'de> EnumAccess<'de> for Variant<'_, '_> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        let index = u32::try_from(self.index).unwrap_or_default();
        let index: U32Deserializer<Error> = index.into_deserializer();
        Ok((seed.deserialize(index)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, '_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        self.shape.note("unit");
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        self.shape.note("newtype");
        seed.deserialize(self.shape)
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Error> {
        self.shape.names("tuple", &length.to_string(), &[]);
        self.shape.elements(length, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.shape.names("struct", "", fields);
        self.shape.fields(fields, visitor)
    }
}

impl fmt::Debug for Shape<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Shape")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde::Deserialize;

    use super::layout_of;

    mod before {
        use serde::Deserialize;

        #[derive(Deserialize)]
        #[allow(dead_code, reason = "only its layout matters")]
        pub(super) struct User {
            id: i64,
            name: String,
        }
    }

    mod after {
        use serde::Deserialize;

        #[derive(Deserialize)]
        #[allow(dead_code, reason = "only its layout matters")]
        pub(super) struct User {
            id: i64,
            name: String,
            email: Option<String>,
        }
    }

    mod moved {
        use serde::Deserialize;

        #[derive(Deserialize)]
        #[allow(dead_code, reason = "only its layout matters")]
        pub(super) struct User {
            id: i64,
            name: String,
        }
    }

    #[derive(Deserialize)]
    #[allow(dead_code, reason = "only its layout matters")]
    enum Tree {
        Leaf(i32),
        Both(Box<Self>, Box<Self>),
        List {
            of: Vec<Self>,
            next: Option<Box<Self>>,
        },
    }

    #[test]
    fn a_new_field_is_another_layout_however_deep_it_lies() {
        assert_ne!(layout_of::<before::User>(), layout_of::<after::User>());
        assert_ne!(
            layout_of::<HashMap<String, Vec<Option<before::User>>>>(),
            layout_of::<HashMap<String, Vec<Option<after::User>>>>()
        );
        assert_ne!(
            layout_of::<Result<i32, before::User>>(),
            layout_of::<Result<i32, after::User>>()
        );
        assert_ne!(layout_of::<i32>(), layout_of::<i64>());
        assert_ne!(layout_of::<(i32, i32)>(), layout_of::<(i32, i32, i32)>());
    }

    #[test]
    fn the_layout_is_that_of_the_form_and_not_of_the_place() {
        assert_eq!(layout_of::<before::User>(), layout_of::<moved::User>());
        assert_eq!(layout_of::<String>(), layout_of::<Box<str>>());
    }

    #[test]
    fn a_type_that_contains_itself_comes_to_an_end() {
        assert_eq!(layout_of::<Tree>(), layout_of::<Tree>());
        assert_ne!(layout_of::<Tree>(), layout_of::<Vec<Tree>>());
    }
}
