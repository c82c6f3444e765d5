//! Runs the README's example on a private server and looks at what it prints.

use std::env;
use std::error::Error;
use std::process::Command;

use aquifer::{Db, Embedded, Session};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = Embedded::start()?;
    let db = Db::connect(&server.url()).await?;
    db.execute("create database app", ()).await?;
    db.close().await?;

    let example = env::current_exe()?.with_file_name("example");
    let output = Command::new(example)
        .env("EXAMPLE_URL", server.database_url("app"))
        .output()?;
    server.stop()?;

    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout)?;
    print!("{printed}");
    if !output.status.success() {
        return Err(format!("the example ended with {}", output.status).into());
    }
    if printed != "1: [\"John\"]\n" {
        return Err("the example printed something else than 1: [\"John\"]".into());
    }
    Ok(())
}
