//! Prints how long a private server takes to start, cold and warm.
#![allow(
    clippy::print_stdout,
    reason = "an example talks to the person who runs it"
)]

use aquifer_embedded::{Embedded, Error, Shutdown};

fn main() -> Result<(), Error> {
    for round in 1..=3 {
        let mut server = Embedded::start()?;
        let (initdb, cold) = (
            server.initdb_time().unwrap_or_default(),
            server.start_time(),
        );
        server.shut_down(Shutdown::Fast)?;
        server.start_again()?;
        println!(
            "round {round}: cold {:.0?} (initdb {initdb:.0?}, server {cold:.0?}), warm {:.0?}",
            initdb + cold,
            server.start_time()
        );
        server.stop()?;
    }
    Ok(())
}
