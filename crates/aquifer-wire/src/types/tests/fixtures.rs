//! What PostgreSQL 15 prints for a value, and what it sends for the same value: `wire` below is the
//! hexadecimal form of the result of the type's own send function, as in
//! `SELECT encode(numeric_send('1.50'), 'hex')`, with `TimeZone` UTC.

use crate::types::Type;

pub(super) struct Fixture {
    pub(super) ty: Type,
    pub(super) text: &'static str,
    pub(super) wire: &'static str,
}

const fn fixture(ty: Type, text: &'static str, wire: &'static str) -> Fixture {
    Fixture { ty, text, wire }
}

/// Types that have a text form here.
pub(super) const PRINTED: &[Fixture] = &[
    fixture(Type::NUMERIC, "0", "0000000000000000"),
    fixture(Type::NUMERIC, "0.00", "0000000000000002"),
    fixture(Type::NUMERIC, "NaN", "00000000c0000000"),
    fixture(Type::NUMERIC, "Infinity", "00000000d0000020"),
    fixture(Type::NUMERIC, "-Infinity", "00000000f0000020"),
    fixture(Type::NUMERIC, "1", "00010000000000000001"),
    fixture(Type::NUMERIC, "-1", "00010000400000000001"),
    fixture(Type::NUMERIC, "9999", "0001000000000000270f"),
    fixture(Type::NUMERIC, "10000", "00010001000000000001"),
    fixture(Type::NUMERIC, "12.50", "0002000000000002000c1388"),
    fixture(Type::NUMERIC, "0.1", "0001ffff0000000103e8"),
    fixture(Type::NUMERIC, "0.0001", "0001ffff000000040001"),
    fixture(Type::NUMERIC, "0.00001", "0001fffe0000000503e8"),
    fixture(Type::NUMERIC, "-0.000012340", "0001fffe4000000904d2"),
    fixture(
        Type::NUMERIC,
        "100000000000000000000000000000000",
        "00010008000000000001",
    ),
    fixture(Type::NUMERIC, "0.00000000015", "0001fffd0000000b0096"),
    fixture(
        Type::NUMERIC,
        "123456789012345678901234567890.123456789",
        "000b000700000009000c0d801ed204d2162e23340d801ed204d2162e2328",
    ),
    fixture(Type::NUMERIC, "100000000.00", "00010002000000020001"),
    fixture(Type::NUMERIC, "1.000", "00010000000000030001"),
    fixture(
        Type::NUMERIC,
        "79228162514264337593543950335",
        "00080007000000000007240c0659059210f1172f112b014f",
    ),
    fixture(
        Type::NUMERIC,
        "0.0000000000000000000000000000000000000001",
        "0001fff6000000280001",
    ),
    fixture(
        Type::UUID,
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "a0eebc999c0b4ef8bb6d6bb9bd380a11",
    ),
    fixture(
        Type::UUID,
        "00000000-0000-0000-0000-000000000000",
        "00000000000000000000000000000000",
    ),
    fixture(Type::DATE, "infinity", "7fffffff"),
    fixture(Type::DATE, "-infinity", "80000000"),
    fixture(Type::DATE, "4714-11-24 BC", "ffda97a7"),
    fixture(Type::DATE, "5874897-12-31", "7fda970c"),
    fixture(Type::DATE, "2000-01-01", "00000000"),
    fixture(Type::DATE, "2000-02-29", "0000003b"),
    fixture(Type::DATE, "1900-03-01", "ffff718f"),
    fixture(Type::DATE, "0001-01-01", "fff4dbf9"),
    fixture(Type::DATE, "0001-12-31 BC", "fff4dbf8"),
    fixture(Type::DATE, "0005-02-29 BC", "fff4d511"),
    fixture(Type::DATE, "10000-01-01", "002c95d4"),
    fixture(Type::DATE, "1999-12-31", "ffffffff"),
    fixture(Type::TIME, "00:00:00", "0000000000000000"),
    fixture(Type::TIME, "24:00:00", "000000141dd76000"),
    fixture(Type::TIME, "23:59:59.999999", "000000141dd75fff"),
    fixture(Type::TIME, "04:05:06.78", "000000036c97a760"),
    fixture(
        Type::TIMETZ,
        "04:05:06.789+02:30",
        "000000036c97ca88ffffdcd8",
    ),
    fixture(
        Type::TIMETZ,
        "24:00:00-15:59:59",
        "000000141dd760000000e0ff",
    ),
    fixture(
        Type::TIMETZ,
        "00:00:00+15:59:59",
        "0000000000000000ffff1f01",
    ),
    fixture(
        Type::TIMETZ,
        "12:00:00-00:00:01",
        "0000000a0eebb00000000001",
    ),
    fixture(Type::TIMETZ, "12:00:00+00", "0000000a0eebb00000000000"),
    fixture(Type::TIMESTAMP, "infinity", "7fffffffffffffff"),
    fixture(Type::TIMESTAMP, "-infinity", "8000000000000000"),
    fixture(
        Type::TIMESTAMP,
        "4714-11-24 00:00:00 BC",
        "fd0f7cc1411fa000",
    ),
    fixture(
        Type::TIMESTAMP,
        "294276-12-31 23:59:59.999999",
        "7fffff5bb3b29fff",
    ),
    fixture(Type::TIMESTAMP, "2000-01-01 00:00:00", "0000000000000000"),
    fixture(
        Type::TIMESTAMP,
        "1999-12-31 23:59:59.999999",
        "ffffffffffffffff",
    ),
    fixture(
        Type::TIMESTAMP,
        "1970-01-01 00:00:00.000001",
        "fffca2fec4c82001",
    ),
    fixture(Type::TIMESTAMP, "0001-01-01 00:00:00", "ff1fe2ffc59c6000"),
    fixture(
        Type::TIMESTAMP,
        "0044-03-15 12:30:00 BC",
        "ff1af9e96690a200",
    ),
    fixture(Type::TIMESTAMPTZ, "infinity", "7fffffffffffffff"),
    fixture(Type::TIMESTAMPTZ, "-infinity", "8000000000000000"),
    fixture(
        Type::TIMESTAMPTZ,
        "4714-11-24 00:00:00+00 BC",
        "fd0f7cc1411fa000",
    ),
    fixture(
        Type::TIMESTAMPTZ,
        "294276-12-31 23:59:59.999999+00",
        "7fffff5bb3b29fff",
    ),
    fixture(
        Type::TIMESTAMPTZ,
        "2024-02-29 12:34:56.789+00",
        "0002b58341728608",
    ),
    fixture(
        Type::TIMESTAMPTZ,
        "0044-03-15 12:30:00+00 BC",
        "ff1af9e96690a200",
    ),
    fixture(
        Type::INTERVAL,
        "00:00:00",
        "00000000000000000000000000000000",
    ),
    fixture(
        Type::INTERVAL,
        "1 year 2 mons 3 days 04:05:06.789",
        "000000036c97ca88000000030000000e",
    ),
    fixture(
        Type::INTERVAL,
        "-1 years -2 mons +3 days -04:05:06.789",
        "fffffffc9368357800000003fffffff2",
    ),
    fixture(
        Type::INTERVAL,
        "1 mon -1 days",
        "0000000000000000ffffffff00000001",
    ),
    fixture(
        Type::INTERVAL,
        "-1 mons +1 day",
        "000000000000000000000001ffffffff",
    ),
    fixture(
        Type::INTERVAL,
        "-1 days +00:00:01",
        "00000000000f4240ffffffff00000000",
    ),
    fixture(Type::INTERVAL, "1 day", "00000000000000000000000100000000"),
    fixture(
        Type::INTERVAL,
        "-00:00:00.000001",
        "ffffffffffffffff0000000000000000",
    ),
    fixture(
        Type::INTERVAL,
        "-178956970 years -7 mons -2147483647 days -2562047788:00:54.775807",
        "80000000000000018000000180000001",
    ),
    fixture(
        Type::INTERVAL,
        "11 mons",
        "0000000000000000000000000000000b",
    ),
    fixture(
        Type::INTERVAL,
        "100:00:00",
        "00000053d1ac10000000000000000000",
    ),
    fixture(Type::INET, "192.168.0.1", "02200004c0a80001"),
    fixture(Type::INET, "10.0.0.1/8", "020800040a000001"),
    fixture(
        Type::INET,
        "::1",
        "0380001000000000000000000000000000000001",
    ),
    fixture(
        Type::INET,
        "2001:db8::1/32",
        "0320001020010db8000000000000000000000001",
    ),
    fixture(
        Type::INET,
        "::ffff:1.2.3.4",
        "0380001000000000000000000000ffff01020304",
    ),
    fixture(Type::INET, "0.0.0.0/0", "0200000400000000"),
    fixture(
        Type::INET,
        "::0.8.66.13/31",
        "031f00100000000000000000000000000008420d",
    ),
    fixture(Type::CIDR, "10.0.0.0/8", "020801040a000000"),
    fixture(Type::CIDR, "192.168.0.1/32", "02200104c0a80001"),
    fixture(
        Type::CIDR,
        "2001:db8::/32",
        "0320011020010db8000000000000000000000000",
    ),
    fixture(
        Type::CIDR,
        "::1/128",
        "0380011000000000000000000000000000000001",
    ),
    fixture(Type::MACADDR, "08:00:2b:01:02:03", "08002b010203"),
    fixture(
        Type::MACADDR8,
        "08:00:2b:01:02:03:04:05",
        "08002b0102030405",
    ),
    fixture(Type::BIT, "101", "00000003a0"),
    fixture(Type::VARBIT, "", "00000000"),
    fixture(Type::VARBIT, "10000000", "0000000880"),
    fixture(Type::VARBIT, "111111111", "00000009ff80"),
    fixture(Type::PG_LSN, "16/B374D848", "00000016b374d848"),
    fixture(Type::PG_LSN, "0/0", "0000000000000000"),
    fixture(Type::PG_LSN, "FFFFFFFF/FFFFFFFF", "ffffffffffffffff"),
];
