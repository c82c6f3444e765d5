//! The parameters of a statement on their way into a Bind message, and what is refused before.

use bytes::{BufMut, BytesMut};

use crate::statement::Statement;
use crate::types::Params;
use crate::{Error, Kind};

/// Most parameters of one statement: the protocol counts them in 16 bits.
const PARAMETERS_MAX: usize = 65_535;
/// Most bytes of one message that PostgreSQL takes (its MaxAllocSize, less room for the header).
const MESSAGE_MAX: usize = 0x3fff_ff00;

/// Refuses more parameters than one statement can have, before anything is sent.
///
/// # Errors
/// [`Kind::Limit`] beyond 65,535.
pub fn check_count(params: &(dyn Params + Sync)) -> Result<(), Error> {
    let count = params.count();
    if count > PARAMETERS_MAX {
        let text = format!(
            "{count} parameters are more than the {PARAMETERS_MAX} that PostgreSQL takes; \
             pass lists as one array parameter (= ANY($1), UNNEST)"
        );
        return Err(Error::new(Kind::Limit, text));
    }
    Ok(())
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
    params
        .encode(types, out)
        .map_err(|error| Error::new(Kind::Encode, error.to_string()).with_source(error))?;
    out.put_slice(&[0, 1, 0, 1]);
    if out.len() > MESSAGE_MAX {
        let text = format!(
            "the parameters take {} bytes, more than the 1 GiB that PostgreSQL takes in one message",
            out.len()
        );
        return Err(Error::new(Kind::Limit, text));
    }
    Ok(())
}
