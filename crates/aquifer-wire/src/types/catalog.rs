//! What the codecs ask about PostgreSQL's types themselves.

use crate::types::{Kind, Type};

/// The type under any number of domains.
pub(crate) fn base_type(mut ty: &Type) -> &Type {
    while let Kind::Domain(base) = ty.kind() {
        ty = base;
    }
    ty
}

/// The element type of an array type.
pub(crate) fn element_type(ty: &Type) -> Option<&Type> {
    match ty.kind() {
        Kind::Array(element) => Some(element),
        // The catalog calls record[] a pseudo-type, but its values are ordinary arrays.
        _ if *ty == Type::RECORD_ARRAY => Some(&Type::RECORD),
        _ => None,
    }
}

/// Whether an extension's type has this name; extensions may live in any schema.
pub(crate) fn is_extension(ty: &Type, name: &str) -> bool {
    matches!(ty.kind(), Kind::Simple) && ty.name() == name
}

/// The type as SQL spells it: `int4[]` where the catalog says `_int4`.
pub(crate) fn describe(ty: &Type) -> String {
    match ty.kind() {
        Kind::Array(element) if !matches!(*ty, Type::OID_VECTOR | Type::INT2_VECTOR) => {
            format!("{}[]", describe(element))
        }
        _ => ty.to_string(),
    }
}

/// A Rust type as a programmer writes it: `Vec<String>`, where the compiler says
/// `alloc::vec::Vec<alloc::string::String>`.
pub(crate) fn short_name(name: &str) -> String {
    let is_of_a_path = |character: char| character.is_alphanumeric() || "_:".contains(character);
    name.split_inclusive(|character| !is_of_a_path(character))
        .map(|path| path.rsplit("::").next().unwrap_or(path))
        .collect()
}

/// The Rust type that fits best, for the remedy in an error.
pub(crate) fn rust_type_for(ty: &Type) -> Option<&'static str> {
    Some(match *ty {
        Type::BOOL => "bool",
        Type::BYTEA => "Vec<u8> or &[u8]",
        Type::CHAR => "i8",
        Type::INT2 => "i16",
        Type::INT4 => "i32",
        Type::INT8 => "i64",
        Type::OID
        | Type::REGPROC
        | Type::REGPROCEDURE
        | Type::REGOPER
        | Type::REGOPERATOR
        | Type::REGCLASS
        | Type::REGTYPE
        | Type::REGCONFIG
        | Type::REGDICTIONARY
        | Type::REGNAMESPACE
        | Type::REGROLE
        | Type::REGCOLLATION
        | Type::XID
        | Type::CID => "u32",
        Type::XID8 => "u64",
        Type::FLOAT4 => "f32",
        Type::FLOAT8 => "f64",
        Type::NUMERIC => "Numeric",
        Type::MONEY => "Money",
        Type::TEXT
        | Type::VARCHAR
        | Type::BPCHAR
        | Type::NAME
        | Type::UNKNOWN
        | Type::XML
        | Type::JSONPATH
        | Type::REFCURSOR => "String or &str",
        Type::JSON | Type::JSONB => "serde_json::Value or Json<T>",
        Type::DATE => "Date",
        Type::TIME => "Time",
        Type::TIMETZ => "TimeTz",
        Type::TIMESTAMP => "Timestamp",
        Type::TIMESTAMPTZ => "TimestampTz or SystemTime",
        Type::INTERVAL => "Interval",
        Type::UUID => "String, or Uuid with the uuid feature",
        Type::INET | Type::CIDR => "Inet",
        Type::MACADDR => "MacAddr",
        Type::MACADDR8 => "MacAddr8",
        Type::BIT | Type::VARBIT => "Bit",
        Type::PG_LSN => "PgLsn",
        Type::POINT => "Point",
        Type::LINE => "Line",
        Type::LSEG => "LineSegment",
        Type::BOX => "PgBox",
        Type::PATH => "Path",
        Type::POLYGON => "Polygon",
        Type::CIRCLE => "Circle",
        Type::RECORD => "a tuple",
        _ => return rust_type_for_kind(ty),
    })
}

fn rust_type_for_kind(ty: &Type) -> Option<&'static str> {
    match ty.kind() {
        Kind::Array(_) => Some("Vec or Array"),
        Kind::Range(_) => Some("Range"),
        Kind::Multirange(_) => Some("Multirange"),
        Kind::Enum(_) => Some("String, &str or a type that derives Encode and Decode"),
        Kind::Composite(_) => Some("a tuple or a type that derives Encode and Decode"),
        Kind::Simple => match ty.name() {
            "citext" | "ltree" | "lquery" | "ltxtquery" => Some("String or &str"),
            "hstore" => Some("HashMap<String, Option<String>>"),
            "vector" => Some("Vector"),
            _ => None,
        },
        _ => None,
    }
}
