use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::script::{Script, Step};
use super::stage::{Received, Stage};

/// A script's message is short; what announces more is a mistake of the client under test.
const LENGTH_MAX: usize = 16 * 1024 * 1024;

/// Plays scripts on one connection, and notes what the client says.
pub(super) struct Player {
    stream: TcpStream,
    stage: Arc<Stage>,
    connection: u64,
}

/// Why a script ended before its last step.
enum Stop {
    /// The client left, or can't be reached any more.
    Gone,
    /// The client said something else.
    Mismatch(String),
    /// The script asks for this end.
    Reset,
}

impl Player {
    pub(super) fn new(stream: TcpStream, stage: Arc<Stage>, connection: u64) -> Self {
        Self {
            stream,
            stage,
            connection,
        }
    }

    /// Takes the next script and plays it; a CancelRequest takes none.
    pub(super) async fn run(mut self) {
        if self.stage.begins_by_reading()
            && let Some(body) = self.peek_cancel().await
        {
            self.stage.cancelled(&body);
            return;
        }
        let Some(script) = self.stage.take_script() else {
            return;
        };
        match self.play(script).await {
            Ok(()) | Err(Stop::Gone) => {}
            Err(Stop::Mismatch(failure)) => {
                self.stage
                    .failed(format!("connection {}: {failure}", self.connection));
                self.reset();
            }
            Err(Stop::Reset) => self.reset(),
        }
        self.stage.played();
    }

    async fn play(&mut self, script: Script) -> Result<(), Stop> {
        for (number, step) in script.steps.into_iter().enumerate() {
            let in_step =
                |failure: String| Stop::Mismatch(format!("step {}: {failure}", number + 1));
            match step {
                Step::Startup => self.startup().await.map_err(in_step)?,
                Step::SslRequest => {
                    let request = self.read_untagged().await.map_err(in_step)?;
                    if code(&request) != Some([4, 210, 22, 47]) {
                        return Err(in_step("expected an SSLRequest".to_owned()));
                    }
                }
                Step::Expect { tag, text } => {
                    self.expect(tag, &text).await.map_err(in_step)?;
                }
                Step::AnswerEach { tag, answer } => loop {
                    match self.read_message().await {
                        Ok(received) if received.tag == tag => self.send(&answer).await?,
                        Ok(_other) => {}
                        Err(_left) => return Ok(()),
                    }
                },
                Step::Send(bytes) => self.send(&bytes).await?,
                Step::Wait(gate) => gate.pass().await,
                Step::HalfClose => {
                    self.stream.shutdown().await.map_err(|_left| Stop::Gone)?;
                }
                Step::Reset => return Err(Stop::Reset),
                Step::UntilGone => {
                    let mut unread = vec![0; 4096];
                    while matches!(self.stream.read(&mut unread).await, Ok(length) if length > 0) {}
                    return Ok(());
                }
                Step::Silence => {
                    self.stage.played();
                    pending::<()>().await;
                }
            }
        }
        Ok(())
    }

    async fn startup(&mut self) -> Result<(), String> {
        loop {
            let body = self.read_untagged().await?;
            match code(&body) {
                Some([4, 210, 22, 47 | 48]) => {
                    self.stream
                        .write_all(b"N")
                        .await
                        .map_err(|_left| "the client left after its request".to_owned())?;
                }
                _ => {
                    self.stage.received(Received {
                        connection: self.connection,
                        tag: crate::tag::STARTUP,
                        body,
                    });
                    return Ok(());
                }
            }
        }
    }

    async fn expect(&mut self, tag: u8, text: &[u8]) -> Result<(), String> {
        let wanted = char::from(tag);
        let received = self
            .read_message()
            .await
            .map_err(|failure| format!("expected '{wanted}', but {failure}"))?;
        if received.tag != tag {
            let got = char::from(received.tag);
            return Err(format!("expected '{wanted}', got '{got}'"));
        }
        let found = text.is_empty()
            || received
                .body
                .windows(text.len())
                .any(|window| window == text);
        if found {
            Ok(())
        } else {
            Err(format!(
                "expected '{wanted}' with {:?}, got {:?}",
                String::from_utf8_lossy(text),
                String::from_utf8_lossy(&received.body)
            ))
        }
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        // A client may well leave in the middle of a lie.
        self.stream
            .write_all(bytes)
            .await
            .map_err(|_left| Stop::Gone)
    }

    async fn read_message(&mut self) -> Result<Received, String> {
        let tag = self
            .stream
            .read_u8()
            .await
            .map_err(|_left| "the client left".to_owned())?;
        let body = self.read_untagged().await?;
        let received = Received {
            connection: self.connection,
            tag,
            body,
        };
        self.stage.received(received.clone());
        Ok(received)
    }

    async fn read_untagged(&mut self) -> Result<Vec<u8>, String> {
        let left = |_error| "the client left in the middle of a message".to_owned();
        let length = self.stream.read_u32().await.map_err(left)?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if !(4..LENGTH_MAX).contains(&length) {
            return Err(format!("the client announced a message of {length} bytes"));
        }
        let mut body = vec![0; length - 4];
        self.stream.read_exact(&mut body).await.map_err(left)?;
        Ok(body)
    }

    /// The body of a CancelRequest, if that is what comes first; all else is left unread.
    async fn peek_cancel(&mut self) -> Option<Vec<u8>> {
        let mut start = [0; 8];
        loop {
            let length = self.stream.peek(&mut start).await.ok()?;
            if length == 0 {
                return None;
            }
            if length == start.len() {
                break;
            }
            // Bytes that were peeked at stay readable, so there is nothing to wait on for more.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        if start[4..] != [4, 210, 22, 46] {
            return None;
        }
        self.read_untagged().await.ok()
    }

    fn reset(&self) {
        // A socket that refuses is gone already.
        let _already_gone = self.stream.set_zero_linger();
    }
}

fn code(body: &[u8]) -> Option<[u8; 4]> {
    body.get(..4)?.try_into().ok()
}
