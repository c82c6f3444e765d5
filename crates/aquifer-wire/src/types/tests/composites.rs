use aquifer_macros::{Decode, Encode};
use postgres_types::Field;

use super::{custom, domain, encode, hex, mood, try_encode};
use crate::types::{Decode, Kind, Raw, Type};

#[derive(Debug, PartialEq, Encode, Decode)]
#[aquifer(crate = "crate")]
struct Address {
    // Not the server's order.
    number: i64,
    street: String,
    #[aquifer(rename = "mood")]
    feeling: Option<Mood>,
}

#[derive(Debug, PartialEq, Clone, Copy, Encode, Decode)]
#[aquifer(crate = "crate", rename_all = "snake_case")]
enum Mood {
    Sad,
    #[aquifer(rename = "very happy")]
    Happy,
    SoSo,
}

#[derive(Debug, PartialEq, Encode, Decode)]
#[aquifer(crate = "crate")]
struct Email(String);

#[derive(Debug, PartialEq, Encode, Decode)]
#[aquifer(crate = "crate", transparent)]
struct Nick {
    name: Option<String>,
}

#[derive(Debug, PartialEq, Encode, Decode)]
#[aquifer(crate = "crate", rename_all = "camelCase")]
struct Pair<'p, T> {
    left_side: &'p str,
    right_side: T,
}

fn composite(name: &str, fields: &[(&str, Type)]) -> Type {
    let fields = fields
        .iter()
        .map(|(name, ty)| Field::new((*name).into(), ty.clone()));
    custom(name, Kind::Composite(fields.collect()))
}

fn address() -> Type {
    composite(
        "address",
        &[
            ("street", Type::TEXT),
            ("number", Type::INT4),
            ("mood", Type::TEXT),
        ],
    )
}

const MAIN_7: &str = "0000000300000019000000044d61696e00000017000000040000000700000019ffffffff";

#[test]
fn a_struct_is_a_composite_type_by_the_names_of_its_fields() {
    let value = Address {
        number: 7,
        street: "Main".into(),
        feeling: None,
    };
    assert_eq!(encode(&value, &address()), hex(MAIN_7));
    assert_eq!(Address::decode(&address(), &hex(MAIN_7)).unwrap(), value);

    let with_mood = Address {
        feeling: Some(Mood::Happy),
        ..value
    };
    let raw = encode(&with_mood, &address());
    assert_eq!(Address::decode(&address(), &raw).unwrap(), with_mood);
    let list = custom("_address", Kind::Array(domain(address())));
    let raw = encode(&[with_mood], &list);
    assert_eq!(
        Vec::<Address>::decode(&list, &raw).unwrap()[0].feeling,
        Some(Mood::Happy)
    );
}

#[test]
fn fields_that_do_not_match_are_named() {
    let shorter = composite("address", &[("street", Type::TEXT), ("number", Type::INT4)]);
    let value = Address {
        number: 7,
        street: String::new(),
        feeling: None,
    };
    let error = try_encode(&value, &shorter).unwrap_err().to_string();
    assert!(error.contains("has no field mood"), "{error}");
    let raw = hex("0000000200000019000000044d61696e000000170000000400000007");
    let error = Address::decode(&shorter, &raw).unwrap_err().to_string();
    assert!(
        error.contains("has no field mood") && error.contains("Address"),
        "{error}"
    );

    let longer = composite(
        "address",
        &[
            ("street", Type::TEXT),
            ("number", Type::INT4),
            ("mood", Type::TEXT),
            ("zip", Type::TEXT),
        ],
    );
    let error = try_encode(&value, &longer).unwrap_err().to_string();
    assert!(
        error.contains("has a field zip that the struct lacks"),
        "{error}"
    );

    let huge = Address {
        number: i64::MAX,
        ..value
    };
    let error = try_encode(&huge, &address()).unwrap_err().to_string();
    assert!(
        error.contains("field number: Rust i64 can't be sent as PostgreSQL int4"),
        "{error}"
    );

    let no_street = hex("0000000300000019ffffffff00000017000000040000000700000019ffffffff");
    let error = Address::decode(&address(), &no_street)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("field street:") && error.contains("NULL; use Option"),
        "{error}"
    );
}

#[test]
fn fields_that_the_struct_does_not_ask_for_are_left_out() {
    #[derive(Debug, PartialEq, Decode)]
    #[aquifer(crate = "crate")]
    struct Street<'a> {
        street: &'a str,
    }
    let raw = hex(MAIN_7);
    assert_eq!(
        Street::decode(&address(), &raw).unwrap(),
        Street { street: "Main" }
    );
}

#[test]
fn a_type_altered_behind_our_back_is_an_error() {
    let changed = composite(
        "address",
        &[
            ("street", Type::TEXT),
            ("number", Type::INT8),
            ("mood", Type::TEXT),
        ],
    );
    let error = Address::decode(&changed, &hex(MAIN_7))
        .unwrap_err()
        .to_string();
    assert!(error.contains("was altered"), "{error}");
    let shorter = composite("address", &[("street", Type::TEXT)]);
    let error = Address::decode(&shorter, &hex(MAIN_7))
        .unwrap_err()
        .to_string();
    assert!(error.contains("was altered"), "{error}");
}

#[test]
fn tuples_are_composites_and_records_by_position() {
    let value = ("Main".to_string(), 7, None::<String>);
    assert_eq!(encode(&value, &address()), hex(MAIN_7));
    assert_eq!(
        <(String, i32, Option<String>)>::decode(&address(), &hex(MAIN_7)).unwrap(),
        value
    );
    let record =
        hex("0000000400000017000000040000000100000019000000016100000014ffffffff000000100000000101");
    let read = <(i64, &str, Option<i32>, bool)>::decode(&Type::RECORD, &record).unwrap();
    assert_eq!(read, (1, "a", None, true));
    let error = <(i64,)>::decode(&Type::RECORD, &record)
        .unwrap_err()
        .to_string();
    assert!(error.contains("has 4 fields"), "{error}");
    let error = <(bool, &str, Raw, bool)>::decode(&Type::RECORD, &record)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("field 1:") && error.contains("read it as i32"),
        "{error}"
    );
    assert!(
        try_encode(&(1,), &address())
            .unwrap_err()
            .to_string()
            .contains("has 3 fields")
    );
    let error = Address::decode(&Type::RECORD, &record)
        .unwrap_err()
        .to_string();
    assert!(error.contains("cast it to a composite type"), "{error}");
}

#[test]
fn a_record_may_hold_types_that_nobody_knows() {
    let record = hex("000000010001117000000003616263");
    let (raw,) = <(Raw,)>::decode(&Type::RECORD, &record).unwrap();
    assert_eq!((raw.oid(), raw.bytes()), (70_000, Some(&b"abc"[..])));
    assert!(<(String,)>::decode(&Type::RECORD, &record).is_err());
}

#[test]
fn an_enum_is_its_labels() {
    for (value, label) in [
        (Mood::Sad, "sad"),
        (Mood::Happy, "very happy"),
        (Mood::SoSo, "so_so"),
    ] {
        for ty in [mood(), Type::TEXT, Type::VARCHAR] {
            assert_eq!(encode(&value, &ty), label.as_bytes());
            assert_eq!(Mood::decode(&ty, label.as_bytes()).unwrap(), value);
        }
    }
    let error = Mood::decode(&mood(), b"furious").unwrap_err().to_string();
    assert!(
        error.ends_with("none of the Rust enum's: sad, very happy, so_so"),
        "{error}"
    );
    assert!(!error.contains("furious"));
    assert!(try_encode(&Mood::Sad, &Type::INT4).is_err());
    assert!(Mood::decode(&Type::JSON, b"sad").is_err());
}

#[test]
fn a_newtype_is_its_field_even_as_null() {
    let email = Email("a@example.org".into());
    assert_eq!(encode(&email, &Type::TEXT), b"a@example.org");
    assert_eq!(
        Email::decode_nullable(&domain(Type::TEXT), Some(b"a@example.org")).unwrap(),
        email
    );
    assert!(Email::decode_nullable(&Type::TEXT, None).is_err());
    let nick = Nick { name: None };
    assert_eq!(try_encode(&nick, &Type::TEXT).unwrap(), None);
    assert_eq!(Nick::decode_nullable(&Type::TEXT, None).unwrap(), nick);
}

#[test]
fn a_struct_may_borrow_and_be_generic() {
    let ty = composite(
        "pair",
        &[("leftSide", Type::TEXT), ("rightSide", Type::INT8_ARRAY)],
    );
    let value = Pair {
        left_side: "l",
        right_side: vec![1_i32, 2],
    };
    let raw = encode(&value, &ty);
    assert_eq!(Pair::<Vec<i32>>::decode(&ty, &raw).unwrap(), value);
}
