//! Writes the README's example once more, with the address of its database taken from the environment,
//! so that it can run where no server listens on the usual port.

use std::error::Error;
use std::path::Path;
use std::{env, fs};

const EXAMPLE: &str = "src/main.rs";
const ADDRESS: &str = "\"postgres://localhost/app\"";
const FROM_ENVIRONMENT: &str = "&std::env::var(\"EXAMPLE_URL\").expect(\"EXAMPLE_URL is set\")";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={EXAMPLE}");
    let example = fs::read_to_string(EXAMPLE)?;
    if example.matches(ADDRESS).count() != 1 {
        return Err(
            format!("{EXAMPLE} does not name {ADDRESS} exactly once; change build.rs").into(),
        );
    }
    let directory = env::var("OUT_DIR")?;
    let copy = Path::new(&directory).join("example.rs");
    fs::write(copy, example.replace(ADDRESS, FROM_ENVIRONMENT))?;
    Ok(())
}
