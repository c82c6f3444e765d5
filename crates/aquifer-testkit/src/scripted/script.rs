use tokio::sync::watch;

use super::message;

/// What a [`ScriptedServer`](super::ScriptedServer) does on one connection, step by step.
///
/// After its last step the connection is closed.
#[derive(Clone, Debug, Default)]
#[must_use = "a script does nothing until it is given to a `ScriptedServer`"]
pub struct Script {
    pub(super) steps: Vec<Step>,
}

/// One thing to do or to wait for.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Startup,
    SslRequest,
    Expect { tag: u8, text: Vec<u8> },
    AnswerEach { tag: u8, answer: Vec<u8> },
    Send(Vec<u8>),
    Wait(Gate),
    HalfClose,
    Reset,
    UntilGone,
    Silence,
}

/// Lets a test decide when a script goes on: closed until [`open`](Self::open) is called.
#[derive(Clone, Debug, Default)]
pub struct Gate(watch::Sender<bool>);

impl Gate {
    /// A gate that is closed.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets every script that waits at the gate, or comes to it later, go on.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    pub(super) async fn pass(&self) {
        let mut opened = self.0.subscribe();
        // The gate itself holds a sender, so the wait can't fail.
        let _open = opened.wait_for(|open| *open).await;
    }
}

impl Script {
    /// A connection that is closed as soon as it is accepted, unless steps follow.
    pub fn new() -> Self {
        Self::default()
    }

    /// A connection that lets anyone in, and is ready for the first query.
    pub fn logged_in() -> Self {
        Self::new().startup().send(message::greeting())
    }

    /// Expects the StartupMessage; requests for encryption before it are answered by a no.
    pub fn startup(self) -> Self {
        self.then(Step::Startup)
    }

    /// Expects an SSLRequest; the answer is up to the next step.
    pub fn ssl_request(self) -> Self {
        self.then(Step::SslRequest)
    }

    /// Expects a message with this tag.
    pub fn expect(self, tag: u8) -> Self {
        self.expect_containing(tag, "")
    }

    /// Expects messages with these tags, in this order.
    pub fn expect_all(self, tags: &[u8]) -> Self {
        tags.iter().fold(self, |script, &tag| script.expect(tag))
    }

    /// Expects a message with this tag whose body contains these bytes.
    pub fn expect_containing(self, tag: u8, text: impl AsRef<[u8]>) -> Self {
        self.then(Step::Expect {
            tag,
            text: text.as_ref().to_vec(),
        })
    }

    /// Answers every message with this tag, and reads over all others, until the client leaves.
    pub fn answer_each(self, tag: u8, answer: impl Into<Vec<u8>>) -> Self {
        self.then(Step::AnswerEach {
            tag,
            answer: answer.into(),
        })
    }

    /// Sends bytes as they are; see [`message`] for well-formed ones.
    pub fn send(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.then(Step::Send(bytes.into()))
    }

    /// Goes on when the gate is open.
    pub fn wait(self, gate: &Gate) -> Self {
        self.then(Step::Wait(gate.clone()))
    }

    /// Ends the stream to the client; what the client sends can still be read.
    pub fn half_close(self) -> Self {
        self.then(Step::HalfClose)
    }

    /// Resets the connection (RST).
    pub fn reset(self) -> Self {
        self.then(Step::Reset)
    }

    /// Reads and answers nothing, until the client leaves.
    pub fn until_gone(self) -> Self {
        self.then(Step::UntilGone)
    }

    /// Neither reads nor answers nor closes, until the server is dropped.
    pub fn silence(self) -> Self {
        self.then(Step::Silence)
    }

    fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }
}
