use bytes::{BufMut, BytesMut};

use crate::types::codec::{Binary, binary_codec};
use crate::types::{Decode, DecodeError, Type};

impl Binary for bool {
    fn read(raw: &[u8]) -> Option<Self> {
        match raw {
            [0] => Some(false),
            [1] => Some(true),
            _ => None,
        }
    }

    fn write(&self, out: &mut BytesMut) {
        out.put_u8(u8::from(*self));
    }
}

binary_codec!(bool: BOOL);

/// What a function without a result returns, as in `SELECT pg_notify(…)`.
impl<'a> Decode<'a> for () {
    fn decode(ty: &Type, _raw: &'a [u8]) -> Result<Self, DecodeError> {
        if *ty == Type::VOID {
            return Ok(());
        }
        Err(DecodeError::mismatch::<Self>(ty))
    }
}
