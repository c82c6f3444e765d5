//! The typed tier.

mod changes;
mod computed;
mod many;
mod reads;
mod refusals;
mod schema;
mod tables;
mod texts;
