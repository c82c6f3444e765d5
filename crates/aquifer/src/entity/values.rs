use std::vec::IntoIter;

use aquifer_wire::types::Json;

use super::Entity;
use aquifer_wire::types::{IntoValue, Value};

/// The values of a row, in the order of its fields: collected by what the derive generates.
#[derive(Debug, Default)]
pub struct Values(Vec<Value>);

impl Values {
    /// Those of one entity.
    pub(crate) fn of<E: Entity>(entity: &E) -> IntoIter<Value> {
        let mut values = Self(Vec::with_capacity(E::META.columns().len()));
        entity.values(&mut values);
        values.0.into_iter()
    }

    /// Those of a key.
    pub(crate) fn of_key<E: Entity>(key: E::Key) -> IntoIter<Value> {
        // Nearly all keys have one column.
        let mut values = Self(Vec::with_capacity(1));
        E::key_values(key, &mut values);
        values.0.into_iter()
    }

    pub(crate) fn into_iter(self) -> IntoIter<Value> {
        self.0.into_iter()
    }

    /// The next field's value.
    pub fn push<T: IntoValue + Clone>(&mut self, value: &T) {
        self.0.push(value.clone().into_value());
    }

    /// The next field's value, which is stored as JSON.
    pub fn push_json<T: Clone>(&mut self, value: &T)
    where
        Json<T>: IntoValue,
    {
        self.0.push(Json(value.clone()).into_value());
    }

    /// The next field's value, which is stored as JSON or NULL.
    pub fn push_optional_json<T: Clone>(&mut self, value: &Option<T>)
    where
        Json<T>: IntoValue,
    {
        self.0.push(value.clone().map(Json).into_value());
    }
}
