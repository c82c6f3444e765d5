//! Values: how Rust types become PostgreSQL parameters and columns become Rust types.
//!
//! Values are neutral: they are encoded only once the server has said which type it expects, so an
//! `i32` goes into a `bigint` and a `&str` into an enum; decoding widens likewise. Nothing is
//! rounded, cut off or wrapped in silence: what does not fit is an error that names the Rust type,
//! the PostgreSQL type and the remedy, and never shows the value.
//!
//! | PostgreSQL | Rust |
//! |---|---|
//! | `bool` | `bool` |
//! | `int2`, `int4`, `int8`, `oid` and its kin | every integer, checked for its range |
//! | `float4`, `float8` | `f32`, `f64`; integers that fit exactly |
//! | `numeric` | [`Numeric`]; integers and floats are sent; integers are read if whole |
//! | `text`, `varchar`, `bpchar`, `name`, `citext`, `xml`, `ltree` | `String`, `&str`, `char`, `Cow<str>`, … |
//! | enums | the same, or a type that derives [`Encode`] and [`Decode`] |
//! | `"char"` | `i8`, `u8`, text of one byte |
//! | `bytea` | `Vec<u8>`, `&[u8]`, `Bytes` |
//! | `json`, `jsonb` | `serde_json::Value`, [`Json`], text |
//! | `date`, `time`, `timetz`, `timestamp`, `interval` | [`Date`], [`Time`], [`TimeTz`], [`Timestamp`], [`Interval`] |
//! | `timestamptz` | [`TimestampTz`], `SystemTime` |
//! | `uuid` | text, or `Uuid` with the feature `uuid` |
//! | arrays | `Vec`, slices, `[T; N]`; [`Array`] for dimensions |
//! | ranges, multiranges | [`Range`], [`Multirange`] |
//! | composite types | a type that derives [`Encode`] and [`Decode`], tuples |
//! | domains | as their base type |
//! | `inet`, `cidr`, `macaddr`, `macaddr8` | [`Inet`], `IpAddr`, [`MacAddr`], [`MacAddr8`] |
//! | `bit`, `varbit`, `money`, `pg_lsn` | [`Bit`], [`Money`], [`PgLsn`] |
//! | geometric types | [`Point`], [`Line`], [`LineSegment`], [`PgBox`], [`Path`], [`Polygon`], [`Circle`] |
//! | `hstore`, `vector` | maps of `String` to `Option<String>`, [`Vector`] |
//! | all others | [`Raw`], or [`Foreign`] for types that implement `ToSql` and `FromSql` |
//!
//! Types that SQL tells apart are told apart here: a `timestamp` is no `timestamptz`, a number no
//! text.
//!
//! Text is also sent and read for `numeric`, `uuid`, dates, times, intervals, network addresses,
//! bit strings and `pg_lsn`. The features `chrono`, `decimal`, `jiff`, `time` and `uuid` add those
//! crates' types.

mod adapters;
mod array;
mod bit;
mod boolean;
mod bytea;
mod calendar;
mod catalog;
mod codec;
mod column;
mod composite;
mod date;
mod decode;
#[doc(hidden)]
pub mod derive;
mod encode;
mod floats;
mod foreign;
mod geometric;
mod hstore;
mod integers;
mod interval;
mod json;
mod mac_address;
mod money;
mod multirange;
mod network;
mod numeric;
mod params;
mod parse_error;
mod pg_lsn;
mod pointers;
mod range;
mod raw;
mod reader;
mod scanner;
mod serde;
mod text;
mod time;
mod timestamp;
mod value;
mod vector;

#[cfg(test)]
mod tests;

pub use postgres_types::{Kind, Type};

pub use self::array::{Array, Dimension};
pub use self::bit::Bit;
pub use self::column::{ColumnType, Day, Moment, NotNull, Zoned};
pub use self::date::Date;
pub use self::decode::{Decode, DecodeError, DecodeOwned};
pub use self::encode::{Encode, EncodeError, IsNull};
pub use self::foreign::Foreign;
pub use self::geometric::{Circle, Line, LineSegment, Path, PgBox, Point, Polygon};
pub use self::interval::Interval;
pub use self::json::Json;
pub use self::mac_address::{MacAddr, MacAddr8};
pub use self::money::Money;
pub use self::multirange::Multirange;
pub use self::network::Inet;
pub use self::numeric::Numeric;
pub use self::params::{ParamList, Params, ParamsError};
pub use self::parse_error::ParseError;
pub use self::pg_lsn::PgLsn;
pub use self::range::Range;
pub use self::raw::Raw;
pub use self::time::{Time, TimeTz};
pub use self::timestamp::{OutOfRange, Timestamp, TimestampTz};
pub use self::value::{IntoValue, Value};
pub use self::vector::Vector;
