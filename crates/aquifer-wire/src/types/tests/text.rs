use std::borrow::Cow;
use std::sync::Arc;

use super::{custom, encode, mood, try_encode};
use crate::types::{Decode, Encode, Kind, Type};

fn textual() -> Vec<Type> {
    let mut types = vec![
        Type::TEXT,
        Type::VARCHAR,
        Type::BPCHAR,
        Type::NAME,
        Type::UNKNOWN,
        Type::XML,
        Type::JSON,
        Type::JSONB,
        Type::JSONPATH,
        Type::CSTRING,
        mood(),
    ];
    for name in ["citext", "ltree", "lquery", "ltxtquery"] {
        types.push(custom(name, Kind::Simple));
    }
    types
}

#[test]
fn text_goes_into_all_that_consists_of_text_in_every_rust_form() {
    for ty in textual() {
        let values: [&dyn Encode; 7] = [
            &"a",
            &String::from("a"),
            &Cow::Borrowed("a"),
            &Box::<str>::from("a"),
            &Arc::<str>::from("a"),
            &'a',
            &&&"a",
        ];
        let first = encode(values[0], &ty);
        for value in values {
            assert_eq!(encode(value, &ty), first, "{ty}");
        }
        assert_eq!(<&str>::decode(&ty, &first).unwrap(), "a");
        assert_eq!(String::decode(&ty, &first).unwrap(), "a");
        assert_eq!(&*Box::<str>::decode(&ty, &first).unwrap(), "a");
        assert_eq!(&*Arc::<str>::decode(&ty, &first).unwrap(), "a");
        assert_eq!(Cow::<'_, str>::decode(&ty, &first).unwrap(), "a");
        assert_eq!(char::decode(&ty, &first).unwrap(), 'a');
    }
}

#[test]
fn extension_text_carries_its_version() {
    assert_eq!(encode(&"a.b", &custom("ltree", Kind::Simple)), b"\x01a.b");
    assert_eq!(encode(&"[]", &Type::JSONB), b"\x01[]");
    for ty in [custom("ltree", Kind::Simple), Type::JSONB] {
        assert!(
            <&str>::decode(&ty, b"\x02a").is_err(),
            "an unknown version of {ty}"
        );
        assert!(<&str>::decode(&ty, b"").is_err());
    }
}

#[test]
fn nul_is_refused_before_it_is_sent() {
    for ty in textual() {
        let error = try_encode(&"a\0b", &ty).unwrap_err().to_string();
        assert!(error.contains("NUL"), "{error}");
    }
    let map = std::collections::HashMap::from([("a\0".to_string(), None::<String>)]);
    let hstore = custom("hstore", Kind::Simple);
    assert!(
        try_encode(&map, &hstore)
            .unwrap_err()
            .to_string()
            .contains("NUL")
    );
    assert!(try_encode(&vec!["a\0"], &Type::TEXT_ARRAY).is_err());
    assert_eq!(encode(&b"a\0b".as_slice(), &Type::BYTEA), b"a\0b");
}

#[test]
fn the_one_byte_char_takes_one_byte() {
    assert_eq!(encode(&"r", &Type::CHAR), b"r");
    assert_eq!(encode(&"", &Type::CHAR), b"\0");
    assert!(try_encode(&"rr", &Type::CHAR).is_err());
    assert!(try_encode(&"é", &Type::CHAR).is_err());
    assert!(try_encode(&"\0", &Type::CHAR).is_err());
    assert_eq!(String::decode(&Type::CHAR, b"r").unwrap(), "r");
    assert_eq!(String::decode(&Type::CHAR, b"\0").unwrap(), "");
    assert!(String::decode(&Type::CHAR, b"\xE9").is_err());
}

#[test]
fn what_is_not_utf8_names_the_setting() {
    let error = String::decode(&Type::TEXT, b"\xE9")
        .unwrap_err()
        .to_string();
    assert!(error.contains("client_encoding must be UTF8"), "{error}");
}

#[test]
fn json_does_not_leak_its_text_into_errors() {
    use crate::types::Json;

    let error = Json::<Vec<i32>>::decode(&Type::JSON, br#""secret""#).unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(
        shown.contains("does not fit") && shown.contains("line 1"),
        "{shown}"
    );
    assert!(!shown.contains("secret"), "{shown}");
    assert!(std::error::Error::source(&error).is_none());
    let error = serde_json::Value::decode(&Type::JSON, b"[1e400]").unwrap_err();
    assert!(error.to_string().contains("out of range"), "{error}");
}

#[test]
fn json_borrows_from_the_row() {
    use crate::types::Json;

    let row = br#"["a", "b"]"#.to_vec();
    let Json(words) = Json::<Vec<&str>>::decode(&Type::JSON, &row).unwrap();
    assert_eq!(words, ["a", "b"]);
}
