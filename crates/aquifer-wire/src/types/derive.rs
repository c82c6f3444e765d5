//! What the code that the derives generate calls. Not for use by hand: it may change at any time.

use bytes::BytesMut;

use crate::types::composite::{RawFields, encode_field, encode_field_count, encoded_fields};
use crate::types::{Decode, DecodeError, Encode, EncodeError, IsNull, Kind, Type};

pub use bytes::BytesMut as Buffer;

/// Appends a composite value whose fields have these names, in any order.
///
/// # Errors
/// When the server's type has other fields, or one can't be encoded.
pub fn encode_composite<T>(
    values: &[(&str, &dyn Encode)],
    ty: &Type,
    out: &mut BytesMut,
) -> Result<IsNull, EncodeError> {
    let declared = encoded_fields::<T>(ty)?;
    let unknown = values
        .iter()
        .find(|(name, _)| !declared.iter().any(|field| field.name() == *name));
    if let Some((name, _)) = unknown {
        let reason = format!("the type has no field {name}");
        return Err(EncodeError::new::<T>(ty, reason));
    }
    encode_field_count::<T>(declared.len(), ty, out)?;
    for field in declared {
        let Some((_, value)) = values.iter().find(|(name, _)| *name == field.name()) else {
            let reason = format!(
                "the type has a field {} that the struct lacks",
                field.name()
            );
            return Err(EncodeError::new::<T>(ty, reason));
        };
        encode_field::<T>(*value, ty, field, out)?;
    }
    Ok(IsNull::No)
}

/// A composite value that is read field by field.
#[expect(
    missing_debug_implementations,
    reason = "it lives within generated code only"
)]
pub struct Composite<'t, 'a> {
    ty: &'t Type,
    fields: RawFields<'t, 'a>,
}

impl<'t, 'a> Composite<'t, 'a> {
    /// Splits a value of type `ty` into its fields.
    ///
    /// # Errors
    /// When `ty` is not a composite type or the bytes are malformed.
    pub fn split<T>(ty: &'t Type, raw: &'a [u8]) -> Result<Self, DecodeError> {
        let fields = RawFields::split::<T>(ty, raw)?;
        if !fields.has_names() {
            return Err(DecodeError::new::<T>(
                ty,
                "a record's fields have no names; cast it to a composite type, or use a tuple",
            ));
        }
        Ok(Self { ty, fields })
    }

    /// Reads the field of that name; fields of the server that are not asked for are left out.
    ///
    /// # Errors
    /// When there is no such field, or it can't be read as `F`.
    pub fn field<T, F: Decode<'a>>(&self, name: &str) -> Result<F, DecodeError> {
        let Some(position) = self.fields.position(name) else {
            let reason = format!("the type has no field {name}");
            return Err(DecodeError::new::<T>(self.ty, reason));
        };
        self.fields.read::<T, F>(position)
    }
}

/// Appends the label of an enum, or the same as text.
///
/// # Errors
/// When the server expects neither an enum nor text.
pub fn encode_label<T>(label: &str, ty: &Type, out: &mut BytesMut) -> Result<IsNull, EncodeError> {
    if !holds_labels(ty) {
        return Err(EncodeError::mismatch::<T>(ty));
    }
    label.encode(ty, out)
}

/// The label of an enum, or the same as text.
///
/// # Errors
/// When the type is neither an enum nor text.
pub fn decode_label<'a, T>(ty: &Type, raw: &'a [u8]) -> Result<&'a str, DecodeError> {
    if !holds_labels(ty) {
        return Err(DecodeError::mismatch::<T>(ty));
    }
    <&str>::decode(ty, raw)
}

/// The label is none of those that the Rust enum has.
#[must_use]
pub fn unknown_label<T>(ty: &Type, labels: &[&str]) -> DecodeError {
    let reason = format!(
        "the label is none of the Rust enum's: {}",
        labels.join(", ")
    );
    DecodeError::new::<T>(ty, reason)
}

fn holds_labels(ty: &Type) -> bool {
    matches!(ty.kind(), Kind::Enum(_))
        || matches!(*ty, Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME)
}
