use std::future::Future;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use aquifer_wire::Client;
use tokio::time::timeout;

use crate::certificates::{Authority, TemporaryFile};
use crate::postgres::Postgres;
use crate::{connect, value};

/// Polls `future` at most `polls` times, then drops it.
pub(crate) async fn abort_at<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    std::future::poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            // The last poll is followed by the drop at once, not by the next wake-up.
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Waits until no session but the asking one is left: the server needs a moment to notice, but
/// not as long as a session that was forgotten.
async fn wait_until_alone(owner: &Client) {
    let others = "select count(*)::text from pg_stat_activity
                  where backend_type = 'client backend' and pid <> pg_backend_pid()";
    let alone = async {
        while value(owner, others).await != "0" {
            tokio::task::yield_now().await;
        }
    };
    let limit = Duration::from_secs(60);
    timeout(limit, alone)
        .await
        .expect("a session was left behind");
}

#[tokio::test]
async fn opening_can_be_dropped_at_every_poll() {
    let authority = Authority::new("ours");
    let roots = TemporaryFile::new(&authority.pem());
    let identity = authority.sign("server", &["localhost"]);
    let hba = "host all all all scram-sha-256";
    let server = Postgres::start_tls(hba, &identity, &authority.pem());
    let owner = connect(&server.local()).await.unwrap();
    owner
        .script("create role app login password 'p'")
        .await
        .unwrap();
    let tls = format!(
        "{} host=localhost user=app password=p sslmode=verify-full sslrootcert={roots}",
        server.tcp()
    );
    let clear = format!("{} user=app password=p sslmode=disable", server.tcp());
    for text in [server.local(), clear, tls] {
        let mut aborted = 0;
        loop {
            match abort_at(connect(&text), aborted + 1).await {
                None => aborted += 1,
                Some(client) => {
                    client.unwrap();
                    break;
                }
            }
        }
        assert!(aborted > 1, "{text}: was never waiting");
        wait_until_alone(&owner).await;
    }
}
