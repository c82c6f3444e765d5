//! The typed tier.

mod changes;
mod reads;
mod refusals;
mod schema;
mod tables;
mod texts;
