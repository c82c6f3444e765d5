//! The README's example, on the database that `EXAMPLE_URL` names; see `build.rs`.

include!(concat!(env!("OUT_DIR"), "/example.rs"));
