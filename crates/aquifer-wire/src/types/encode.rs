use std::any::type_name;
use std::error::Error as StdError;
use std::fmt;

use bytes::{BufMut, BytesMut};

use crate::request::MESSAGE_MAX;
use crate::types::array::encode_array;
use crate::types::catalog::{base_type, describe, rust_type_for, short_name};
use crate::types::{Kind, Type};

/// A value that can be sent as a parameter.
///
/// `ty` is the type that the server inferred for the parameter; the implementation writes the
/// binary form of *that* type, or says why it can't. Domains arrive as their base type.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be sent as a parameter",
    note = "derive `Encode`, or wrap a type that implements `ToSql` in `Foreign`"
)]
pub trait Encode {
    /// Appends the binary form of the value for `ty` to `out`, without its length.
    ///
    /// # Errors
    /// When the value has no form in `ty`; `out` is then discarded and nothing is sent.
    fn encode(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, EncodeError>;

    /// Appends the binary form of a list of these values for `ty`: by default a one-dimensional
    /// array. Only types whose lists have another form (`u8`: bytea) override it.
    ///
    /// # Errors
    /// When the list, or one of its values, has no form in `ty`.
    fn encode_slice(values: &[Self], ty: &Type, out: &mut BytesMut) -> Result<IsNull, EncodeError>
    where
        Self: Sized,
    {
        encode_array(values, ty, out)
    }
}

/// Whether a parameter is NULL; then what was appended is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a value is NULL or it is not")]
pub enum IsNull {
    /// NULL.
    Yes,
    /// The bytes appended are the value.
    No,
}

/// Why a value can't be sent as the server's type.
pub struct EncodeError(Box<Inner>);

struct Inner {
    rust: &'static str,
    postgres: String,
    reason: String,
    too_large: bool,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl EncodeError {
    /// `T` can't be sent as `ty`, because of `reason`, which must not contain the value itself.
    pub fn new<T: ?Sized>(ty: &Type, reason: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            rust: type_name::<T>(),
            postgres: describe(ty),
            reason: reason.into(),
            too_large: false,
            source: None,
        }))
    }

    /// The same error with the error that caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// `T` has no form at all in `ty`.
    #[must_use]
    pub fn mismatch<T: ?Sized>(ty: &Type) -> Self {
        let reason = match ty.kind() {
            Kind::Pseudo => {
                "a pseudo-type takes no values; name a type in SQL, as in $1::text".into()
            }
            _ => match rust_type_for(ty) {
                // Whatever has a form in text was sent as such before it came to this.
                Some(rust) if *ty == Type::TEXT => format!("send {rust}"),
                Some(rust) => {
                    format!(
                        "send {rust}, or name another type in SQL, as in $1::text::{}",
                        describe(ty)
                    )
                }
                None => format!("send it as text, with $1::text::{}", describe(ty)),
            },
        };
        Self::new::<T>(ty, reason)
    }

    /// The value is beyond what `ty` can hold.
    pub(crate) fn out_of_range<T: ?Sized>(ty: &Type) -> Self {
        Self::new::<T>(ty, "the value is out of range")
    }

    /// The value would make the message larger than PostgreSQL takes.
    pub(crate) fn too_large<T: ?Sized>(ty: &Type) -> Self {
        let reason = format!(
            "with it the parameters take more than the {MESSAGE_MAX} bytes that PostgreSQL takes \
             in one message; send it in parts, or use COPY"
        );
        let mut error = Self::new::<T>(ty, reason);
        error.0.too_large = true;
        error
    }

    /// The same cause, told of the `T` around the value.
    pub(crate) fn within<T: ?Sized>(ty: &Type, place: &str, cause: &Self) -> Self {
        let mut error = Self::new::<T>(ty, format!("{place}: {cause}"));
        error.0.too_large = cause.0.too_large;
        error
    }

    pub(crate) fn is_too_large(&self) -> bool {
        self.0.too_large
    }

    /// The Rust type, as the compiler names it.
    #[must_use]
    pub fn rust_type(&self) -> &'static str {
        self.0.rust
    }

    /// The PostgreSQL type.
    #[must_use]
    pub fn postgres_type(&self) -> &str {
        &self.0.postgres
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            postgres, reason, ..
        } = &*self.0;
        let rust = short_name(self.0.rust);
        write!(
            formatter,
            "Rust {rust} can't be sent as PostgreSQL {postgres}: {reason}"
        )
    }
}

impl fmt::Debug for EncodeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "EncodeError({self})")
    }
}

impl StdError for EncodeError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|source| &**source as _)
    }
}

/// Appends one value behind its length, or the length -1 for NULL; returns which it was.
///
/// Stops at the value with which `out` holds more than one message may: the next ones would take
/// room for nothing.
///
/// This is how a value stands in a Bind message, an array, a range and a composite alike.
pub(crate) fn encode_value<T: Encode + ?Sized>(
    value: &T,
    ty: &Type,
    out: &mut BytesMut,
) -> Result<IsNull, EncodeError> {
    let start = out.len();
    out.put_i32(-1);
    let ty = base_type(ty);
    let null = value.encode(ty, out)?;
    if null == IsNull::Yes {
        out.truncate(start + 4);
        return Ok(IsNull::Yes);
    }
    if out.len() > MESSAGE_MAX {
        return Err(EncodeError::too_large::<T>(ty));
    }
    let length = i32::try_from(out.len() - start - 4).unwrap_or(i32::MAX);
    patch_i32(out, start, length);
    Ok(IsNull::No)
}

/// Appends bytes that are the value as they are, unless no message has room for them.
pub(crate) fn put_bytes<T: ?Sized>(
    bytes: &[u8],
    ty: &Type,
    out: &mut BytesMut,
) -> Result<IsNull, EncodeError> {
    if bytes.len() > MESSAGE_MAX - out.len().min(MESSAGE_MAX) {
        return Err(EncodeError::too_large::<T>(ty));
    }
    out.put_slice(bytes);
    Ok(IsNull::No)
}

/// Overwrites the four bytes at `position`, which were put there as a placeholder.
pub(crate) fn patch_i32(out: &mut BytesMut, position: usize, value: i32) {
    if let Some(field) = out.get_mut(position..position + 4) {
        field.copy_from_slice(&value.to_be_bytes());
    }
}
