use std::sync::Arc;

use bytes::Bytes;

use super::{Reply, description, missing, same, server_error, width_bytes};
use crate::Error;
use crate::frame::{self, Frames, tag};
use crate::statement::Columns;

/// How a fetch ended.
#[derive(Debug)]
pub(crate) enum End {
    /// There may be more rows.
    Suspended,
    /// There are no more.
    Complete,
    /// The server failed behind these rows.
    Failed(Error),
}

/// Reads the answer to an Execute of a portal: the rows up to its end, whatever that is.
pub(crate) fn read_fetch(frames: Bytes, columns: &Arc<Columns>) -> Result<(Reply, End), Error> {
    let mut walk = Frames(&frames);
    let mut width = width_bytes(columns.list().len());
    let (mut rows, mut changed_fields) = (0, None);
    let (completion, end) = loop {
        let position = frames.len() - walk.0.len();
        let (tag, body) = walk.next().ok_or_else(missing)?;
        match tag {
            tag::DATA_ROW if body.first_chunk() != Some(&width) => {
                return Err(frame::protocol("a row of another width than was described"));
            }
            tag::DATA_ROW => rows += 1,
            tag::PORTAL_SUSPENDED => break (position, End::Suspended),
            tag::COMMAND_COMPLETE | tag::EMPTY_QUERY => break (position, End::Complete),
            tag::ERROR if rows > 0 => break (position, End::Failed(server_error(body))),
            _ => {
                if let Some(fields) = description(tag, body)? {
                    width = width_bytes(fields.len());
                    let changed = !same(&fields, columns.list());
                    changed_fields = changed.then(|| fields.into_boxed_slice());
                }
            }
        }
    };
    // A constraint that is checked at the end of the statement: behind the completion, too.
    let end = match super::end(walk) {
        Err(error) if !matches!(end, End::Failed(_)) => End::Failed(error),
        _ => end,
    };
    let reply = Reply {
        columns: Arc::clone(columns),
        changed_fields,
        frames,
        completion,
        rows,
    };
    Ok((reply, end))
}
