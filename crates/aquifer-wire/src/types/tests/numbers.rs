//! Numbers go wherever they fit exactly, and nowhere else.

use std::cmp::Ordering;
use std::collections::HashSet;

use proptest::prelude::*;

use super::strategies as make;
use super::{cases, custom, domain, encode, try_encode};
use crate::types::{Decode, Encode, Kind, Money, Numeric, Type};

const WHOLE: [Type; 6] = [
    Type::INT2,
    Type::INT4,
    Type::INT8,
    Type::OID,
    Type::XID8,
    Type::NUMERIC,
];

/// The bytes of `value`, if `ty` holds it, by PostgreSQL's definition of the type.
fn expected(value: i128, ty: &Type) -> Option<Vec<u8>> {
    Some(match *ty {
        Type::INT2 => i16::try_from(value).ok()?.to_be_bytes().to_vec(),
        Type::INT4 => i32::try_from(value).ok()?.to_be_bytes().to_vec(),
        Type::INT8 => i64::try_from(value).ok()?.to_be_bytes().to_vec(),
        Type::OID => u32::try_from(value).ok()?.to_be_bytes().to_vec(),
        Type::XID8 => u64::try_from(value).ok()?.to_be_bytes().to_vec(),
        _ => encode(&value.to_string(), ty),
    })
}

/// Sent if and only if it fits; and what was sent is read as any Rust integer that it fits.
fn check<T: Encode + Copy + TryInto<i128>>(value: T) {
    let Ok(wide) = value.try_into() else {
        panic!("every integer is an i128");
    };
    for ty in WHOLE {
        match expected(wide, &ty) {
            Some(bytes) => {
                assert_eq!(encode(&value, &ty), bytes, "{wide} as {ty}");
                read_by_all(wide, &ty, &bytes);
            }
            None => assert!(try_encode(&value, &ty).is_err(), "{wide} as {ty}"),
        }
    }
}

fn read_by_all(value: i128, ty: &Type, bytes: &[u8]) {
    macro_rules! read {
        ($($rust:ident)+) => {$(
            let read = $rust::decode(ty, bytes);
            assert_eq!(read.ok(), $rust::try_from(value).ok(), "{value} from {ty}");
        )+};
    }
    read!(i8 i16 i32 i64 isize u8 u16 u32 u64 usize);
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn integers_are_checked_for_their_range_both_ways(
        (a, b, c, d) in any::<(i8, i16, i32, i64)>(),
        (e, f, g, h) in any::<(u8, u16, u32, u64)>(),
        (i, j) in any::<(isize, usize)>(),
    ) {
        check(a); check(b); check(c); check(d); check(e);
        check(f); check(g); check(h); check(i); check(j);
    }
}

#[test]
fn the_edges_of_each_range_fit_and_their_neighbours_do_not() {
    for edge in [
        i128::from(i8::MIN),
        i16::MIN.into(),
        i32::MIN.into(),
        i64::MIN.into(),
        0,
        u8::MAX.into(),
        i16::MAX.into(),
        u16::MAX.into(),
        i32::MAX.into(),
        u32::MAX.into(),
        i64::MAX.into(),
        u64::MAX.into(),
    ] {
        for value in [edge - 1, edge, edge + 1] {
            if let Ok(value) = i64::try_from(value) {
                check(value);
            }
            if let Ok(value) = u64::try_from(value) {
                check(value);
            }
        }
    }
}

#[test]
fn integers_become_floats_only_when_exact() {
    assert_eq!(
        encode(&(1_i64 << 53), &Type::FLOAT8),
        ((1_u64 << 53) as f64).to_be_bytes()
    );
    assert!(try_encode(&((1_i64 << 53) + 1), &Type::FLOAT8).is_err());
    assert_eq!(
        encode(&i64::MIN, &Type::FLOAT8),
        (i64::MIN as f64).to_be_bytes()
    );
    assert!(try_encode(&i64::MAX, &Type::FLOAT8).is_err());
    assert_eq!(
        encode(&(1_i32 << 24), &Type::FLOAT4),
        ((1 << 24) as f32).to_be_bytes()
    );
    assert!(try_encode(&((1_i32 << 24) + 1), &Type::FLOAT4).is_err());
    assert_eq!(encode(&0_u8, &Type::FLOAT4), [0; 4]);
}

#[test]
fn floats_widen_exactly_and_narrow_by_rounding_within_the_range() {
    assert_eq!(
        encode(&0.1_f32, &Type::FLOAT8),
        f64::from(0.1_f32).to_be_bytes()
    );
    assert_eq!(encode(&0.1_f64, &Type::FLOAT4), 0.1_f32.to_be_bytes());
    assert_eq!(
        encode(&f64::INFINITY, &Type::FLOAT4),
        f32::INFINITY.to_be_bytes()
    );
    assert_eq!(encode(&-0.0_f64, &Type::FLOAT4), (-0.0_f32).to_be_bytes());
    assert!(try_encode(&1e39_f64, &Type::FLOAT4).is_err());
    assert!(try_encode(&1e-50_f64, &Type::FLOAT4).is_err());
    assert!(f32::decode(&Type::FLOAT8, &[0; 8]).is_err());
    assert!(f64::decode(&Type::INT8, &[0; 8]).is_err());
    assert_eq!(f64::decode(&Type::INT4, &7_i32.to_be_bytes()).unwrap(), 7.0);
    assert_eq!(
        f64::decode(&Type::FLOAT4, &0.5_f32.to_be_bytes()).unwrap(),
        0.5
    );
}

#[test]
fn numbers_never_become_text_money_or_booleans_in_silence() {
    for ty in [
        Type::TEXT,
        Type::MONEY,
        Type::BOOL,
        Type::TIMESTAMPTZ,
        Type::INT4_ARRAY,
    ] {
        assert!(try_encode(&1_i32, &ty).is_err(), "{ty}");
        assert!(try_encode(&1.0_f64, &ty).is_err(), "{ty}");
    }
    assert!(try_encode(&1.0_f64, &Type::INT4).is_err());
    assert!(try_encode(&Money(1), &Type::NUMERIC).is_err());
}

#[test]
fn a_numeric_with_a_fraction_is_no_integer() {
    let whole = encode(&"12.00", &Type::NUMERIC);
    assert_eq!(i32::decode(&Type::NUMERIC, &whole).unwrap(), 12);
    for text in ["12.01", "NaN", "Infinity", "1e40", "0.5"] {
        let raw = encode(&text, &Type::NUMERIC);
        let error = i64::decode(&Type::NUMERIC, &raw).unwrap_err().to_string();
        assert!(error.contains("read it as Numeric"), "{error}");
    }
}

#[test]
fn domains_of_domains_take_what_their_base_takes() {
    let nested = domain(domain(Type::INT8));
    let mut out = bytes::BytesMut::new();
    crate::types::encode::encode_value(&7_i32, &nested, &mut out).unwrap();
    assert_eq!(out[..], [0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 7]);
    assert_eq!(u16::decode_nullable(&nested, Some(&out[4..])).unwrap(), 7);
    assert_eq!(Option::<u16>::decode_nullable(&nested, None).unwrap(), None);
}

#[test]
fn object_identifiers_have_many_names() {
    for ty in [Type::REGCLASS, Type::REGTYPE, Type::XID, Type::CID] {
        assert_eq!(encode(&7_i64, &ty), [0, 0, 0, 7]);
        assert_eq!(u32::decode(&ty, &[0, 0, 0, 7]).unwrap(), 7);
    }
    assert!(u32::decode(&custom("int4", Kind::Simple), &[0; 4]).is_err());
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn numeric_order_is_that_of_its_values(
        (a, x) in (any::<i64>(), 0_u16..6),
        (b, y) in (any::<i64>(), 0_u16..6),
    ) {
        let scaled = |value: i64, scale: u16| i128::from(value) * 10_i128.pow(u32::from(6 - scale));
        let number = |value: i64, scale: u16| Numeric::with_scale(value.into(), scale).unwrap();
        let order = number(a, x).cmp(&number(b, y));
        prop_assert_eq!(order, scaled(a, x).cmp(&scaled(b, y)));
        let equal = HashSet::from([number(a, x), number(b, y)]).len() == 1;
        prop_assert_eq!(equal, order == Ordering::Equal);
    }

    #[test]
    fn numerics_of_one_value_are_equal_whatever_their_scale(value in any::<i32>(), zeros in 0_u16..9) {
        let shifted = i128::from(value) * 10_i128.pow(zeros.into());
        let padded = Numeric::with_scale(shifted, zeros).unwrap();
        let plain = Numeric::from(value);
        prop_assert_eq!(&padded, &plain);
        prop_assert_eq!(padded.scale(), Some(zeros));
        prop_assert_eq!(HashSet::from([padded, plain]).len(), 1);
    }

    #[test]
    fn numeric_and_float_convert_back(bits in any::<u64>()) {
        let float = f64::from_bits(bits);
        let read = Numeric::from(float).to_f64();
        prop_assert!(read == float || (read.is_nan() && float.is_nan()));
    }

    #[test]
    fn numeric_and_i128_convert_back(value in any::<i128>()) {
        prop_assert_eq!(Numeric::from(value).to_i128(), Some(value));
        prop_assert_eq!(Numeric::from(value).to_string(), value.to_string());
    }

    #[test]
    fn numeric_order_is_total(numbers in prop::collection::vec(make::numeric(), 0..9)) {
        let mut sorted = numbers;
        sorted.sort();
        prop_assert!(sorted.is_sorted());
        let nan = sorted.iter().position(Numeric::is_nan).unwrap_or(sorted.len());
        prop_assert!(sorted[nan..].iter().all(Numeric::is_nan), "NaN is the greatest");
    }
}

/// As the server does: 1.5678 with two digits after the point is 1.56.
#[test]
fn digits_beyond_the_scale_are_cut_off() {
    let raw = super::hex("00020000000000020001162e");
    let number = Numeric::decode(&Type::NUMERIC, &raw).unwrap();
    assert_eq!(number.to_string(), "1.56");
    assert_eq!(number, "1.56".parse().unwrap());
    let beyond = super::hex("0001fffe000000020001");
    assert!(Numeric::decode(&Type::NUMERIC, &beyond).unwrap().is_zero());
}

#[test]
fn the_largest_numeric_survives() {
    let digits = "9".repeat(131_072) + "." + &"9".repeat(16_383);
    let number: Numeric = digits.parse().unwrap();
    assert_eq!(number.to_string(), digits);
    assert_eq!(super::back(&number, &Type::NUMERIC).unwrap(), number);
    assert_eq!(
        "1e131071".parse::<Numeric>().unwrap().to_string().len(),
        131_072
    );
}
