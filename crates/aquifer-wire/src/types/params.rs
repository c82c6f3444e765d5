use std::fmt;

use bytes::BytesMut;

use crate::types::encode::encode_value;
use crate::types::{Encode, EncodeError, Type};

mod list;
mod tuples;

pub use self::list::ParamList;

/// The parameters of one statement: `()`, a tuple of up to 16 values, an array, `Vec` or slice of
/// values of one type (which may be `&(dyn Encode + Sync)`), or a [`ParamList`].
///
/// A list is a list of *parameters*; one parameter that is itself a list stands in a tuple of one:
/// `(ids,)`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a list of parameters",
    note = "use a tuple, as in `(id, name)`; one parameter is `(id,)`, and none is `()`"
)]
pub trait Params {
    /// How many there are.
    fn count(&self) -> usize;

    /// Appends each value with its length, in order, for the types that the server expects.
    ///
    /// Called only with as many `types` as [`count`](Self::count) says.
    ///
    /// # Errors
    /// When one can't be encoded; the error carries its number, from 1.
    fn encode(&self, types: &[Type], out: &mut BytesMut) -> Result<(), ParamsError>;
}

/// Which parameter can't be sent, and why.
pub struct ParamsError {
    number: usize,
    cause: EncodeError,
}

impl ParamsError {
    /// The parameter's number, from 1 as in `$1`.
    #[must_use]
    pub fn number(&self) -> usize {
        self.number
    }

    /// Whether it would make the message larger than PostgreSQL takes.
    pub(crate) fn is_too_large(&self) -> bool {
        self.cause.is_too_large()
    }
}

impl fmt::Display for ParamsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "parameter ${}: {}", self.number, self.cause)
    }
}

impl fmt::Debug for ParamsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ParamsError({self})")
    }
}

impl std::error::Error for ParamsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

/// Appends one value behind its length; `number` counts from 1.
pub(crate) fn encode_parameter<T: Encode + ?Sized>(
    number: usize,
    value: &T,
    ty: &Type,
    out: &mut BytesMut,
) -> Result<(), ParamsError> {
    encode_value(value, ty, out)
        .map(|_is_null| ())
        .map_err(|cause| ParamsError { number, cause })
}

fn encode_all<'v, T: Encode + ?Sized + 'v>(
    values: impl IntoIterator<Item = &'v T>,
    types: &[Type],
    out: &mut BytesMut,
) -> Result<(), ParamsError> {
    for (index, (value, ty)) in values.into_iter().zip(types).enumerate() {
        encode_parameter(index + 1, value, ty, out)?;
    }
    Ok(())
}

impl<T: Encode> Params for [T] {
    fn count(&self) -> usize {
        self.len()
    }

    fn encode(&self, types: &[Type], out: &mut BytesMut) -> Result<(), ParamsError> {
        encode_all(self, types, out)
    }
}

impl<T: Encode, const N: usize> Params for [T; N] {
    fn count(&self) -> usize {
        N
    }

    fn encode(&self, types: &[Type], out: &mut BytesMut) -> Result<(), ParamsError> {
        encode_all(self, types, out)
    }
}

impl<T: Encode> Params for Vec<T> {
    fn count(&self) -> usize {
        self.len()
    }

    fn encode(&self, types: &[Type], out: &mut BytesMut) -> Result<(), ParamsError> {
        encode_all(self, types, out)
    }
}

impl<P: Params + ?Sized> Params for &P {
    fn count(&self) -> usize {
        P::count(self)
    }

    fn encode(&self, types: &[Type], out: &mut BytesMut) -> Result<(), ParamsError> {
        P::encode(self, types, out)
    }
}
