//! Repositories: one contract for the real one and the fake one, and what each has besides.

mod cancel;
mod contract;
mod fake;
mod finds;
mod keys;
mod relations;
mod schema;
mod sessions;
