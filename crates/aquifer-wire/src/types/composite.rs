//! Composite values: by position as tuples, by name through the derives.

use bytes::{BufMut, BytesMut};
use postgres_types::Field;

use crate::types::encode::encode_value;
use crate::types::reader::Reader;
use crate::types::{Decode, DecodeError, Encode, EncodeError, IsNull, Kind, Type};

/// The fields of a composite type, for an error that names `T`.
pub(crate) fn encoded_fields<T>(ty: &Type) -> Result<&[Field], EncodeError> {
    match ty.kind() {
        Kind::Composite(fields) => Ok(fields),
        _ => Err(EncodeError::mismatch::<T>(ty)),
    }
}

/// Appends how many fields follow.
pub(crate) fn encode_field_count<T>(
    count: usize,
    ty: &Type,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    out.put_i32(
        count
            .try_into()
            .map_err(|_too_long| EncodeError::out_of_range::<T>(ty))?,
    );
    Ok(())
}

/// Appends the value of one field, for an error that names `T` and the field.
pub(crate) fn encode_field<T>(
    value: &dyn Encode,
    ty: &Type,
    field: &Field,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    out.put_u32(field.type_().oid());
    encode_value(value, field.type_(), out)
        .map(|_is_null| ())
        .map_err(|cause| EncodeError::within::<T>(ty, &format!("field {}", field.name()), &cause))
}

/// The fields of a composite value or of a record, not yet read.
pub(crate) struct RawFields<'t, 'a> {
    ty: &'t Type,
    /// Absent for a record, which has no names.
    declared: Option<&'t [Field]>,
    values: Vec<RawField<'a>>,
}

struct RawField<'a> {
    oid: u32,
    raw: Option<&'a [u8]>,
}

impl<'t, 'a> RawFields<'t, 'a> {
    /// Splits a value of type `ty`, for an error that names `T`.
    pub(crate) fn split<T>(ty: &'t Type, raw: &'a [u8]) -> Result<Self, DecodeError> {
        let declared = match ty.kind() {
            Kind::Composite(fields) => Some(&**fields),
            _ if *ty == Type::RECORD => None,
            _ => return Err(DecodeError::mismatch::<T>(ty)),
        };
        let values = read_fields(raw).ok_or_else(|| DecodeError::malformed::<T>(ty))?;
        if declared.is_some_and(|declared| declared.len() != values.len()) {
            return Err(DecodeError::altered::<T>(ty));
        }
        Ok(Self {
            ty,
            declared,
            values,
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// The names of the fields in the server's order; `None` for a record.
    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        self.declared?.iter().position(|field| field.name() == name)
    }

    pub(crate) fn has_names(&self) -> bool {
        self.declared.is_some()
    }

    /// Reads the field at a position, for an error that names `T` and the field.
    pub(crate) fn read<T, F: Decode<'a>>(&self, position: usize) -> Result<F, DecodeError> {
        let Some(RawField { oid, raw }) = self.values.get(position) else {
            return Err(DecodeError::malformed::<T>(self.ty));
        };
        let declared = self.declared.and_then(|fields| fields.get(position));
        let name =
            || declared.map_or_else(|| (position + 1).to_string(), |field| field.name().into());
        let value = match declared {
            Some(field) if field.type_().oid() == *oid => F::decode_nullable(field.type_(), *raw),
            Some(_) => return Err(DecodeError::altered::<T>(self.ty)),
            None => F::decode_nullable(&record_type(*oid), *raw),
        };
        value.map_err(|cause| {
            let altered = cause.is_altered();
            let reason = format!("field {}: {cause}", name());
            DecodeError::new::<T>(self.ty, reason).with_altered(altered)
        })
    }
}

/// What is known of a record's field, of which the wire carries the identifier only.
fn record_type(oid: u32) -> Type {
    Type::from_oid(oid)
        .unwrap_or_else(|| Type::new(format!("oid {oid}"), oid, Kind::Simple, String::new()))
}

fn read_fields(raw: &[u8]) -> Option<Vec<RawField<'_>>> {
    let mut reader = Reader::new(raw);
    let count = reader.count(8)?;
    let mut fields = Vec::with_capacity(count);
    for _ in 0..count {
        fields.push(RawField {
            oid: reader.u32()?,
            raw: reader.value()?,
        });
    }
    reader.finish(fields)
}

/// A tuple is a composite type's fields by position; a record can be read as one too.
macro_rules! tuple {
    ($($value:ident $position:tt)+) => {
        impl<$($value: Encode),+> Encode for ($($value,)+) {
            fn encode(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, EncodeError> {
                let declared = encoded_fields::<Self>(ty)?;
                let values: &[&dyn Encode] = &[$(&self.$position),+];
                if declared.len() != values.len() {
                    let reason = format!("the type has {} fields", declared.len());
                    return Err(EncodeError::new::<Self>(ty, reason));
                }
                encode_field_count::<Self>(values.len(), ty, out)?;
                for (value, field) in values.iter().zip(declared) {
                    encode_field::<Self>(*value, ty, field, out)?;
                }
                Ok(IsNull::No)
            }
        }

        impl<'a, $($value: Decode<'a>),+> Decode<'a> for ($($value,)+) {
            fn decode(ty: &Type, raw: &'a [u8]) -> Result<Self, DecodeError> {
                let fields = RawFields::split::<Self>(ty, raw)?;
                if fields.len() != [$($position),+].len() {
                    let reason = format!("the value has {} fields", fields.len());
                    return Err(DecodeError::new::<Self>(ty, reason));
                }
                Ok(($(fields.read::<Self, $value>($position)?,)+))
            }
        }
    };
}

tuple!(A 0);
tuple!(A 0 B 1);
tuple!(A 0 B 1 C 2);
tuple!(A 0 B 1 C 2 D 3);
tuple!(A 0 B 1 C 2 D 3 E 4);
tuple!(A 0 B 1 C 2 D 3 E 4 F 5);
tuple!(A 0 B 1 C 2 D 3 E 4 F 5 G 6);
tuple!(A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7);
