use bytes::BytesMut;

/// A type of ours with one binary form, shared by all the PostgreSQL types listed for it.
pub(crate) trait Binary: Sized {
    /// `None` if the bytes are not of that form.
    fn read(raw: &[u8]) -> Option<Self>;

    fn write(&self, out: &mut BytesMut);
}

/// Implements `Encode` and `Decode` by [`Binary`] for the PostgreSQL types listed.
macro_rules! binary_codec {
    ($rust:ty: $($postgres:ident)|+) => {
        impl $crate::types::Encode for $rust {
            fn encode(
                &self,
                ty: &$crate::types::Type,
                out: &mut bytes::BytesMut,
            ) -> Result<$crate::types::IsNull, $crate::types::EncodeError> {
                match *ty {
                    $($crate::types::Type::$postgres)|+ => {
                        $crate::types::codec::Binary::write(self, out);
                        Ok($crate::types::IsNull::No)
                    }
                    _ => Err($crate::types::EncodeError::mismatch::<Self>(ty)),
                }
            }
        }

        impl<'a> $crate::types::Decode<'a> for $rust {
            fn decode(
                ty: &$crate::types::Type,
                raw: &'a [u8],
            ) -> Result<Self, $crate::types::DecodeError> {
                match *ty {
                    $($crate::types::Type::$postgres)|+ => {
                        $crate::types::codec::Binary::read(raw)
                            .ok_or_else(|| $crate::types::DecodeError::malformed::<Self>(ty))
                    }
                    _ => Err($crate::types::DecodeError::mismatch::<Self>(ty)),
                }
            }
        }
    };
}
pub(crate) use binary_codec;
