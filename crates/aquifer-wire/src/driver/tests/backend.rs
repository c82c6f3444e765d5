use std::collections::{HashMap, HashSet};
use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::{complete, described, error, message, ready};
use crate::frame::{self, Body, HEADER};

/// A server that knows the statements `echo` (one text goes in and comes back), `fail` (the same,
/// but it fails when it is executed) and `nothing` (no parameter, no result), and follows the
/// protocol but for one fault.
pub(super) struct Backend {
    stream: UnixStream,
    input: BytesMut,
    output: Vec<u8>,
    prepared: HashMap<Vec<u8>, Vec<u8>>,
    /// Statement and parameter of the unnamed portal.
    portal: (Vec<u8>, Vec<u8>),
    /// After an error: everything up to the Sync is passed over.
    skipping: bool,
    fault: Fault,
    /// How many messages were due so far.
    due: usize,
    /// Whether the fault's place was reached.
    pub(super) reached: bool,
    /// The values that `echo` was executed with.
    pub(super) executed: HashSet<String>,
    /// The values that `echo` and `fail` were executed with, in order.
    pub(super) executions: Vec<String>,
    /// The most statements that were prepared at once.
    pub(super) prepared_most: usize,
}

/// What goes wrong; a place is the number of the message that is due.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    None,
    /// These messages come in front of every other one.
    Before(Vec<u8>),
    /// These messages come in front of the one that is due.
    Insert(usize, Vec<u8>),
    /// The message is left out.
    Drop(usize),
    /// The message comes twice.
    Twice(usize),
    /// The message and the one after it change places.
    Swap(usize),
    /// An error comes in the place of the message.
    Error(usize),
    /// A fatal error, and then the end.
    Fatal(usize),
    /// A fatal error, and then silence.
    FatalAndSilence(usize),
    /// The connection ends.
    Cut(usize),
}

impl Fault {
    fn place(&self) -> Option<usize> {
        match self {
            Self::None | Self::Before(_) => None,
            Self::Insert(place, _)
            | Self::Drop(place)
            | Self::Twice(place)
            | Self::Swap(place)
            | Self::Error(place)
            | Self::Fatal(place)
            | Self::FatalAndSilence(place)
            | Self::Cut(place) => Some(*place),
        }
    }

    fn breaks_the_protocol(&self) -> bool {
        matches!(
            self,
            Self::Insert(..) | Self::Drop(_) | Self::Twice(_) | Self::Swap(_)
        )
    }
}

/// More often than one task wakes another here.
const ROUNDS_TO_REST: usize = 100;

/// Why the backend stopped.
#[derive(Debug)]
enum Stop {
    Fatal,
    Cut,
    Gone,
}

impl From<io::Error> for Stop {
    fn from(_broken: io::Error) -> Self {
        Self::Gone
    }
}

impl Backend {
    pub(super) fn new(stream: UnixStream, fault: Fault) -> Self {
        Self {
            stream,
            input: BytesMut::new(),
            output: Vec::new(),
            prepared: HashMap::new(),
            portal: Default::default(),
            skipping: false,
            fault,
            due: 0,
            reached: false,
            executed: HashSet::new(),
            executions: Vec::new(),
            prepared_most: 0,
        }
    }

    /// Serves until the client goes or the fault ends it; after a fault that nobody can recover
    /// from, also when nothing happens any more.
    pub(super) async fn serve(&mut self) {
        let stop = loop {
            if let Err(stop) = self.step().await {
                break stop;
            }
        };
        // What was said before the fault still arrives.
        let _gone = self.flush().await;
        if matches!(
            (&self.fault, stop),
            (Fault::FatalAndSilence(_), Stop::Fatal)
        ) {
            let mut rest = Vec::new();
            let _until_the_client_goes = self.stream.read_to_end(&mut rest).await;
        }
        let _gone = self.stream.shutdown().await;
    }

    async fn step(&mut self) -> Result<(), Stop> {
        while let Some((tag, length)) = frame::peek(&self.input, usize::MAX).unwrap() {
            let frame = self.input.split_to(length);
            self.handle(tag, &frame[HEADER..])?;
        }
        self.flush().await?;
        if self.fault.breaks_the_protocol() {
            return self.read_until_rest().await;
        }
        match self.stream.read_buf(&mut self.input).await? {
            0 => Err(Stop::Gone),
            _ => Ok(()),
        }
    }

    /// Gives all other tasks of this thread time to come to rest.
    async fn read_until_rest(&mut self) -> Result<(), Stop> {
        for _ in 0..ROUNDS_TO_REST {
            match self.stream.try_read_buf(&mut self.input) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(0) | Err(_) => return Err(Stop::Gone),
                Ok(_) => return Ok(()),
            }
            tokio::task::yield_now().await;
        }
        Err(Stop::Cut)
    }

    async fn flush(&mut self) -> io::Result<()> {
        let output = std::mem::take(&mut self.output);
        self.stream.write_all(&output).await
    }

    fn handle(&mut self, tag: u8, body: &[u8]) -> Result<(), Stop> {
        if self.skipping && tag != b'S' {
            return Ok(());
        }
        let mut body = Body(body);
        match tag {
            b'P' => {
                let name = body.cstr().unwrap().to_vec();
                let sql = body.cstr().unwrap().to_vec();
                self.emit(message(b'1', b""))?;
                if !self.skipping {
                    self.prepared.insert(name, sql);
                    self.prepared_most = self.prepared_most.max(self.prepared.len());
                }
            }
            b'C' => {
                body.u8().unwrap();
                self.prepared.remove(body.cstr().unwrap());
                self.emit(message(b'3', b""))?;
            }
            b'D' => {
                body.u8().unwrap();
                let takes = self.statement(body.cstr().unwrap()) != b"nothing";
                let (parameters, columns) = match takes {
                    true => (&b"\0\x01\0\0\0\x19"[..], described(&["value"])),
                    false => (&b"\0\0"[..], message(b'n', b"")),
                };
                self.emit(message(b't', parameters))?;
                self.emit(columns)?;
            }
            b'B' => self.bind(body)?,
            b'E' => self.execute()?,
            b'S' => {
                self.skipping = false;
                self.sync()?;
            }
            b'Q' => {
                let script = body.text().unwrap().to_owned();
                for statement in script.split(';') {
                    if statement == "fail" {
                        self.fail("22012")?;
                        break;
                    }
                    self.emit(complete(statement))?;
                }
                self.skipping = false;
                self.sync()?;
            }
            b'X' => return Err(Stop::Gone),
            other => panic!("the client sent {:?}", char::from(other)),
        }
        Ok(())
    }

    fn statement(&self, name: &[u8]) -> &[u8] {
        self.prepared.get(name).map_or(b"", |sql| sql)
    }

    fn bind(&mut self, mut body: Body<'_>) -> Result<(), Stop> {
        body.cstr().unwrap();
        let name = body.cstr().unwrap();
        if !self.prepared.contains_key(name) {
            return self.fail("26000");
        }
        let sql = self.statement(name).to_vec();
        // One format for all, then the values.
        body.i32().unwrap();
        let value = match body.i16().unwrap() {
            0 => Vec::new(),
            _ => {
                let length = usize::try_from(body.i32().unwrap()).unwrap();
                body.0[..length].to_vec()
            }
        };
        self.portal = (sql, value);
        self.emit(message(b'2', b""))
    }

    fn execute(&mut self) -> Result<(), Stop> {
        let (sql, value) = std::mem::take(&mut self.portal);
        let value = String::from_utf8(value).unwrap();
        if sql != b"nothing" {
            self.executions.push(value.clone());
        }
        match sql.as_slice() {
            b"fail" => self.fail("22012"),
            b"nothing" => self.emit(complete("NOTHING")),
            _ => {
                self.executed.insert(value.clone());
                self.emit(super::row(&[&value]))?;
                self.emit(complete("SELECT 1"))
            }
        }
    }

    fn sync(&mut self) -> Result<(), Stop> {
        self.emit(ready())?;
        // An error in its place: the commit failed.
        if self.skipping {
            self.skipping = false;
            self.emit(ready())?;
        }
        Ok(())
    }

    fn fail(&mut self, code: &str) -> Result<(), Stop> {
        self.emit(error("ERROR", code))?;
        self.skipping = true;
        Ok(())
    }

    /// Sends one message, unless it is the fault's turn.
    fn emit(&mut self, message: Vec<u8>) -> Result<(), Stop> {
        if self.skipping {
            return Ok(());
        }
        let here = self.due;
        self.due += 1;
        self.reached |= self.fault.place() == Some(here);
        match &self.fault {
            Fault::Before(bytes) => self.output.extend(bytes),
            fault if fault.place() != Some(here) => {}
            Fault::Insert(_, bytes) => self.output.extend(bytes),
            Fault::Twice(_) => self.output.extend(&message),
            Fault::Drop(_) => return Ok(()),
            Fault::Swap(_) => {
                // Held back until the next one was sent.
                self.fault = Fault::Insert(here + 2, message);
                return Ok(());
            }
            Fault::Error(_) => {
                self.skipping = true;
                self.output.extend(error("ERROR", "XX001"));
                return Ok(());
            }
            Fault::Fatal(_) | Fault::FatalAndSilence(_) => {
                self.output.extend(error("FATAL", "57P01"));
                return Err(Stop::Fatal);
            }
            Fault::Cut(_) => return Err(Stop::Cut),
            Fault::None => {}
        }
        self.output.extend(message);
        Ok(())
    }
}
