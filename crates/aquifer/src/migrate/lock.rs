//! The lock that lets one runner at a time work on a database.

use std::time::Duration;

use crate::transaction::Transaction;
use crate::{Error, session::Session};

/// The number of sqlx's lock on a database: an arbitrary factor times the CRC-32 of its name
/// (`generate_lock_id` in sqlx-postgres/src/migrate.rs), so that its runner and ours keep each other
/// out.
pub(super) fn number(database: &str) -> i64 {
    0x3d32_ad9e * i64::from(crc32(database.as_bytes()))
}

/// CRC-32 as in ISO 3309 and zlib, bit by bit: it is taken once of a short name.
fn crc32(bytes: &[u8]) -> u32 {
    let mut sum = u32::MAX;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            let low = sum & 1;
            sum >>= 1;
            if low == 1 {
                sum ^= 0xEDB8_8320;
            }
        }
    }
    !sum
}

/// Takes the lock until the end of the transaction, if it is free.
///
/// It is asked for, never waited for: a statement that waits keeps its snapshot, and `CREATE INDEX
/// CONCURRENTLY` of the one who has the lock would wait for that.
pub(super) async fn take(
    transaction: &Transaction,
    number: i64,
    lock_timeout: Duration,
    left: Duration,
) -> Result<bool, Error> {
    let sql = "select set_config('lock_timeout', $1, true), \
               set_config('statement_timeout', $2, true), \
               set_config('idle_in_transaction_session_timeout', '0', true), \
               pg_try_advisory_xact_lock($3)";
    // Zero would mean without end.
    let left = left.max(Duration::from_millis(1));
    let params = (milliseconds(lock_timeout), milliseconds(left), number);
    let (_, _, _, taken): (String, String, String, bool) =
        transaction.query_one(sql, params).await?;
    Ok(taken)
}

/// As the server takes it, which counts in an `int`.
pub(super) fn milliseconds(time: Duration) -> String {
    let most = i32::MAX.unsigned_abs();
    let count = u32::try_from(time.as_millis()).map_or(most, |count| count.min(most));
    count.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_the_one_that_sqlx_computes() {
        // zlib.crc32(b"123456789") and zlib.crc32(b"postgres") of Python.
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(number("postgres"), 368_907_709_894_077_238);
    }
}
