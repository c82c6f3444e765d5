use std::any::type_name;
use std::error::Error as StdError;
use std::fmt;

use crate::types::Type;
use crate::types::array::decode_array_vec;
use crate::types::catalog::{base_type, describe, rust_type_for, short_name};

/// A value that can be read from a column.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be read from a column",
    note = "derive `Decode`, or wrap a type that implements `FromSql` in `Foreign`"
)]
pub trait Decode<'a>: Sized {
    /// Reads the binary form `raw` of a value of type `ty`. Domains arrive as their base type.
    ///
    /// # Errors
    /// When the bytes have no form in this Rust type.
    fn decode(ty: &Type, raw: &'a [u8]) -> Result<Self, DecodeError>;

    /// Reads NULL; only `Option` and types with a NULL of their own override it.
    ///
    /// # Errors
    /// By default always: the Rust type has no place for NULL.
    fn decode_null(ty: &Type) -> Result<Self, DecodeError> {
        Err(DecodeError::new::<Self>(
            ty,
            "the value is NULL; use Option",
        ))
    }

    /// Reads a value that may be NULL (`None`) and whose type may be a domain: what a column, an
    /// array element or a composite's field holds. Not to be overridden: where no domain is, `decode`
    /// may be called directly.
    ///
    /// # Errors
    /// As [`decode`](Self::decode) and [`decode_null`](Self::decode_null).
    fn decode_nullable(ty: &Type, raw: Option<&'a [u8]>) -> Result<Self, DecodeError> {
        let ty = base_type(ty);
        match raw {
            Some(raw) => Self::decode(ty, raw),
            None => Self::decode_null(ty),
        }
    }

    /// Reads a list of these values: by default a one-dimensional array. Only types whose lists
    /// have another form (`u8`: bytea) override it.
    ///
    /// # Errors
    /// When the bytes are no such list.
    fn decode_vec(ty: &Type, raw: &'a [u8]) -> Result<Vec<Self>, DecodeError> {
        decode_array_vec(ty, raw)
    }
}

/// A value that can be read from a column without borrowing from its row.
pub trait DecodeOwned: for<'a> Decode<'a> {}

impl<T: for<'a> Decode<'a>> DecodeOwned for T {}

/// Why a column can't be read as a Rust type.
pub struct DecodeError(Box<Inner>);

struct Inner {
    rust: &'static str,
    postgres: String,
    reason: String,
    altered: bool,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl DecodeError {
    /// `ty` can't be read as `T`, because of `reason`, which must not contain the value itself.
    pub fn new<T: ?Sized>(ty: &Type, reason: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            rust: type_name::<T>(),
            postgres: describe(ty),
            reason: reason.into(),
            altered: false,
            source: None,
        }))
    }

    /// The same error with the error that caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// No value of `ty` can be read as `T`.
    #[must_use]
    pub fn mismatch<T: ?Sized>(ty: &Type) -> Self {
        let reason = match rust_type_for(ty) {
            Some(rust) => format!("read it as {rust}, or cast it in SQL"),
            None => "read it as Raw, or cast it in SQL, as in column::text".into(),
        };
        Self::new::<T>(ty, reason)
    }

    /// The server's bytes are no value of `ty`.
    #[must_use]
    pub fn malformed<T: ?Sized>(ty: &Type) -> Self {
        Self::new::<T>(ty, "the bytes are not of that type's binary form")
    }

    /// The bytes are those of a type that was altered since it was looked up.
    pub(crate) fn altered<T: ?Sized>(ty: &Type) -> Self {
        let reason = "the type was altered since it was looked up, which is done anew for the \
                      next statement";
        Self::new::<T>(ty, reason).with_altered(true)
    }

    pub(crate) fn with_altered(mut self, altered: bool) -> Self {
        self.0.altered = altered;
        self
    }

    /// Whether a look-up of the type may help.
    pub(crate) fn is_altered(&self) -> bool {
        self.0.altered
    }

    /// The value is beyond what `T` can hold.
    pub(crate) fn out_of_range<T: ?Sized>(ty: &Type) -> Self {
        Self::new::<T>(ty, "the value is out of range")
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

impl fmt::Display for DecodeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            postgres, reason, ..
        } = &*self.0;
        let rust = short_name(self.0.rust);
        write!(
            formatter,
            "PostgreSQL {postgres} can't be read as Rust {rust}: {reason}"
        )
    }
}

impl fmt::Debug for DecodeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "DecodeError({self})")
    }
}

impl StdError for DecodeError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|source| &**source as _)
    }
}
