use aquifer_embedded::free_port;
use aquifer_wire::Kind;

use crate::postgres::Postgres;
use crate::{connect, connect_with, refusal, value};

#[tokio::test]
async fn settings_of_the_configuration_and_of_the_caller_reach_the_session() {
    let server = Postgres::start("");
    let text = format!(
        "{} application_name='my app' options='-c search_path=app\\ -c\\ work_mem=5MB'",
        server.local()
    );
    let text = text.replace("\\ ", " ");
    let settings = [("default_transaction_read_only", "on")];
    let client = connect_with(&text, &settings).await.unwrap();
    for (name, expected) in [
        ("application_name", "my app"),
        ("search_path", "app"),
        ("work_mem", "5MB"),
        ("default_transaction_read_only", "on"),
        ("client_encoding", "UTF8"),
    ] {
        let sql = format!("select current_setting('{name}')");
        assert_eq!(value(&client, &sql).await, expected, "{name}");
    }
    assert_eq!(
        client.parameter("application_name").as_deref(),
        Some("my app")
    );
    let pid = value(&client, "select pg_backend_pid()::text").await;
    assert_eq!(client.process_id().to_string(), pid);
}

#[tokio::test]
async fn a_host_that_is_down_or_plays_another_part_is_passed_over() {
    let server = Postgres::start("host all all all trust");
    let (up, down) = (server.port(), free_port().unwrap());
    let text = format!("host=127.0.0.1,127.0.0.1 port={down},{up} user=postgres");
    let client = connect(&format!("{text} target_session_attrs=read-write"))
        .await
        .unwrap();
    assert_eq!(value(&client, "select 'here'").await, "here");
    for wanted in ["standby", "read-only"] {
        let error = refusal(&format!("{text} target_session_attrs={wanted}")).await;
        assert_eq!(error.kind(), Kind::Connect, "{error}");
        let text = error.to_string();
        assert!(text.contains("refused") && text.contains(wanted), "{text}");
    }
    let read_only = "options='-c default_transaction_read_only=on'";
    for (wanted, suits) in [
        ("read-only", true),
        ("read-write", false),
        ("primary", true),
    ] {
        let text = format!("{text} {read_only} target_session_attrs={wanted}");
        assert_eq!(connect(&text).await.is_ok(), suits, "{wanted}");
    }
}

#[tokio::test]
async fn a_server_that_shuts_down_or_is_gone_is_a_connect_error() {
    let server = Postgres::start("host all all all trust");
    let text = format!("{} user=postgres", server.tcp());
    let local = server.local();
    connect(&text).await.unwrap();
    drop(server);
    for text in [text, local] {
        let error = refusal(&text).await;
        assert_eq!(error.kind(), Kind::Connect, "{error}");
        assert!(!error.sent());
    }
}
