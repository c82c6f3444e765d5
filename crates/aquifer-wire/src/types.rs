//! Values: how Rust types become PostgreSQL parameters and columns become Rust types.
//!
//! Values are neutral: they are encoded only once the server has said which type it expects, so an
//! `i32` goes into a `bigint` and a `&str` into an enum; decoding widens likewise.

mod decode;
mod encode;
mod params;

pub use postgres_types::{Kind, Type};

pub use self::decode::{Decode, DecodeError};
pub use self::encode::{Encode, EncodeError, IsNull};
pub use self::params::{Params, ParamsError};
