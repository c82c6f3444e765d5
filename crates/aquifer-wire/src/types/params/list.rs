use std::fmt;

use bytes::BytesMut;

use crate::types::params::encode_all;
use crate::types::{Encode, Params, ParamsError, Type};

/// Parameters whose number and types are known only at run time.
///
/// ```
/// use aquifer_wire::types::{ParamList, Params};
///
/// let mut params = ParamList::new();
/// params.push(7);
/// params.push("seven");
/// assert_eq!(params.count(), 2);
/// ```
#[derive(Default)]
pub struct ParamList(Vec<Box<dyn Encode + Send + Sync>>);

impl ParamList {
    /// An empty list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a parameter at the end.
    pub fn push(&mut self, value: impl Encode + Send + Sync + 'static) {
        self.0.push(Box::new(value));
    }

    /// How many parameters there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Shows how many there are, never the values.
impl fmt::Debug for ParamList {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ParamList")
            .field("count", &self.len())
            .finish()
    }
}

impl<T: Encode + Send + Sync + 'static> Extend<T> for ParamList {
    fn extend<I: IntoIterator<Item = T>>(&mut self, values: I) {
        for value in values {
            self.push(value);
        }
    }
}

impl<T: Encode + Send + Sync + 'static> FromIterator<T> for ParamList {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        let mut list = Self::new();
        list.extend(values);
        list
    }
}

impl Params for ParamList {
    fn count(&self) -> usize {
        self.len()
    }

    fn encode(&self, types: &[Type], out: &mut BytesMut) -> Result<(), ParamsError> {
        encode_all(self.0.iter().map(|value| &**value), types, out)
    }
}
