//! `wire SECONDS [SEED]`: conversations with a server that lies, until the time is over; with a seed
//! and 0 seconds, that one conversation.
//!
//! Whatever the server says, the client must not panic, hang, or hold more memory than it was sent
//! and one message of the configured maximum; each call ends with an answer or an error of the
//! promised kinds.

use std::error::Error;
use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aquifer_fuzz::{Conversation, Ending, MESSAGE_MAX, Peer, Stream, limits, mutate};
use aquifer_wire::{Catalog, Client, Config, Kind, Sharing};
use fastrand::Rng;
use peak_alloc::PeakAlloc;
use tokio::net::UnixListener;
use tokio::runtime::{self, Runtime};
use tokio::time::timeout;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// The conversation that is on, for whoever reports its failure.
static SEED: AtomicU64 = AtomicU64::new(0);

/// Far longer than any conversation takes.
const LIMIT: Duration = Duration::from_secs(20);

/// What sessions hold whatever they are told: buffers, catalogs, the tasks of a group.
const MEMORY_MIN: usize = 512 * 1024;
/// How much larger than its bytes a value may be in memory, at most: one NULL of an array of
/// `Option<String>`, four bytes, takes 24 and more while its list grows.
const MEMORY_FACTOR: usize = 32;

struct Stage {
    runtime: Runtime,
    listener: UnixListener,
    directory: PathBuf,
    config: Arc<Config>,
    corpus: Vec<Stream>,
}

impl Stage {
    fn new() -> Result<Self, Box<dyn Error>> {
        let directory = std::env::temp_dir().join(format!("aquifer-fuzz-{}", process::id()));
        fs::create_dir(&directory)?;
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listener = {
            let _context = runtime.enter();
            UnixListener::bind(directory.join(".s.PGSQL.5432"))?
        };
        let text = format!("host={} user=u dbname=d password=p", directory.display());
        let mut corpus = Vec::new();
        for conversation in Conversation::ALL {
            let name = conversation.name();
            let path = format!("{}/corpus/{name}.bin", env!("CARGO_MANIFEST_DIR"));
            corpus.push(Stream::read(&fs::read(path)?));
        }
        Ok(Self {
            runtime,
            listener,
            directory,
            config: Arc::new(text.parse()?),
            corpus,
        })
    }

    /// What is recorded is answered as it was.
    fn play_recordings(&self) {
        for (conversation, stream) in Conversation::ALL.into_iter().zip(&self.corpus) {
            let mut random = Rng::with_seed(0);
            let good = self.hold(conversation, &stream.bytes(), &mut random, true);
            let good = good.unwrap_or(0);
            assert_eq!(
                good,
                conversation.good(),
                "the recording of {conversation:?} is stale"
            );
        }
    }

    fn play(&self, seed: u64) -> bool {
        SEED.store(seed, Ordering::Relaxed);
        let mut random = Rng::with_seed(seed);
        let number = random.usize(..Conversation::ALL.len());
        let conversation = Conversation::ALL[number];
        // Seldom the answers to something else.
        let stream = match random.u8(..16) {
            0 => random.usize(..self.corpus.len()),
            _ => number,
        };
        let mut stream = self.corpus[stream].clone();
        mutate(&mut stream, &self.corpus, &mut random);
        let patient = random.u8(..4) != 0;
        let good = self.hold(conversation, &stream.bytes(), &mut random, patient);
        good.is_some()
    }

    /// Holds one conversation; how many answers were good, or `None` if no session was opened.
    fn hold(
        &self,
        conversation: Conversation,
        turns: &[Vec<u8>],
        random: &mut Rng,
        patient: bool,
    ) -> Option<usize> {
        let ending = match random.bool() {
            true => Ending::Close,
            false => Ending::HalfClose,
        };
        let said: usize = turns.iter().map(Vec::len).sum();
        MEMORY.reset_peak_usage();
        let before = MEMORY.current_usage();
        let talk = async {
            let serve = async {
                let (stream, _address) = self.listener.accept().await.expect("a client");
                Peer::new(stream, patient).play(turns, ending, random).await;
            };
            let (good, ()) = tokio::join!(self.ask(conversation), serve);
            good
        };
        let good = self.runtime.block_on(async { timeout(LIMIT, talk).await });
        let good = good.expect("a conversation hangs");
        let held = MEMORY.peak_usage().saturating_sub(before);
        let allowed = MEMORY_MIN + MEMORY_FACTOR * said + 2 * MESSAGE_MAX;
        assert!(held <= allowed, "{held} bytes were held for {said}");
        good
    }

    async fn ask(&self, conversation: Conversation) -> Option<usize> {
        let catalog = Arc::new(Catalog::new(16));
        let opened = Client::connect(&self.config, &catalog, &limits(), &[]).await;
        let (client, driver) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                let promised = [
                    Kind::Authentication,
                    Kind::Connect,
                    Kind::Protocol,
                    Kind::Tls,
                ];
                assert!(
                    promised.contains(&error.kind()) && !error.sent(),
                    "{error:?}"
                );
                return None;
            }
        };
        let client = Arc::new(client);
        let driver = tokio::spawn(driver);
        let good = conversation.hold(&client).await;
        client.close();
        let ended = driver.await.expect("the driver panicked");
        drop(format!("{ended} {ended:?} {client:?}"));
        assert_eq!(client.in_flight(), 0, "somebody still waits");
        let late = client.query("select 1", &(), Sharing::Shared).await;
        assert!(!late.expect_err("it has ended").sent());
        Some(good)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // What is left behind is only an empty socket.
        let _left = fs::remove_dir_all(&self.directory);
    }
}

/// Ends the program when one conversation goes on and on without ever waiting.
fn watch() {
    let mut before = None;
    loop {
        thread::sleep(2 * LIMIT);
        let now = SEED.load(Ordering::Relaxed);
        if before == Some(now) {
            eprintln!("seed {now} never ends: run `wire 0 {now}`");
            process::exit(1);
        }
        before = Some(now);
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let seconds: u64 = arguments.next().map_or(Ok(10), |text| text.parse())?;
    let only: Option<u64> = arguments.next().map(|text| text.parse()).transpose()?;
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        let seed = SEED.load(Ordering::Relaxed);
        eprintln!("seed {seed} fails: run `wire 0 {seed}`");
    }));
    let stage = Stage::new()?;
    stage.play_recordings();
    if let Some(seed) = only {
        stage.play(seed);
        return Ok(());
    }
    thread::spawn(watch);
    let start = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos() as u64;
    let end = Instant::now() + Duration::from_secs(seconds);
    let (mut played, mut opened) = (0_u64, 0_u64);
    while Instant::now() < end {
        opened += u64::from(stage.play(start.wrapping_add(played)));
        played += 1;
    }
    writeln!(
        io::stdout(),
        "{played} conversations from seed {start} on, {opened} behind start-up"
    )?;
    Ok(())
}
