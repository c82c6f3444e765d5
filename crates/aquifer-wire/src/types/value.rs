//! A value of any type, for statements that are built at run time.

mod into;

use std::any::type_name;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use aquifer_core::sql::{Bind, Nature};
use bytes::BytesMut;

pub use self::into::IntoValue;
use crate::types::{Encode, EncodeError, IsNull, Type};

/// A value of any type; cheap to make for numbers, truth values and text, cheap to clone for others.
///
/// Like every parameter it is neutral: what it becomes is decided once the server has said which type
/// it expects. Its `Debug` names the type, never the value.
///
/// ```
/// use aquifer_wire::types::{IntoValue, Value};
///
/// assert!(None::<i64>.into_value().is_null());
/// let list = vec!["a", "b"].into_value();
/// assert_eq!(format!("{list:?}"), "Value(list of 2)");
/// ```
#[derive(Clone)]
pub struct Value(Inner);

#[derive(Clone)]
enum Inner {
    Null,
    Bool(bool),
    I16(i16),
    I32(i32),
    I64(i64),
    F64(f64),
    Text(Cow<'static, str>),
    List(Vec<Value>),
    Other(Arc<Other>),
}

struct Other {
    value: Box<dyn Encode + Send + Sync>,
    /// For `Debug` and for lists, where the type has no name in SQL.
    rust: &'static str,
    /// The PostgreSQL type that it is taken for where nothing else says it.
    sql: Option<&'static str>,
}

impl Value {
    /// NULL, of whatever type the server expects.
    pub const NULL: Self = Self(Inner::Null);

    /// A value of a type that has [`Encode`] but no [`IntoValue`]: a generic type of one's own, a
    /// [`Foreign`](crate::types::Foreign).
    pub fn new<T: Encode + Send + Sync + 'static>(value: T) -> Self {
        Self::typed(value, None)
    }

    fn typed<T: Encode + Send + Sync + 'static>(value: T, sql: Option<&'static str>) -> Self {
        Self(Inner::Other(Arc::new(Other {
            value: Box::new(value),
            rust: type_name::<T>(),
            sql,
        })))
    }

    /// Whether it is NULL.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self.0, Inner::Null)
    }

    /// Bytes that differ for values that do, as far as a value can be encoded without a server that
    /// says its type; of the others (ranges of types of one's own) only their types differ.
    #[doc(hidden)]
    pub fn identify(&self, into: &mut Vec<u8>) {
        let mut push = |kind: u8, bytes: &[u8]| {
            into.push(kind);
            into.extend(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
            into.extend(bytes);
        };
        match &self.0 {
            Inner::Null => push(0, &[]),
            Inner::Bool(truth) => push(1, &[u8::from(*truth)]),
            // One number is one value, whichever type it has.
            Inner::I16(number) => push(2, &i64::from(*number).to_be_bytes()),
            Inner::I32(number) => push(2, &i64::from(*number).to_be_bytes()),
            Inner::I64(number) => push(2, &number.to_be_bytes()),
            Inner::F64(number) => push(3, &number.to_bits().to_be_bytes()),
            Inner::Text(text) => push(4, text.as_bytes()),
            Inner::List(list) => {
                push(5, &list.len().to_be_bytes());
                for value in list {
                    value.identify(into);
                }
            }
            Inner::Other(other) => {
                push(6, other.sql.unwrap_or(other.rust).as_bytes());
                push(7, &other.bytes());
            }
        }
    }

    /// The values of a list; `None` where it is none.
    #[must_use]
    pub fn as_list(&self) -> Option<&[Self]> {
        match &self.0 {
            Inner::List(list) => Some(list),
            _ => None,
        }
    }

    /// The number, where it was made of an integer.
    #[doc(hidden)]
    #[must_use]
    pub fn as_integer(&self) -> Option<i64> {
        match self.0 {
            Inner::I16(number) => Some(number.into()),
            Inner::I32(number) => Some(number.into()),
            Inner::I64(number) => Some(number),
            _ => None,
        }
    }

    /// The text, where it was made of one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match &self.0 {
            Inner::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The value of a list at a place, as a pair is taken apart.
    #[must_use]
    pub fn into_list(self) -> Option<Vec<Self>> {
        match self.0 {
            Inner::List(list) => Some(list),
            _ => None,
        }
    }
}

impl Other {
    /// The value as the first of these types that it can be.
    fn bytes(&self) -> BytesMut {
        const TYPES: [Type; 22] = [
            Type::TEXT,
            Type::NUMERIC,
            Type::INT8,
            Type::FLOAT8,
            Type::TIMESTAMPTZ,
            Type::TIMESTAMP,
            Type::DATE,
            Type::TIME,
            Type::TIMETZ,
            Type::INTERVAL,
            Type::UUID,
            Type::JSONB,
            Type::BYTEA,
            Type::INET,
            Type::MACADDR,
            Type::MONEY,
            Type::INT4_RANGE,
            Type::INT8_RANGE,
            Type::NUM_RANGE,
            Type::TS_RANGE,
            Type::TSTZ_RANGE,
            Type::DATE_RANGE,
        ];
        let mut bytes = BytesMut::new();
        for ty in &TYPES {
            bytes.clear();
            if self.value.encode(ty, &mut bytes).is_ok() {
                return bytes;
            }
        }
        BytesMut::new()
    }
}

impl Default for Value {
    #[inline]
    fn default() -> Self {
        Self::NULL
    }
}

impl Bind for Value {
    fn nature(&self) -> Nature {
        match &self.0 {
            Inner::Null => Nature::Null,
            Inner::Bool(truth) => Nature::Truth(*truth),
            Inner::List(list) => Nature::List {
                length: list.len(),
                has_null: list.iter().any(Self::is_null),
            },
            _ => Nature::Plain,
        }
    }

    fn type_name(&self) -> Option<&'static str> {
        match &self.0 {
            Inner::Null => None,
            Inner::Bool(_) => Some("bool"),
            Inner::I16(_) => Some("int2"),
            Inner::I32(_) => Some("int4"),
            Inner::I64(_) => Some("int8"),
            Inner::F64(_) => Some("float8"),
            Inner::Text(_) => Some("text"),
            Inner::List(list) => list.iter().find_map(Bind::type_name).and_then(array_of),
            Inner::Other(other) => other.sql,
        }
    }
}

/// The name of the array type, of types that a list may have without anybody saying so.
fn array_of(element: &'static str) -> Option<&'static str> {
    const NAMES: [(&str, &str); 8] = [
        ("bool", "bool[]"),
        ("int2", "int2[]"),
        ("int4", "int4[]"),
        ("int8", "int8[]"),
        ("float8", "float8[]"),
        ("numeric", "numeric[]"),
        ("text", "text[]"),
        ("uuid", "uuid[]"),
    ];
    NAMES
        .into_iter()
        .find(|(name, _)| *name == element)
        .map(|(_, array)| array)
}

impl Encode for Value {
    fn encode(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, EncodeError> {
        match &self.0 {
            Inner::Null => Ok(IsNull::Yes),
            Inner::Bool(value) => value.encode(ty, out),
            Inner::I16(value) => value.encode(ty, out),
            Inner::I32(value) => value.encode(ty, out),
            Inner::I64(value) => value.encode(ty, out),
            Inner::F64(value) => value.encode(ty, out),
            Inner::Text(value) => value.encode(ty, out),
            Inner::List(list) => list.encode(ty, out),
            Inner::Other(other) => other.value.encode(ty, out),
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Inner::Null => formatter.write_str("Value(NULL)"),
            Inner::List(list) => write!(formatter, "Value(list of {})", list.len()),
            Inner::Other(other) => write!(formatter, "Value({})", other.sql.unwrap_or(other.rust)),
            _ => write!(formatter, "Value({})", self.type_name().unwrap_or("?")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::types::Json;

    fn encoded(value: impl IntoValue, ty: &Type) -> Vec<u8> {
        let mut out = BytesMut::new();
        let null = value.into_value().encode(ty, &mut out).unwrap();
        assert_eq!(null, IsNull::No);
        out.to_vec()
    }

    #[test]
    fn a_value_becomes_what_the_server_expects() {
        assert_eq!(encoded(7_i32, &Type::INT8), 7_i64.to_be_bytes());
        assert_eq!(encoded(7_u64, &Type::INT2), 7_i16.to_be_bytes());
        assert_eq!(encoded("x", &Type::VARCHAR), b"x");
        assert_eq!(encoded(vec![1_u8, 2], &Type::BYTEA), [1, 2]);
        let (mut plain, mut ours) = (BytesMut::new(), BytesMut::new());
        vec![Some(1_i64), None]
            .encode(&Type::INT4_ARRAY, &mut plain)
            .unwrap();
        let list = vec![Some(1_i64), None].into_value();
        list.encode(&Type::INT4_ARRAY, &mut ours).unwrap();
        assert_eq!(plain, ours);
    }

    #[test]
    fn what_does_not_fit_is_an_error_that_names_the_type() {
        let error = u64::MAX
            .into_value()
            .encode(&Type::INT8, &mut BytesMut::new());
        assert!(error.unwrap_err().to_string().contains("u64"));
        let error = 70_000_i32
            .into_value()
            .encode(&Type::INT2, &mut BytesMut::new());
        assert!(error.unwrap_err().to_string().contains("i32"));
    }

    #[test]
    fn values_that_differ_are_told_apart() {
        let identity = |value: Value| {
            let mut bytes = Vec::new();
            value.identify(&mut bytes);
            bytes
        };
        let when = |seconds| SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        let all = [
            Value::NULL,
            1_i64.into_value(),
            2_i64.into_value(),
            "1".into_value(),
            "12".into_value(),
            ["1", "2"].into_value(),
            ["12"].into_value(),
            when(1).into_value(),
            when(2).into_value(),
            Json(1).into_value(),
            Json(2).into_value(),
            vec![1_u8].into_value(),
            vec![2_u8].into_value(),
        ];
        for (number, value) in all.iter().enumerate() {
            for (other, another) in all.iter().enumerate() {
                let equal = identity(value.clone()) == identity(another.clone());
                assert_eq!(
                    equal,
                    number == other,
                    "{value:?} {number}, {another:?} {other}"
                );
            }
        }
        assert_eq!(identity(7_i32.into_value()), identity(7_i64.into_value()));
    }

    #[test]
    fn null_and_lists_are_known_as_such() {
        assert!(None::<String>.into_value().is_null());
        assert_eq!(Some(1).into_value().nature(), Nature::Plain);
        assert_eq!(
            vec![Some(1), None].into_value().nature(),
            Nature::List {
                length: 2,
                has_null: true
            }
        );
        assert_eq!(true.into_value().nature(), Nature::Truth(true));
        assert_eq!([1_i64].into_value().type_name(), Some("int8[]"));
        assert_eq!(
            SystemTime::now().into_value().type_name(),
            Some("timestamptz")
        );
        assert_eq!(Json(1).into_value().type_name(), Some("jsonb"));
    }

    #[test]
    fn no_value_is_shown() {
        let shown = format!("{:?}", ["secret".into_value(), vec!["secret"].into_value()]);
        assert!(!shown.contains("secret"), "{shown}");
    }

    #[test]
    fn a_value_is_small() {
        assert!(size_of::<Value>() <= 32, "{}", size_of::<Value>());
    }
}
