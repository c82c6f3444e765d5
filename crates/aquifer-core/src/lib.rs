//! The decisions of Aquifer.
//!
//! Everything that Aquifer has to decide (what kind of statement a text is, whether a failed
//! attempt may be made again, how long to wait before it) is here, apart from what it has to do.
//! Nothing in this crate waits, reads a clock, draws a random number or touches a socket: time and
//! chance are arguments. So each rule can be read, tested and checked by itself, and the
//! asynchronous code around it stays plain. Users of Aquifer meet it through the `aquifer` crate.
//!
//! | module | question |
//! |---|---|
//! | [`scan`](mod@scan) | Where may this SQL text run? |
//! | [`retry`] | An attempt failed: is there another one, and what becomes of the connection? |
//! | [`backoff`] | How long to wait before it? |
//! | [`budget`] | May callers together afford it? |
//! | [`breaker`] | May calls go to this host at present? |
//! | [`histogram`] | How long did it usually take, and how long at worst? |
//! | [`pace`] | May others wait behind this statement? |
//! | [`overlap`] | How many groups of requests travel on a connection at once? |
//! | [`hysteresis`] | Is one finding enough to say that a state has changed? |
//! | [`sql`] | What text does a tree of SQL become, and what is refused? |
//! | [`slots`] | Who owns which connection, and who waits for one? |
//! | [`stamps`] | Is a value that was kept still the one in the database? |
//! | [`topology`] | Which host is the primary, which may answer reads, and what is still possible? |

pub mod backoff;
pub mod breaker;
pub mod budget;
pub mod histogram;
pub mod hysteresis;
pub mod overlap;
pub mod pace;
pub mod retry;
pub mod scan;
pub mod slots;
pub mod sql;
pub mod stamps;
pub mod topology;
