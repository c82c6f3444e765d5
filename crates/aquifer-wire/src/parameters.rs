//! The parameters of a statement on their way into a Bind message, and what is refused before.

use bytes::{BufMut, BytesMut};

use crate::statement::Statement;
use crate::types::Params;
use crate::{Error, Kind};

/// Most parameters of one statement: the protocol counts them in 16 bits.
const PARAMETERS_MAX: usize = 65_535;

/// Refuses more parameters than one statement can have, before anything is sent.
///
/// # Errors
/// [`Kind::Limit`] beyond 65,535.
#[inline]
pub fn check_count(params: &(dyn Params + Sync)) -> Result<(), Error> {
    let count = params.count();
    if count > PARAMETERS_MAX {
        return Err(too_many(count));
    }
    Ok(())
}

#[cold]
fn too_many(count: usize) -> Error {
    let text = format!(
        "{count} parameters are more than the {PARAMETERS_MAX} that PostgreSQL takes; pass lists as \
         one array parameter (= ANY($1), UNNEST)"
    );
    Error::new(Kind::Limit, text)
}

/// Appends the tail of a Bind message: formats, values, result formats.
pub(crate) fn encode(
    statement: &Statement,
    params: &(dyn Params + Sync),
    out: &mut BytesMut,
) -> Result<(), Error> {
    let types = statement.parameters();
    let count = params.count();
    if count != types.len() {
        let text = format!(
            "number of parameters: the statement takes {}, the call gives {count}",
            types.len()
        );
        return Err(Error::new(Kind::Encode, text));
    }
    out.reserve(10 + 16 * count);
    // One format code for all: binary.
    let [high, low] = u16::try_from(count).unwrap_or(u16::MAX).to_be_bytes();
    out.put_slice(&[0, 1, 0, 1, high, low]);
    params.encode(types, out).map_err(|error| {
        let kind = if error.is_too_large() {
            Kind::Limit
        } else {
            Kind::Encode
        };
        Error::new(kind, error.to_string()).with_source(error)
    })?;
    out.put_slice(&[0, 1, 0, 1]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::MESSAGE_MAX;
    use crate::types::Type;

    #[test]
    fn values_stop_at_the_one_that_no_message_has_room_for() {
        let types = vec![Type::BYTEA, Type::BYTEA_ARRAY, Type::TEXT];
        let statement = Statement::new(1, "s", types, std::sync::Arc::default());
        // Zeroes that nobody looks at take no memory.
        let large = vec![0_u8; MESSAGE_MAX - 30];
        let text = String::from_utf8(vec![0; 100]).unwrap();
        let (small, list) = (vec![0_u8; 1], vec![large.clone()]);
        let together: [(&(dyn Params + Sync), &str); 2] = [
            (&(&small, &list, &text), "$2"),
            (&(&large, &list, &text), "$1"),
        ];
        for (params, number) in together {
            let mut out = BytesMut::new();
            // The first bytes stand for what came before.
            out.put_bytes(0, 31);
            let error = encode(&statement, params, &mut out).unwrap_err();
            assert_eq!((error.kind(), error.sent()), (Kind::Limit, false));
            assert!(error.to_string().contains(number), "{error}");
            assert!(out.capacity() < 1_000, "{} bytes are held", out.capacity());
        }
    }
}
