/// A number of 64 bits for a statement's text: the same in every process and version of this crate.
///
/// Texts that were rendered hold no values, so it tells the shapes of statements apart.
///
/// ```
/// use aquifer_core::sql::fingerprint;
///
/// assert_eq!(fingerprint(""), 0xcbf2_9ce4_8422_2325);
/// assert_ne!(fingerprint("select $1"), fingerprint("select $2"));
/// ```
#[must_use]
pub fn fingerprint(text: &str) -> u64 {
    // FNV-1a: short, and written down in many places.
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
