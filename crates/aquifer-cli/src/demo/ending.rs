//! After the last step: the server stays for whoever wants to look.

use std::io::{self, IsTerminal};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use super::server::Server;
use super::stage::Stage;

/// Completes when the program is told to end: by Ctrl-C, or by SIGTERM.
pub(super) async fn interrupted() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        // It can't be listened for: then it ends the program as it always would.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

/// Waits for Enter or Ctrl-C, where somebody is there to press them.
pub(super) async fn wait(stage: &Stage, server: &Server, once: bool) {
    if once || !io::stdin().is_terminal() {
        return;
    }
    stage.offer(
        "The data is still there. To look at it from another terminal:",
        &server.psql(),
        "Enter ends the demo and removes everything that it made.",
    );
    tokio::select! {
        () = enter() => {}
        () = interrupted() => {}
    }
}

/// A thread of its own reads the line, since one of the runtime's would keep the program from
/// ending after Ctrl-C.
async fn enter() {
    let (sender, receiver) = oneshot::channel();
    std::thread::spawn(move || {
        let read = io::stdin().read_line(&mut String::new());
        // Nobody waits any more after Ctrl-C.
        let _ended = sender.send(read);
    });
    let _read = receiver.await;
}
