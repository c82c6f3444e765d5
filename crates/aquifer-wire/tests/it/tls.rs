use aquifer_wire::{Kind, Sharing};

use crate::certificates::{Authority, TemporaryFile};
use crate::postgres::Postgres;
use crate::{connect, refusal, value};

const HBA: &str = "
hostssl   all only_tls   all scram-sha-256
hostnossl all only_clear all scram-sha-256
hostssl   all certified  all cert
hostnossl all certified  all reject
host      all scram      all scram-sha-256
host      all md5        all md5
";
const NAMES: &[&str] = &["localhost", "127.0.0.1"];
const ENCRYPTED: &str = "select ssl::text from pg_stat_ssl where pid = pg_backend_pid()";

async fn server(authority: &Authority) -> Postgres {
    let server = Postgres::start_tls(HBA, &authority.sign("server", NAMES), &authority.pem());
    let owner = connect(&server.local()).await.unwrap();
    owner
        .script(
            "create role only_tls login password 'p';
             create role only_clear login password 'p';
             create role certified login;
             create role scram login password 'p';
             set password_encryption = 'md5';
             create role md5 login password 'p'",
        )
        .await
        .unwrap();
    server
}

#[tokio::test]
async fn verify_full_accepts_the_right_certificate_and_refuses_the_rest() {
    let authority = Authority::new("ours");
    let roots = TemporaryFile::new(&authority.pem());
    let strangers = TemporaryFile::new(&Authority::new("theirs").pem());
    let mut server = server(&authority).await;
    let text = format!("{} user=scram password=p sslmode=verify-full", server.tcp());
    let client = connect(&format!("{text} sslrootcert={roots}"))
        .await
        .unwrap();
    assert_eq!(value(&client, ENCRYPTED).await, "true");
    drop(client);
    let authorized = server.log().matches("connection authorized").count();

    let unknown = refusal(&format!("{text} sslrootcert={strangers}")).await;
    assert_eq!(unknown.kind(), Kind::Tls, "{unknown}");
    assert!(unknown.to_string().contains("sslrootcert"), "{unknown}");
    let wrong_host = format!("{text} sslrootcert={roots} host=db.example.com hostaddr=127.0.0.1");
    let wrong_host = refusal(&wrong_host).await;
    assert_eq!(wrong_host.kind(), Kind::Tls, "{wrong_host}");
    assert!(
        wrong_host.to_string().contains("db.example.com"),
        "{wrong_host}"
    );

    let log = server.log();
    assert_eq!(
        log.matches("connection authorized").count(),
        authorized,
        "{log}"
    );
    server.show(&authority.sign_expired(NAMES));
    let expired = refusal(&format!("{text} sslrootcert={roots}")).await;
    assert_eq!(expired.kind(), Kind::Tls, "{expired}");
    assert!(expired.to_string().contains("expired"), "{expired}");
    // A mode that verifies nothing still gets in, and still encrypted.
    let client = connect(&text.replace("verify-full", "require"))
        .await
        .unwrap();
    assert_eq!(value(&client, ENCRYPTED).await, "true");
}

#[tokio::test]
async fn scram_is_bound_to_the_channel() {
    let server = server(&Authority::new("ours")).await;
    let text = format!("{} user=scram password=p", server.tcp());
    for binding in ["require", "prefer", "disable"] {
        let text = format!("{text} sslmode=require channel_binding={binding}");
        let client = connect(&text).await.unwrap();
        assert_eq!(value(&client, ENCRYPTED).await, "true", "{binding}");
    }
    for (user, mode) in [("scram", "disable"), ("scram", "allow"), ("md5", "require")] {
        let text = format!("{text} user={user} sslmode={mode} channel_binding=require");
        let error = refusal(&text).await;
        let expected = match mode {
            "disable" => Kind::Config,
            _ => Kind::Authentication,
        };
        assert_eq!(error.kind(), expected, "{user} {mode}: {error}");
        assert!(
            error.to_string().contains("channel_binding=require"),
            "{error}"
        );
    }
    let wrong = format!("{text} password=wrong sslmode=require channel_binding=require");
    assert_eq!(refusal(&wrong).await.sqlstate().unwrap().code(), "28P01");
}

#[tokio::test]
async fn allow_and_prefer_follow_pg_hba_and_no_other_mode_does() {
    let server = server(&Authority::new("ours")).await;
    let text = format!("{} password=p", server.tcp());
    for (user, mode, encrypted) in [
        ("only_tls", "allow", "true"),
        ("only_tls", "prefer", "true"),
        ("only_tls", "require", "true"),
        ("only_clear", "allow", "false"),
        ("only_clear", "prefer", "false"),
        ("only_clear", "disable", "false"),
        ("scram", "allow", "false"),
        ("scram", "prefer", "true"),
    ] {
        let client = connect(&format!("{text} user={user} sslmode={mode}")).await;
        let client = client.unwrap_or_else(|error| panic!("{user} {mode}: {error}"));
        assert_eq!(value(&client, ENCRYPTED).await, encrypted, "{user} {mode}");
    }
    for (user, mode) in [("only_tls", "disable"), ("only_clear", "require")] {
        let error = refusal(&format!("{text} user={user} sslmode={mode}")).await;
        assert_eq!(error.sqlstate().unwrap().code(), "28000", "{user} {mode}");
    }
}

#[tokio::test]
async fn a_client_certificate_is_a_login() {
    let authority = Authority::new("ours");
    let server = server(&authority).await;
    let identity = authority.sign("certified", &["certified"]);
    let stranger = Authority::new("theirs").sign("certified", &["certified"]);
    let text = format!("{} user=certified sslmode=require", server.tcp());
    let with = |certificate: &str, key: &str| {
        let (certificate, key) = (TemporaryFile::new(certificate), TemporaryFile::new(key));
        let text = format!("{text} sslcert={certificate} sslkey={key}");
        (text, certificate, key)
    };
    let (good, _certificate, _key) = with(&identity.pem, &identity.key);
    let client = connect(&good).await.unwrap();
    assert_eq!(
        value(&client, "select current_user::text").await,
        "certified"
    );
    let (bad, _certificate, _key) = with(&stranger.pem, &stranger.key);
    assert_eq!(refusal(&bad).await.kind(), Kind::Tls);
    assert_eq!(refusal(&text).await.kind(), Kind::Authentication);
}

#[tokio::test]
async fn cancel_goes_the_same_encrypted_way() {
    let server = server(&Authority::new("ours")).await;
    let text = format!("{} user=only_tls password=p sslmode=require", server.tcp());
    let client = connect(&text).await.unwrap();
    let sleep = client.query("select pg_sleep(600)", &(), Sharing::Own);
    tokio::pin!(sleep);
    let error = loop {
        // A request that comes before the statement cancels nothing, so it is repeated.
        tokio::select! {
            reply = &mut sleep => break reply.unwrap_err(),
            sent = client.cancel() => sent.unwrap(),
        }
    };
    assert_eq!(error.sqlstate().unwrap().code(), "57014", "{error}");
}
