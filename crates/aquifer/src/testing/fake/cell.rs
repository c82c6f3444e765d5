//! Values as a table in memory holds them: with their type and their bytes.

use std::cmp::Ordering;

use aquifer_core::sql::Bind;
use aquifer_wire::types::{Decode, Encode, IsNull, Numeric, Raw, Type, Value};
use bytes::BytesMut;

use crate::{Error, ErrorKind};

/// One row: a value for each column, in their order.
pub(super) type Row = Vec<Raw>;

const TYPES: [(&str, Type); 25] = [
    ("bool", Type::BOOL),
    ("bool[]", Type::BOOL_ARRAY),
    ("bytea", Type::BYTEA),
    ("date", Type::DATE),
    ("float4", Type::FLOAT4),
    ("float8", Type::FLOAT8),
    ("float8[]", Type::FLOAT8_ARRAY),
    ("inet", Type::INET),
    ("int2", Type::INT2),
    ("int2[]", Type::INT2_ARRAY),
    ("int4", Type::INT4),
    ("int4[]", Type::INT4_ARRAY),
    ("int8", Type::INT8),
    ("int8[]", Type::INT8_ARRAY),
    ("interval", Type::INTERVAL),
    ("jsonb", Type::JSONB),
    ("money", Type::MONEY),
    ("numeric", Type::NUMERIC),
    ("numeric[]", Type::NUMERIC_ARRAY),
    ("text", Type::TEXT),
    ("text[]", Type::TEXT_ARRAY),
    ("time", Type::TIME),
    ("timestamp", Type::TIMESTAMP),
    ("timestamptz", Type::TIMESTAMPTZ),
    ("uuid", Type::UUID),
];

/// What a type of the user's own may be sent as. The narrowest integer that holds the value comes
/// first: it can be read as any wider one.
const OTHERS: [Type; 8] = [
    Type::INT2,
    Type::INT4,
    Type::INT8,
    Type::TEXT,
    Type::FLOAT8,
    Type::UUID,
    Type::TEXT_ARRAY,
    Type::CHAR,
];

pub(super) fn null() -> Raw {
    Raw::new(Type::TEXT, None)
}

/// The value as it is stored.
pub(super) fn cell(value: &Value) -> Result<Raw, Error> {
    if value.is_null() {
        return Ok(null());
    }
    let named = value.type_name();
    let types: &[Type] = match TYPES.iter().find(|(name, _)| Some(*name) == named) {
        Some((_, ty)) => std::slice::from_ref(ty),
        None => &OTHERS,
    };
    let mut fault = None;
    for ty in types {
        let mut out = BytesMut::new();
        match value.encode(ty, &mut out) {
            Ok(IsNull::Yes) => return Ok(null()),
            Ok(IsNull::No) if *ty == Type::JSONB && has_nul(&out) => {
                let text = "unsupported Unicode escape sequence";
                return Err(refused("22P05", text));
            }
            Ok(IsNull::No) => return Ok(Raw::new(ty.clone(), Some(out.to_vec()))),
            Err(error) => fault = Some(error),
        }
    }
    // Of the type that its Rust type says it has: no table would take it either.
    if let (Some(error), [_]) = (fault, types) {
        return Err(Error::new(ErrorKind::Encode, error.to_string()));
    }
    let text = format!(
        "FakeRepository can't hold a {value:?}; run this test on a database, by \
         `testing::Template` or `testing::sandbox`"
    );
    Err(Error::new(ErrorKind::Usage, text))
}

/// Whether a document has a NUL in one of its texts, which is written `\u0000`.
fn has_nul(json: &[u8]) -> bool {
    let mut rest = json;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        rest = rest.get(at..).unwrap_or_default();
        if rest.starts_with(b"\\u0000") {
            return true;
        }
        // What it takes as it is may be another one.
        rest = rest.get(2..).unwrap_or_default();
    }
    false
}

/// What the server says of a value that it does not take.
#[cold]
pub(super) fn refused(sqlstate: &str, message: &str) -> Error {
    Error::from_wire(
        aquifer_wire::Error::composed_refusal(sqlstate, message),
        false,
    )
}

/// A whole number in the narrowest type that holds it, which can be read as any wider one.
pub(super) fn number(number: i64) -> Raw {
    let (ty, bytes) = match (i16::try_from(number), i32::try_from(number)) {
        (Ok(small), _) => (Type::INT2, small.to_be_bytes().to_vec()),
        (_, Ok(middle)) => (Type::INT4, middle.to_be_bytes().to_vec()),
        _ => (Type::INT8, number.to_be_bytes().to_vec()),
    };
    Raw::new(ty, Some(bytes))
}

/// The number in a cell that holds a whole one.
pub(super) fn integer(cell: &Raw) -> Option<i64> {
    match *cell.ty() {
        Type::INT2 | Type::INT4 | Type::INT8 => i64::decode(cell.ty(), cell.bytes()?).ok(),
        _ => None,
    }
}

pub(super) fn text(cell: &Raw) -> Option<String> {
    match *cell.ty() {
        Type::TEXT => String::decode(cell.ty(), cell.bytes()?).ok(),
        _ => None,
    }
}

/// Whether two values are equal, where their bytes tell: for most keys, without reading them.
pub(super) fn equal_by_bytes(left: &Raw, right: &Raw) -> Option<bool> {
    let ty = *left.ty() == *right.ty()
        && matches!(
            *left.ty(),
            Type::INT2 | Type::INT4 | Type::INT8 | Type::TEXT | Type::UUID
        );
    ty.then(|| left.bytes().is_some() && left.bytes() == right.bytes())
}

/// How two values compare; `None` where one is NULL.
pub(super) fn compare(left: &Raw, right: &Raw) -> Result<Option<Ordering>, Error> {
    if left.is_null() || right.is_null() {
        return Ok(None);
    }
    let order = match (Scalar::of(left), Scalar::of(right)) {
        (Some(left), Some(right)) => left.compare(&right),
        _ => None,
    };
    order.map(Some).ok_or_else(|| {
        let text = format!(
            "FakeRepository can't compare {} with {}; run this test on a database, by \
             `testing::Template` or `testing::sandbox`",
            left.ty(),
            right.ty()
        );
        Error::new(ErrorKind::Usage, text)
    })
}

/// A value that has an order.
enum Scalar {
    Integer(i64),
    Float(f64),
    Numeric(Numeric),
    Text(String),
    Bytes(Vec<u8>),
}

impl Scalar {
    fn of(cell: &Raw) -> Option<Self> {
        let bytes = cell.bytes()?;
        Some(match *cell.ty() {
            Type::BOOL => Self::Integer(bytes.first().copied().map(i64::from)?),
            Type::INT2 | Type::INT4 | Type::INT8 => Self::Integer(cell.read().ok()?),
            // Microseconds and days, of which later ones are larger.
            Type::TIME | Type::TIMESTAMP | Type::TIMESTAMPTZ => {
                Self::Integer(i64::from_be_bytes(bytes.try_into().ok()?))
            }
            Type::DATE => Self::Integer(i32::from_be_bytes(bytes.try_into().ok()?).into()),
            Type::FLOAT4 | Type::FLOAT8 => Self::Float(cell.read().ok()?),
            Type::NUMERIC => Self::Numeric(cell.read().ok()?),
            Type::TEXT => Self::Text(text(cell)?),
            Type::BYTEA | Type::UUID => Self::Bytes(bytes.to_vec()),
            _ => return None,
        })
    }

    fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Integer(left), Self::Integer(right)) => Some(left.cmp(right)),
            (Self::Float(left), Self::Float(right)) => Some(float(*left, *right)),
            (Self::Numeric(left), Self::Numeric(right)) => Some(left.cmp(right)),
            (Self::Numeric(left), Self::Integer(right)) => Some(left.cmp(&(*right).into())),
            (Self::Integer(left), Self::Numeric(right)) => Some(Numeric::from(*left).cmp(right)),
            (Self::Text(left), Self::Text(right)) => Some(left.cmp(right)),
            (Self::Bytes(left), Self::Bytes(right)) => Some(left.cmp(right)),
            _ => None,
        }
    }
}

/// As PostgreSQL orders them: NaN equals itself and is larger than all others.
fn float(left: f64, right: f64) -> Ordering {
    left.partial_cmp(&right)
        .unwrap_or_else(|| left.is_nan().cmp(&right.is_nan()))
}

#[cfg(test)]
mod tests {
    use aquifer_wire::types::IntoValue;

    use super::*;

    fn order(left: impl IntoValue, right: impl IntoValue) -> Option<Ordering> {
        let cell = |value: Value| cell(&value).unwrap();
        compare(&cell(left.into_value()), &cell(right.into_value())).unwrap()
    }

    #[test]
    fn values_compare_as_in_postgresql() {
        assert_eq!(order(2_i16, 10_i64), Some(Ordering::Less));
        assert_eq!(order(f64::NAN, f64::INFINITY), Some(Ordering::Greater));
        assert_eq!(order(0.0, -0.0), Some(Ordering::Equal));
        assert_eq!(order("a", "B"), Some(Ordering::Greater));
        assert_eq!(order(None::<i32>, 1), None);
        let numeric = |text: &str| text.parse::<Numeric>().unwrap();
        assert_eq!(order(numeric("1.0"), numeric("1")), Some(Ordering::Equal));
        let later = std::time::UNIX_EPOCH + std::time::Duration::from_micros(1);
        assert_eq!(order(std::time::UNIX_EPOCH, later), Some(Ordering::Less));
    }

    #[test]
    fn a_nul_is_seen_however_it_is_written() {
        assert!(has_nul(br#"{"a":"\u0000"}"#) && has_nul(br#""\\\u0000""#));
        assert!(!has_nul(br#""\\u0000""#) && !has_nul(br#""\u0001\"#) && !has_nul(b""));
    }

    #[test]
    fn a_number_is_stored_in_the_narrowest_type() {
        for (value, ty) in [
            (7, Type::INT2),
            (70_000, Type::INT4),
            (i64::MAX, Type::INT8),
        ] {
            assert_eq!(
                (number(value).ty(), integer(&number(value))),
                (&ty, Some(value))
            );
        }
    }
}
