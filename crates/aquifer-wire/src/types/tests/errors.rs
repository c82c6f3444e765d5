//! An error names both types and the remedy, and never the value.

use super::{custom, domain, try_encode};
use crate::types::catalog::short_name;
use crate::types::{Decode, Encode, Kind, Type};

/// Values that would show in an error's text, and a type that refuses each.
#[test]
fn no_error_shows_the_value() {
    let refused: &[(&dyn Encode, Type)] = &[
        (&987_654_321_i64, Type::INT2),
        (&987_654_321_i64, Type::BOOL),
        (&987_654_321.5_f64, Type::INT4),
        (&"987654321", Type::DATE),
        (&"987654321", Type::INT4),
        (&"987654321\0", Type::TEXT),
        (&"987654321", Type::CHAR),
        (&vec![987_654_321], Type::INT2_ARRAY),
        (&(987_654_321,), Type::INT4),
        (&serde_json::json!(987_654_321), Type::TEXT),
        (&b"987654321".as_slice(), Type::TEXT),
    ];
    for (value, ty) in refused {
        let error = try_encode(*value, ty).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("987"), "{shown}");
        let rust = short_name(error.rust_type());
        assert!(shown.contains(&rust) && shown.contains(error.postgres_type()));
    }
}

#[test]
fn a_mismatch_names_the_rust_type_that_fits() {
    let sent = |value: &dyn Encode, ty: &Type| try_encode(value, ty).unwrap_err().to_string();
    assert_eq!(
        sent(&true, &Type::INT4),
        "Rust bool can't be sent as PostgreSQL int4: send i32, or name another type in SQL, as in \
         $1::text::int4"
    );
    assert_eq!(
        sent(&"x", &Type::TS_VECTOR),
        "Rust str can't be sent as PostgreSQL tsvector: send it as text, with $1::text::tsvector"
    );
    assert_eq!(
        sent(&vec![Some(String::new())], &Type::INT4),
        "Rust [Option<String>] can't be sent as PostgreSQL int4: send i32, or name another type \
         in SQL, as in $1::text::int4"
    );
    assert!(sent(&1, &Type::TEXT).ends_with("send String or &str"));
    assert!(sent(&1, &Type::TEXT_ARRAY).contains("PostgreSQL text[]: send Vec or Array"));
    assert!(sent(&std::time::SystemTime::UNIX_EPOCH, &Type::TIMESTAMP).contains("send Timestamp"));
    assert!(sent(&1, &Type::RECORD).contains("a pseudo-type takes no values"));

    let read = |ty: &Type| bool::decode(ty, &[0]).unwrap_err().to_string();
    assert_eq!(
        read(&Type::INT8),
        "PostgreSQL int8 can't be read as Rust bool: read it as i64, or cast it in SQL"
    );
    assert!(read(&Type::TSQUERY).contains("read it as Raw, or cast it in SQL, as in column::text"));
    assert!(read(&custom("hstore", Kind::Simple)).contains("HashMap<String, Option<String>>"));
    assert!(read(&domain(Type::INT4)).contains("PostgreSQL domain"));
}

#[test]
fn null_names_the_remedy() {
    let error = i32::decode_nullable(&Type::INT4, None)
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "PostgreSQL int4 can't be read as Rust i32: the value is NULL; use Option"
    );
}
