//! Arrays: lists for one dimension, [`Array`] for any.

use std::any::type_name;

use bytes::{BufMut, BytesMut};
use serde::{Deserialize, Serialize};

use crate::types::catalog::{base_type, element_type, short_name};
use crate::types::encode::{encode_value, patch_i32};
use crate::types::reader::Reader;
use crate::types::{Decode, DecodeError, Encode, EncodeError, IsNull, Type};

/// The server's own limit.
const DIMENSIONS_MAX: usize = 6;

/// An array of any number of dimensions with its lower bounds, as the server holds it.
///
/// `Vec` is simpler where there is one dimension and its lower bound doesn't matter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Parts<T>")]
pub struct Array<T> {
    dimensions: Vec<Dimension>,
    elements: Vec<T>,
}

/// One dimension of an [`Array`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(
    clippy::exhaustive_structs,
    reason = "the server has no more to say about it"
)]
pub struct Dimension {
    /// How many elements it has.
    pub length: u32,
    /// The subscript of its first element; 1 unless chosen otherwise.
    pub lower_bound: i32,
}

impl<T> Array<T> {
    /// An array of `elements` in row-major order; `None` if there are not as many as the
    /// dimensions say, or more than 6 dimensions.
    ///
    /// ```
    /// use aquifer_wire::types::{Array, Dimension};
    ///
    /// let row = Dimension { length: 2, lower_bound: 1 };
    /// let matrix = Array::new(vec![row, row], vec![1, 2, 3, 4]);
    /// assert_eq!(matrix.unwrap().elements(), [1, 2, 3, 4]);
    /// ```
    #[must_use]
    pub fn new(dimensions: Vec<Dimension>, elements: Vec<T>) -> Option<Self> {
        if element_count(&dimensions)? != elements.len() {
            return None;
        }
        Some(Self {
            // The server knows one empty array, and it has no dimensions.
            dimensions: if elements.is_empty() {
                Vec::new()
            } else {
                dimensions
            },
            elements,
        })
    }

    /// The dimensions, outermost first; none for the empty array.
    #[must_use]
    pub fn dimensions(&self) -> &[Dimension] {
        &self.dimensions
    }

    /// The elements in row-major order.
    #[must_use]
    pub fn elements(&self) -> &[T] {
        &self.elements
    }

    /// The elements in row-major order, without their dimensions.
    #[must_use]
    pub fn into_elements(self) -> Vec<T> {
        self.elements
    }
}

/// An array as serde brings it, before its parts are compared.
#[derive(Deserialize)]
struct Parts<T> {
    dimensions: Vec<Dimension>,
    elements: Vec<T>,
}

impl<T> TryFrom<Parts<T>> for Array<T> {
    type Error = &'static str;

    fn try_from(parts: Parts<T>) -> Result<Self, &'static str> {
        Self::new(parts.dimensions, parts.elements)
            .ok_or("the array has more or fewer elements than its dimensions say")
    }
}

/// How many elements an array of these dimensions has.
fn element_count(dimensions: &[Dimension]) -> Option<usize> {
    if dimensions.len() > DIMENSIONS_MAX {
        return None;
    }
    if dimensions.is_empty() {
        return Some(0);
    }
    dimensions.iter().try_fold(1_usize, |count, dimension| {
        count.checked_mul(usize::try_from(dimension.length).ok()?)
    })
}

impl<T: Encode> Encode for Array<T> {
    fn encode(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, EncodeError> {
        let Some(element) = element_type(ty) else {
            return Err(EncodeError::mismatch::<Self>(ty));
        };
        encode_elements(&self.elements, &self.dimensions, (ty, element), out)
    }
}

impl<'a, T: Decode<'a>> Decode<'a> for Array<T> {
    fn decode(ty: &Type, raw: &'a [u8]) -> Result<Self, DecodeError> {
        let Some(element) = element_type(ty) else {
            return Err(DecodeError::mismatch::<Self>(ty));
        };
        let malformed = || DecodeError::malformed::<Self>(ty);
        let mut reader = Reader::new(raw);
        let dimensions = read_header(&mut reader).ok_or_else(malformed)?;
        let elements = read_elements(&mut reader, &dimensions, element)?.ok_or_else(malformed)?;
        Self::new(dimensions, elements).ok_or_else(malformed)
    }
}

/// Appends a one-dimensional array.
pub(crate) fn encode_array<T: Encode>(
    values: &[T],
    ty: &Type,
    out: &mut BytesMut,
) -> Result<IsNull, EncodeError> {
    let Some(element) = element_type(ty) else {
        return Err(EncodeError::mismatch::<[T]>(ty));
    };
    let length =
        u32::try_from(values.len()).map_err(|_too_long| EncodeError::out_of_range::<[T]>(ty))?;
    let dimension = Dimension {
        length,
        // These two old types count from 0, and the server insists on it.
        lower_bound: i32::from(!matches!(*ty, Type::OID_VECTOR | Type::INT2_VECTOR)),
    };
    let dimensions: &[Dimension] = match *ty {
        Type::OID_VECTOR | Type::INT2_VECTOR => &[dimension],
        _ if values.is_empty() => &[],
        _ => &[dimension],
    };
    encode_elements(values, dimensions, (ty, element), out)
}

fn encode_elements<T: Encode>(
    elements: &[T],
    dimensions: &[Dimension],
    (ty, element): (&Type, &Type),
    out: &mut BytesMut,
) -> Result<IsNull, EncodeError> {
    let out_of_range = |_| EncodeError::out_of_range::<[T]>(ty);
    out.put_i32(dimensions.len().try_into().map_err(out_of_range)?);
    let has_nulls = out.len();
    out.put_i32(0);
    out.put_u32(element.oid());
    for dimension in dimensions {
        out.put_i32(dimension.length.try_into().map_err(out_of_range)?);
        out.put_i32(dimension.lower_bound);
    }
    let element = base_type(element);
    let mut null = IsNull::No;
    for value in elements {
        if encode_value(value, element, out)? == IsNull::Yes {
            null = IsNull::Yes;
        }
    }
    patch_i32(out, has_nulls, i32::from(null == IsNull::Yes));
    Ok(IsNull::No)
}

/// Reads an array of at most one dimension, whatever its lower bound.
pub(crate) fn decode_array_vec<'a, T: Decode<'a>>(
    ty: &Type,
    raw: &'a [u8],
) -> Result<Vec<T>, DecodeError> {
    let Some(element) = element_type(ty) else {
        return Err(DecodeError::mismatch::<Vec<T>>(ty));
    };
    let malformed = || DecodeError::malformed::<Vec<T>>(ty);
    let mut reader = Reader::new(raw);
    let dimensions = read_header(&mut reader).ok_or_else(malformed)?;
    if dimensions.len() > 1 {
        return Err(DecodeError::new::<Vec<T>>(
            ty,
            format!(
                "the array has {} dimensions; read it as Array<{}>",
                dimensions.len(),
                short_name(type_name::<T>())
            ),
        ));
    }
    read_elements(&mut reader, &dimensions, element)?.ok_or_else(malformed)
}

fn read_header(reader: &mut Reader<'_>) -> Option<Vec<Dimension>> {
    let count = usize::try_from(reader.i32()?).ok()?;
    if count > DIMENSIONS_MAX {
        return None;
    }
    let _has_nulls = reader.i32()?;
    let _element_oid = reader.u32()?;
    (0..count)
        .map(|_| {
            Some(Dimension {
                length: reader.i32()?.try_into().ok()?,
                lower_bound: reader.i32()?,
            })
        })
        .collect()
}

/// `Ok(None)` if the bytes don't fit the dimensions.
fn read_elements<'a, T: Decode<'a>>(
    reader: &mut Reader<'a>,
    dimensions: &[Dimension],
    element: &Type,
) -> Result<Option<Vec<T>>, DecodeError> {
    let element = base_type(element);
    // Each element has a length of four bytes, so more of them than that can't be there.
    let Some(count) = element_count(dimensions).filter(|count| *count <= reader.remaining() / 4)
    else {
        return Ok(None);
    };
    let mut elements = Vec::with_capacity(count);
    for _ in 0..count {
        let Some(raw) = reader.value() else {
            return Ok(None);
        };
        elements.push(T::decode_nullable(element, raw)?);
    }
    Ok((reader.remaining() == 0).then_some(elements))
}

impl<T: Encode> Encode for [T] {
    fn encode(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, EncodeError> {
        T::encode_slice(self, ty, out)
    }
}

impl<T: Encode> Encode for Vec<T> {
    fn encode(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, EncodeError> {
        T::encode_slice(self, ty, out)
    }
}

impl<T: Encode, const N: usize> Encode for [T; N] {
    fn encode(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, EncodeError> {
        T::encode_slice(self, ty, out)
    }
}

impl<'a, T: Decode<'a>> Decode<'a> for Vec<T> {
    fn decode(ty: &Type, raw: &'a [u8]) -> Result<Self, DecodeError> {
        T::decode_vec(ty, raw)
    }
}

impl<'a, T: Decode<'a>> Decode<'a> for Box<[T]> {
    fn decode(ty: &Type, raw: &'a [u8]) -> Result<Self, DecodeError> {
        T::decode_vec(ty, raw).map(Vec::into_boxed_slice)
    }
}

impl<'a, T: Decode<'a>, const N: usize> Decode<'a> for [T; N] {
    fn decode(ty: &Type, raw: &'a [u8]) -> Result<Self, DecodeError> {
        T::decode_vec(ty, raw)?.try_into().map_err(|_other_length| {
            DecodeError::new::<Self>(ty, "the list has another length; use Vec")
        })
    }
}
