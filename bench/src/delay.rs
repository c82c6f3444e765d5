//! A proxy on loopback that makes the way to the server longer, as a network does.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Bytes and when they may go on.
type Parcel = (Instant, Vec<u8>);

/// Listens on a free port and passes everything on to `port`, half of `round_trip` later; returns
/// the port. It runs on threads of its own until the process ends.
///
/// # Errors
/// When no port is free.
pub fn start(port: u16, round_trip: Duration) -> io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let own = listener.local_addr()?.port();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            // A connection that fails here fails the contender, which says so.
            if let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
                connect(&client, &server, round_trip / 2).ok();
            }
        }
    });
    Ok(own)
}

fn connect(client: &TcpStream, server: &TcpStream, delay: Duration) -> io::Result<()> {
    for (from, to) in [(client, server), (server, client)] {
        from.set_nodelay(true)?;
        let (from, to) = (from.try_clone()?, to.try_clone()?);
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || take_in(from, delay, &sender));
        thread::spawn(move || hand_on(to, &receiver));
    }
    Ok(())
}

fn take_in(mut from: TcpStream, delay: Duration, sender: &mpsc::Sender<Parcel>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count) = from.read(&mut buffer) {
        let parcel = (Instant::now() + delay, buffer[..count].to_vec());
        if count == 0 || sender.send(parcel).is_err() {
            return;
        }
    }
}

fn hand_on(mut to: TcpStream, receiver: &mpsc::Receiver<Parcel>) {
    while let Ok((due, bytes)) = receiver.recv() {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if to.write_all(&bytes).is_err() {
            break;
        }
    }
    to.shutdown(Shutdown::Both).ok();
}
