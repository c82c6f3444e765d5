use std::fmt;

use bytes::{BufMut, BytesMut};

use crate::types::{Encode, EncodeError, IsNull, Type};

/// The parameters of one statement: `()`, a tuple, an array or a slice of values, or a
/// dynamic list of `&dyn Encode`.
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
pub(crate) fn encode_parameter(
    number: usize,
    value: &dyn Encode,
    ty: &Type,
    out: &mut BytesMut,
) -> Result<(), ParamsError> {
    let start = out.len();
    out.put_i32(-1);
    let null = value
        .encode(ty, out)
        .map_err(|cause| ParamsError { number, cause })?;
    if null == IsNull::Yes {
        out.truncate(start + 4);
        return Ok(());
    }
    let length = i32::try_from(out.len() - start - 4).map_err(|_| ParamsError {
        number,
        cause: EncodeError::new::<dyn Encode>(ty, "the value is larger than 2 GiB"),
    })?;
    if let Some(field) = out.get_mut(start..start + 4) {
        field.copy_from_slice(&length.to_be_bytes());
    }
    Ok(())
}

impl Params for () {
    fn count(&self) -> usize {
        0
    }

    fn encode(&self, _types: &[Type], _out: &mut BytesMut) -> Result<(), ParamsError> {
        Ok(())
    }
}
