use super::{custom, domain, encode, hex, mood, try_encode};
use crate::types::{Array, Decode, Dimension, Encode, Kind, Multirange, Range, Raw, Type};

const THREE: &str =
    "00000001000000010000001700000003000000010000000400000001ffffffff0000000400000003";
const FROM_TWO: &str = "000000010000000000000017000000020000000200000004000000070000000400000008";
const MATRIX: &str = "000000020000000100000017000000020000000000000002ffffffff000000040000000100\
                      000004000000020000000400000003ffffffff";

#[test]
fn lists_are_sent_as_the_server_sends_them() {
    let list = vec![Some(1), None, Some(3)];
    let forms: [&dyn Encode; 4] = [
        &list,
        &[Some(1_i64), None, Some(3)],
        &&list[..],
        &Box::<[_]>::from(&list[..]),
    ];
    for form in forms {
        assert_eq!(encode(form, &Type::INT4_ARRAY), hex(THREE));
    }
    assert_eq!(
        Vec::<Option<u8>>::decode(&Type::INT4_ARRAY, &hex(THREE)).unwrap(),
        [Some(1), None, Some(3)]
    );
    assert_eq!(
        encode(&Vec::<i32>::new(), &Type::INT4_ARRAY),
        hex("000000000000000000000017")
    );
    assert_eq!(
        encode(&["a"], &Type::TEXT_ARRAY),
        hex("000000010000000000000019000000010000000100000001")
            .into_iter()
            .chain(*b"a")
            .collect::<Vec<_>>()
    );
}

#[test]
fn the_old_vectors_count_from_zero() {
    let two = hex("0000000100000000000000150000000200000000000000020001000000020002");
    assert_eq!(encode(&[1, 2], &Type::INT2_VECTOR), two);
    assert_eq!(
        Vec::<i16>::decode(&Type::INT2_VECTOR, &two).unwrap(),
        [1, 2]
    );
    let none = hex("0000000100000000000000150000000000000000");
    assert_eq!(encode(&Vec::<i16>::new(), &Type::INT2_VECTOR), none);
    assert!(
        Vec::<i16>::decode(&Type::INT2_VECTOR, &none)
            .unwrap()
            .is_empty()
    );
}

#[test]
fn dimensions_and_lower_bounds_are_kept() {
    for wire in [THREE, FROM_TWO, MATRIX] {
        let array = Array::<Option<i32>>::decode(&Type::INT4_ARRAY, &hex(wire)).unwrap();
        assert_eq!(encode(&array, &Type::INT4_ARRAY), hex(wire));
    }
    let matrix = Array::<Option<i32>>::decode(&Type::INT4_ARRAY, &hex(MATRIX)).unwrap();
    let dimension = |length, lower_bound| Dimension {
        length,
        lower_bound,
    };
    assert_eq!(matrix.dimensions(), [dimension(2, 0), dimension(2, -1)]);
    assert_eq!(matrix.elements(), [Some(1), Some(2), Some(3), None]);
    assert_eq!(
        Vec::<i32>::decode(&Type::INT4_ARRAY, &hex(FROM_TWO)).unwrap(),
        [7, 8]
    );
}

#[test]
fn an_array_has_as_many_elements_as_its_dimensions_say() {
    let dimension = |length| Dimension {
        length,
        lower_bound: 1,
    };
    assert!(Array::new(vec![dimension(2), dimension(2)], vec![1, 2, 3]).is_none());
    assert!(Array::new(vec![dimension(1); 7], vec![1]).is_none());
    assert!(Array::new(vec![dimension(u32::MAX); 6], vec![1]).is_none());
    assert!(
        Array::<i32>::new(vec![], vec![])
            .unwrap()
            .dimensions()
            .is_empty()
    );
    assert!(
        Array::<i32>::new(vec![dimension(0)], vec![])
            .unwrap()
            .dimensions()
            .is_empty()
    );
}

#[test]
fn what_a_list_can_t_hold_names_the_remedy() {
    let error = Vec::<i32>::decode(&Type::INT4_ARRAY, &hex(MATRIX))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("2 dimensions; read it as Array<i32>"),
        "{error}"
    );
    let error = Vec::<i32>::decode(&Type::INT4_ARRAY, &hex(THREE))
        .unwrap_err()
        .to_string();
    assert!(error.contains("NULL; use Option"), "{error}");
    let error = <[i32; 3]>::decode(&Type::INT4_ARRAY, &hex(FROM_TWO))
        .unwrap_err()
        .to_string();
    assert!(error.contains("another length; use Vec"), "{error}");
    let error = try_encode(&vec![vec![1]], &Type::INT4_ARRAY)
        .unwrap_err()
        .to_string();
    assert!(error.contains("int4: send i32"), "{error}");
}

#[test]
fn elements_may_be_of_a_domain_an_enum_or_a_record() {
    let domains = custom("_domain", Kind::Array(domain(Type::INT8)));
    let raw = encode(&[1_i32], &domains);
    assert_eq!(
        raw[8..12],
        70_000_u32.to_be_bytes(),
        "the domain's own identifier"
    );
    assert_eq!(Vec::<i64>::decode(&domains, &raw).unwrap(), [1]);

    let moods = custom("_mood", Kind::Array(mood()));
    let raw = encode(&["sad"], &moods);
    assert_eq!(Vec::<&str>::decode(&moods, &raw).unwrap(), ["sad"]);

    let record = hex("00000001000000170000000400000007");
    let mut records = hex("0000000100000000000008c90000000100000001");
    records.extend(16_u32.to_be_bytes());
    records.extend(record);
    assert_eq!(
        Vec::<(i32,)>::decode(&Type::RECORD_ARRAY, &records).unwrap(),
        [(7,)]
    );
}

#[test]
fn bytes_are_a_bytea_or_an_array_as_the_server_says() {
    assert_eq!(encode(&[1_u8, 2], &Type::BYTEA), [1, 2]);
    assert_eq!(encode(&vec![1_u8, 2], &Type::BYTEA), [1, 2]);
    assert_eq!(
        encode(&bytes::Bytes::from_static(b"ab"), &Type::BYTEA),
        b"ab"
    );
    assert_eq!(<&[u8]>::decode(&Type::BYTEA, b"ab").unwrap(), b"ab");
    assert_eq!(<[u8; 2]>::decode(&Type::BYTEA, b"ab").unwrap(), *b"ab");
    let raw = encode(&[1_u8, 2], &Type::INT8_ARRAY);
    assert_eq!(Vec::<u8>::decode(&Type::INT8_ARRAY, &raw).unwrap(), [1, 2]);
}

#[test]
fn ranges_are_sent_as_the_server_sends_them() {
    use std::ops::Bound::{Excluded, Included, Unbounded};

    let cases = [
        (Range::Empty, "01"),
        (Range::from(1..5), "0200000004000000010000000400000005"),
        (Range::from(..5), "080000000400000005"),
        (Range::from(1..), "120000000400000001"),
        (Range::from(..), "18"),
        (
            Range::new(Excluded(1), Included(5)),
            "0400000004000000010000000400000005",
        ),
        (Range::new(Unbounded, Included(5)), "0c0000000400000005"),
    ];
    for (range, wire) in cases {
        assert_eq!(encode(&range, &Type::INT4_RANGE), hex(wire));
        assert_eq!(
            Range::<i32>::decode(&Type::INT4_RANGE, &hex(wire)).unwrap(),
            range
        );
    }
    let multirange = Multirange(vec![Range::from(1..2), Range::from(5..)]);
    let wire = hex("0000000200000011020000000400000001000000040000000200000009120000000400000005");
    assert_eq!(encode(&multirange, &Type::INT4MULTI_RANGE), wire);
    assert_eq!(
        Multirange::<i32>::decode(&Type::INT4MULTI_RANGE, &wire).unwrap(),
        multirange
    );
    let error = try_encode(&Range::from(..None::<i32>), &Type::INT4_RANGE).unwrap_err();
    assert!(error.to_string().contains("use Bound::Unbounded"));
}

#[test]
fn raw_reads_everything_and_never_shows_it() {
    let unknown = custom("unheard_of", Kind::Simple);
    let raw = Raw::decode(&unknown, b"secret").unwrap();
    assert_eq!((raw.oid(), raw.bytes()), (70_000, Some(&b"secret"[..])));
    assert!(!format!("{raw:?}").contains("secret"));
    assert!(Raw::decode_null(&unknown).unwrap().is_null());
    assert_eq!(encode(&raw, &unknown), b"secret");
    assert!(try_encode(&raw, &Type::TEXT).is_err());
    let raw = Raw::decode(&Type::INT4, &[0, 0, 0, 7]).unwrap();
    assert_eq!(raw.read::<i64>().unwrap(), 7);
    assert_eq!(
        Raw::new(Type::INT4, None).read::<Option<i64>>().unwrap(),
        None
    );
}
