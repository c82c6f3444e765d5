use aquifer_wire::Kind;

use crate::postgres::Postgres;
use crate::{connect, refusal, value};

/// One user per method; all have the password `pass'word`.
const HBA: &str = "
host all trusted all trust
host all clear all password
host all md5 all md5
host all scram all scram-sha-256
";

async fn server() -> Postgres {
    let server = Postgres::start(HBA);
    let owner = connect(&server.local()).await.unwrap();
    owner
        .script(
            "create role trusted login;
             set password_encryption = 'md5';
             create role md5 login password 'pass''word';
             set password_encryption = 'scram-sha-256';
             create role clear login password 'pass''word';
             create role scram login password 'pass''word';
             create role nobody login",
        )
        .await
        .unwrap();
    server
}

#[tokio::test]
async fn each_method_lets_in_who_knows_the_password_and_nobody_else() {
    let server = server().await;
    let tcp = server.tcp();
    let right = r"password='pass\'word'";
    for user in ["trusted", "clear", "md5", "scram"] {
        let client = connect(&format!("{tcp} {right} user={user}"))
            .await
            .unwrap();
        assert_eq!(value(&client, "select current_user::text").await, user);
    }
    for user in ["clear", "md5", "scram"] {
        let error = refusal(&format!("{tcp} user={user} password=canary")).await;
        assert_eq!(error.kind(), Kind::Authentication, "{user}: {error}");
        assert_eq!(error.sqlstate().unwrap().code(), "28P01");
        assert!(
            !format!("{error} {error:?}").contains("canary"),
            "{error:?}"
        );
        let error = refusal(&format!("{tcp} user={user}")).await;
        assert_eq!(error.kind(), Kind::Authentication, "{user}: {error}");
        assert!(error.to_string().contains("PGPASSWORD"), "{error}");
    }
    let client = connect(&server.local()).await.unwrap();
    assert_eq!(
        value(&client, "select current_user::text").await,
        "postgres"
    );
}

#[tokio::test]
async fn require_auth_holds_against_a_real_server() {
    let server = server().await;
    let text = format!(r"{} password='pass\'word'", server.tcp());
    for (user, list, allowed) in [
        ("scram", "scram-sha-256", true),
        ("scram", "!scram-sha-256", false),
        ("md5", "scram-sha-256", false),
        ("md5", "md5,scram-sha-256", true),
        ("clear", "!password", false),
        ("trusted", "none", true),
        ("trusted", "!none", false),
    ] {
        let text = format!("{text} user={user} require_auth={list}");
        match connect(&text).await {
            Ok(_client) => assert!(allowed, "{user} {list}"),
            Err(error) => {
                assert!(!allowed, "{user} {list}: {error}");
                assert_eq!(error.kind(), Kind::Authentication);
                assert!(error.database().is_none(), "refused on this side: {error}");
            }
        }
    }
}

#[tokio::test]
async fn the_servers_refusals_keep_their_words() {
    let server = server().await;
    let tcp = server.tcp();
    let error = refusal(&format!("{tcp} user=nobody sslmode=disable")).await;
    assert_eq!(error.kind(), Kind::Authentication, "{error}");
    assert_eq!(error.sqlstate().unwrap().code(), "28000");
    assert!(error.to_string().contains("pg_hba.conf"), "{error}");
    let error = refusal(&format!("{tcp} user=trusted dbname=none")).await;
    assert_eq!(error.kind(), Kind::Connect, "{error}");
    assert_eq!(error.sqlstate().unwrap().code(), "3D000");
    let error = refusal(&format!("{} options='-c nonsense=1'", server.local())).await;
    assert_eq!(error.kind(), Kind::Connect, "{error}");
    let error = refusal(&format!("{tcp} user=scram password=x sslmode=require")).await;
    assert_eq!(error.kind(), Kind::Tls, "{error}");
    assert!(error.to_string().contains("ssl = on"), "{error}");
}

#[tokio::test]
async fn a_password_file_is_asked_when_no_password_is_set() {
    use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};

    let server = server().await;
    let file = std::env::temp_dir().join(format!("aquifer-passfile-{}", std::process::id()));
    let mut options = std::fs::OpenOptions::new();
    let mut open = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&file)
        .unwrap();
    std::io::Write::write_all(
        &mut open,
        b"# ours\n*:1:*:*:canary\n*:*:*:scram:pass'word\n",
    )
    .unwrap();
    let tcp = format!("{} passfile={}", server.tcp(), file.display());
    let client = connect(&format!("{tcp} user=scram")).await.unwrap();
    assert_eq!(value(&client, "select current_user::text").await, "scram");
    let wrong = refusal(&format!("{tcp} user=scram password=canary")).await;
    assert_eq!(
        wrong.sqlstate().unwrap().code(),
        "28P01",
        "the password comes first"
    );
    let unlisted = refusal(&format!("{tcp} user=md5")).await;
    assert!(
        unlisted.to_string().contains("password file has none"),
        "{unlisted}"
    );
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    let exposed = refusal(&format!("{tcp} user=scram")).await;
    assert!(exposed.to_string().contains("chmod 600"), "{exposed}");
    assert!(
        connect(&format!("{tcp} user=trusted")).await.is_ok(),
        "no password, no file"
    );
    std::fs::remove_file(&file).unwrap();
    let missing = refusal(&format!("{tcp} user=scram")).await;
    assert_eq!(missing.kind(), Kind::Authentication, "{missing}");
}
