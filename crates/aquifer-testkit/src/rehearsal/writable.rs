use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::background::PATIENCE;
use crate::postgres::Postgres;

/// Far below what is measured.
const POLL: Duration = Duration::from_millis(1);

/// A session of its own on a standby, by the unix socket, that sees when it begins to take writes.
///
/// It speaks the protocol itself: nothing that is measured, and nothing that waits, is in between.
pub(super) struct Writable(UnixStream);

impl Writable {
    pub(super) fn watch(standby: &Postgres) -> Self {
        let stream = UnixStream::connect(standby.socket()).expect("the standby listens");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a time-out is taken");
        let mut session = Self(stream);
        let mut start_up = 196_608_i32.to_be_bytes().to_vec();
        start_up.extend_from_slice(b"user\0postgres\0database\0postgres\0\0");
        session.send(&start_up);
        session.answer();
        session
    }

    /// Waits until the server takes writes.
    pub(super) fn wait(mut self) -> Instant {
        let end = Instant::now() + PATIENCE;
        loop {
            self.0.write_all(b"Q").expect("the session lives");
            self.send(b"select pg_is_in_recovery()\0");
            // A row of one column with one byte.
            if self.answer().ends_with(b"f") {
                return Instant::now();
            }
            assert!(Instant::now() < end, "the standby does not take over");
            thread::sleep(POLL);
        }
    }

    /// Sends a length and what it counts.
    fn send(&mut self, body: &[u8]) {
        let length = i32::try_from(body.len() + 4).expect("it is short");
        let message = [&length.to_be_bytes(), body].concat();
        self.0.write_all(&message).expect("the session lives");
    }

    /// The last row before the server is ready again.
    fn answer(&mut self) -> Vec<u8> {
        let mut row = Vec::new();
        loop {
            let mut header = [0; 5];
            self.0.read_exact(&mut header).expect("the session lives");
            let [tag, length @ ..] = header;
            let length = u32::from_be_bytes(length).saturating_sub(4);
            let mut body = vec![0; usize::try_from(length).expect("it is short")];
            self.0.read_exact(&mut body).expect("the session lives");
            match tag {
                b'D' => row = body,
                b'Z' => return row,
                b'E' => panic!("the watcher's session: {}", String::from_utf8_lossy(&body)),
                _ => {}
            }
        }
    }
}
