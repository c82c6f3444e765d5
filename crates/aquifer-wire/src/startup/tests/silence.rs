use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{Duration, Instant, timeout_at};

use super::peer::{LyingServer, request};
use super::{config, open_any, refusal};
use crate::Kind;
use crate::startup::connect::first_that_answers;

/// Long enough to get as far as the server lets us, on a busy machine too.
const LIMIT: &str = "connect_timeout=2";

async fn silent_after(answer: Option<&'static [u8]>, tls: bool) -> LyingServer {
    LyingServer::start(move |_, mut peer| async move {
        if answer.is_some() || tls {
            peer.startup().await;
        }
        if let Some(answer) = answer {
            peer.send(answer).await;
        }
        peer.rest().await;
    })
    .await
}

/// A listener whose queue is full, so that the kernel answers no further connect.
async fn deaf() -> (SocketAddr, TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    while let Ok(stream) =
        tokio::time::timeout(Duration::from_millis(200), TcpStream::connect(address)).await
    {
        queued.push(stream.unwrap());
    }
    (address, listener, queued)
}

#[tokio::test]
async fn connect_timeout_bounds_every_phase_and_names_it() {
    let authenticated: &'static [u8] = request(0, b"").leak();
    let half_header: &'static [u8] = b"R\0\0";
    let cases = [
        (None, "sslmode=require", "TLS"),
        (Some(b"S".as_slice()), "sslmode=require", "TLS"),
        (None, "", "authentication"),
        (Some(half_header), "", "authentication"),
        (Some(authenticated), "", "start-up"),
    ];
    let tries = cases.map(|(answer, mode, phase)| {
        tokio::spawn(async move {
            let server = silent_after(answer, mode.contains("require")).await;
            let error = refusal(&server, &format!("{LIMIT} {mode}")).await;
            assert_eq!(error.kind(), Kind::Timeout, "{error}");
            assert!(error.to_string().contains(phase), "{phase}: {error}");
            assert!(error.to_string().contains("connect_timeout"), "{error}");
        })
    });
    for attempt in tries {
        attempt.await.unwrap();
    }
}

#[tokio::test]
async fn connect_timeout_bounds_the_connect_too() {
    let (address, _listener, _queued) = deaf().await;
    let config = config(&format!(
        "user=u hostaddr={} port={} connect_timeout=0.3",
        address.ip(),
        address.port()
    ));
    let error = open_any(&config, &[]).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Timeout, "{error}");
    assert!(error.to_string().contains("TCP connect"), "{error}");
}

#[tokio::test]
async fn an_address_that_never_answers_leaves_time_for_the_next() {
    let (deaf, _listener, _queued) = deaf().await;
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refused = free.local_addr().unwrap();
    drop(free);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let good = listener.local_addr().unwrap();
    let deadline = Instant::now() + Duration::from_secs(3);
    let addresses = [refused, deaf, good];
    let connect = first_that_answers("h", &addresses, deadline);
    let (_stream, address) = timeout_at(deadline, connect)
        .await
        .expect("time is left for the last one")
        .unwrap();
    assert_eq!(address, good);
    let error = first_that_answers("h", &[refused, refused], deadline)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Connect);
    assert_eq!(error.to_string().matches("refused").count(), 2, "{error}");
    let error = first_that_answers("h", &[], deadline).await.unwrap_err();
    assert!(error.to_string().contains("no address"), "{error}");
}
