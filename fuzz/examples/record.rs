//! Makes the recordings anew: holds each conversation with a private PostgreSQL and keeps what the
//! server said.

use std::error::Error;
use std::fs;
use std::sync::Arc;

use aquifer_fuzz::{Conversation, ROUNDS_TO_REST, limits};
use aquifer_testkit::Postgres;
use aquifer_wire::{Catalog, Client, Config};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = Postgres::shared();
    let directory = std::env::temp_dir().join(format!("aquifer-record-{}", std::process::id()));
    fs::create_dir(&directory)?;
    let listener = UnixListener::bind(directory.join(".s.PGSQL.5432"))?;
    for conversation in Conversation::ALL {
        let database = server.create_database();
        server.psql_at(&database.url, Conversation::schema())?;
        let text = format!(
            "host={} port=5432 user=postgres dbname={}",
            directory.display(),
            database.name
        );
        let config: Arc<Config> = Arc::new(text.parse()?);
        let socket = server.socket();
        let relay = async {
            let (client, _address) = listener.accept().await?;
            relay(client, UnixStream::connect(&socket).await?).await
        };
        let hold = async {
            let catalog = Arc::new(Catalog::new(64));
            let opened = Client::connect(&config, &catalog, &limits(), &[]).await;
            let (client, driver) = opened.expect("a session");
            let driver = tokio::spawn(driver);
            let client = Arc::new(client);
            let good = conversation.hold(&client).await;
            drop(client);
            let ended = driver.await.expect("a driver");
            println!("{}: {good} good answers; {ended}", conversation.name());
        };
        let (said, ()) = tokio::join!(relay, hold);
        let path = format!(
            "{}/corpus/{}.bin",
            env!("CARGO_MANIFEST_DIR"),
            conversation.name()
        );
        fs::write(path, said?)?;
    }
    fs::remove_dir_all(directory)?;
    Ok(())
}

/// Passes everything on, and returns what the server said.
async fn relay(client: UnixStream, server: UnixStream) -> std::io::Result<Vec<u8>> {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let asked = async {
        tokio::io::copy(&mut from_client, &mut to_server).await?;
        to_server.shutdown().await
    };
    let answered = async {
        let (mut said, mut buffer) = (Vec::new(), vec![0; 64 * 1024]);
        let mut passed = 0;
        loop {
            let count = from_server.read(&mut buffer).await?;
            if count == 0 {
                return Ok(said);
            }
            said.extend(&buffer[..count]);
            // Turn by turn, so that it can be played at the same pace.
            while let Some(length) = turn(&said[passed..]) {
                for _ in 0..2 * ROUNDS_TO_REST {
                    tokio::task::yield_now().await;
                }
                to_client.write_all(&said[passed..passed + length]).await?;
                passed += length;
            }
        }
    };
    let (_gone, said) = tokio::join!(asked, answered);
    said
}

/// The length of what is said up to the first ReadyForQuery, once that is there.
fn turn(said: &[u8]) -> Option<usize> {
    let mut length = 0;
    loop {
        let [tag, announced @ ..] = said.get(length..)?.first_chunk::<5>()?;
        length += 1 + usize::try_from(u32::from_be_bytes(*announced)).ok()?;
        if said.len() < length {
            return None;
        }
        if *tag == b'Z' {
            return Some(length);
        }
    }
}
