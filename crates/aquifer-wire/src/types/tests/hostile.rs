//! A server that lies: whatever the bytes, decoding ends with a value or a typed error.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use postgres_types::Field;
use proptest::collection::vec;
use proptest::prelude::*;

use super::fixtures::PRINTED;
use super::{custom, domain, hex, mood};
use crate::types::{
    Array, Bit, Circle, Date, Decode, DecodeError, Inet, Interval, Json, Kind, Line, LineSegment,
    MacAddr, MacAddr8, Money, Multirange, Numeric, Path, PgBox, PgLsn, Point, Polygon, Range, Raw,
    Time, TimeTz, Timestamp, TimestampTz, Type, Vector,
};

type Decoder = fn(&Type, &[u8]) -> Result<(), DecodeError>;

macro_rules! decoders {
    ($($rust:ty,)+) => {
        &[$(|ty, raw| <$rust>::decode(ty, raw).map(drop),)+]
    };
}

/// Every Rust type that can be read, and a few within others.
const DECODERS: &[Decoder] = decoders![
    bool, i8, i16, i32, i64, isize, u8, u16, u32, u64, usize, f32, f64, (), char,
    String, &str, Box<str>, std::sync::Arc<str>, std::borrow::Cow<'_, str>,
    Vec<u8>, &[u8], std::borrow::Cow<'_, [u8]>, Bytes, [u8; 4],
    Numeric, Date, Time, TimeTz, Timestamp, TimestampTz, Interval, std::time::SystemTime,
    Inet, std::net::IpAddr, MacAddr, MacAddr8, Bit, PgLsn, Money,
    Point, Line, LineSegment, PgBox, Path, Polygon, Circle, Vector,
    serde_json::Value, Json<Vec<u8>>,
    HashMap<String, Option<String>>, BTreeMap<String, Option<String>>,
    Option<i32>, Box<i64>, std::sync::Arc<i64>, Box<[Option<i32>]>,
    Vec<i32>, Vec<Option<String>>, Vec<Numeric>, Vec<Range<i32>>, Vec<Vec<u8>>, [i32; 2],
    Array<Option<i32>>, Array<Raw>, Range<i32>, Range<Numeric>, Range<Raw>, Multirange<i64>,
    (i32,), (String, Option<i32>, Option<String>), (Raw, Raw), Vec<(Raw, Raw)>, Raw,
];

/// All types of the catalog that are known beforehand, and some of each kind that are not.
fn types() -> Vec<Type> {
    let mut types: Vec<Type> = (0..7_000).filter_map(Type::from_oid).collect();
    assert!(
        types.len() > 150,
        "the catalog has more types than {}",
        types.len()
    );
    for name in ["citext", "ltree", "hstore", "vector", "unheard_of"] {
        types.push(custom(name, Kind::Simple));
    }
    types.extend([mood(), address(), domain(mood())]);
    types.push(custom("_mood", Kind::Array(domain(mood()))));
    types.push(custom("range", Kind::Range(domain(Type::INT4))));
    types.push(custom("_address", Kind::Array(address())));
    types
}

fn address() -> Type {
    let fields = [
        ("street", Type::TEXT),
        ("number", Type::INT4),
        ("mood", Type::TEXT),
    ]
    .map(|(name, ty)| Field::new(name.into(), ty));
    custom("address", Kind::Composite(fields.to_vec()))
}

/// Bytes that a server did send, to be damaged.
fn sent() -> Vec<(Type, Vec<u8>)> {
    let more = [
        (
            Type::INT4_ARRAY,
            "00000001000000010000001700000003000000010000000400000001ffffffff0000000400000003",
        ),
        (
            Type::INT4_ARRAY,
            "000000020000000100000017000000020000000000000002ffffffff000000040000000100000004000000020000000400000003ffffffff",
        ),
        (
            Type::TEXT_ARRAY,
            "00000001000000010000001900000003000000010000000161ffffffff00000000",
        ),
        (Type::INT4_RANGE, "0200000004000000010000000400000005"),
        (
            Type::NUM_RANGE,
            "060000000c0002000000000001000113880000000c000200000000000200021388",
        ),
        (
            Type::INT8MULTI_RANGE,
            "00000001000000150200000008000000000000000100000008000000000000000200",
        ),
        (Type::JSONB, "015b312c325d"),
        (
            Type::RECORD,
            "0000000400000017000000040000000100000019000000016100000014ffffffff000000100000000101",
        ),
        (
            address(),
            "0000000300000019000000044d61696e00000017000000040000000700000019ffffffff",
        ),
        (
            custom("hstore", Kind::Simple),
            "000000030000000000000000000000016100000001310000000162ffffffff",
        ),
        (custom("vector", Kind::Simple), "000200003f80000040000000"),
        (
            Type::PATH,
            "01000000023ff0000000000000400000000000000040080000000000004010000000000000",
        ),
        (
            Type::POLYGON,
            "000000023ff0000000000000400000000000000040080000000000004010000000000000",
        ),
    ];
    PRINTED
        .iter()
        .map(|fixture| (fixture.ty.clone(), hex(fixture.wire)))
        .chain(more.map(|(ty, wire)| (ty, hex(wire))))
        .collect()
}

/// One way to damage bytes.
#[derive(Clone, Debug)]
enum Damage {
    Cut(prop::sample::Index),
    Append(Vec<u8>),
    Set(prop::sample::Index, u8),
    /// A number of four bytes, where a length or a count may stand.
    SetNumber(prop::sample::Index, i32),
}

impl Damage {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Cut(at) => bytes.truncate(at.index(bytes.len() + 1)),
            Self::Append(more) => bytes.extend(more),
            Self::Set(at, value) if !bytes.is_empty() => {
                let at = at.index(bytes.len());
                bytes[at] = *value;
            }
            Self::SetNumber(at, value) if bytes.len() >= 4 => {
                let at = at.index(bytes.len() - 3);
                bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
            }
            Self::Set(..) | Self::SetNumber(..) => {}
        }
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    let number = prop_oneof![
        Just(-1),
        Just(i32::MAX),
        Just(i32::MIN),
        -9..99_i32,
        any::<i32>()
    ];
    prop_oneof![
        any::<prop::sample::Index>().prop_map(Damage::Cut),
        vec(any::<u8>(), 1..9).prop_map(Damage::Append),
        any::<(prop::sample::Index, u8)>().prop_map(|(at, value)| Damage::Set(at, value)),
        (any::<prop::sample::Index>(), number).prop_map(|(at, value)| Damage::SetNumber(at, value)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..super::cases() })]

    #[test]
    fn any_bytes_for_any_pair_of_types(raw in vec(any::<u8>(), 0..64)) {
        for ty in types() {
            for decoder in DECODERS {
                let _outcome = decoder(&ty, &raw);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..super::cases() })]

    #[test]
    fn damaged_values(damages in vec(damage(), 1..3)) {
        for (ty, mut raw) in sent() {
            damages.iter().for_each(|damage| damage.apply(&mut raw));
            for decoder in DECODERS {
                let _outcome = decoder(&ty, &raw);
            }
        }
    }
}

/// A count that promises more than there is must not reserve memory for it.
#[test]
fn announced_counts_are_compared_with_the_bytes_that_are_there() {
    let huge = [
        (Type::INT4_ARRAY, "0000000100000000000000177fffffff00000001"),
        (
            Type::INT4_ARRAY,
            "0000000200000000000000170000ffff000000010000ffff00000001",
        ),
        (Type::INT4_ARRAY, "7fffffff0000000000000017"),
        (Type::INT8MULTI_RANGE, "7fffffff"),
        (Type::RECORD, "7fffffff"),
        (custom("hstore", Kind::Simple), "7fffffff"),
        (custom("vector", Kind::Simple), "ffff0000"),
        (Type::PATH, "017fffffff"),
        (Type::POLYGON, "7fffffff"),
        (Type::VARBIT, "7fffffff"),
        (Type::NUMERIC, "ffff000000000000"),
    ];
    for (ty, wire) in huge {
        let raw = hex(wire);
        let refused = DECODERS.iter().filter(|decoder| {
            decoder(&ty, &raw).is_err_and(|error| error.to_string().contains("binary form"))
        });
        assert!(refused.count() >= 1, "{ty}");
    }
}

#[test]
fn dates_and_times_out_of_the_server_s_range_are_refused() {
    let day = |days: i32| Date::decode(&Type::DATE, &days.to_be_bytes());
    assert!(day(Date::MIN.days() - 1).is_err());
    assert!(day(Date::MAX.days() + 1).is_err());
    let moment = |value: i64| TimestampTz::decode(&Type::TIMESTAMPTZ, &value.to_be_bytes());
    assert!(moment(TimestampTz::MIN.microseconds() - 1).is_err());
    assert!(moment(TimestampTz::MAX.microseconds() + 1).is_err());
    assert!(Time::decode(&Type::TIME, &(-1_i64).to_be_bytes()).is_err());
    assert!(Time::decode(&Type::TIME, &86_400_000_001_i64.to_be_bytes()).is_err());
}
