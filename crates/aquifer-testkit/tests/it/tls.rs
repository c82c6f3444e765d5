use aquifer_testkit::{Login, Postgres, ServerCertificate, Tls};

fn url(server: &Postgres, login: Login, roots: &std::path::Path) -> String {
    format!(
        "{}?sslmode=verify-full&sslrootcert={}",
        login.url("localhost", server.port()),
        roots.display()
    )
}

#[test]
fn each_certificate_is_good_or_bad_in_its_own_way() {
    let tls = Tls::generate();
    let files = tls.server(ServerCertificate::Valid);
    let server = Postgres::start_with(Postgres::builder().tls(&files.certificate, &files.key));
    let ask = |roots: &std::path::Path| {
        server.psql_at(
            &url(&server, Login::Scram, roots),
            "select ssl from pg_stat_ssl where pid = pg_backend_pid()",
        )
    };
    assert_eq!(ask(&tls.roots()).as_deref(), Ok("t"));
    let error = ask(&tls.other_roots()).expect_err("unknown authority");
    assert!(error.contains("certificate verify failed"), "{error}");

    for (kind, complaint) in [
        (ServerCertificate::WrongHost, "does not match host name"),
        (ServerCertificate::Expired, "certificate verify failed"),
        (ServerCertificate::NotYet, "certificate verify failed"),
        (
            ServerCertificate::OtherAuthority,
            "certificate verify failed",
        ),
    ] {
        server.replace_certificate(&tls.server(kind));
        let error = ask(&tls.roots_of(kind)).expect_err("a bad certificate");
        assert!(error.contains(complaint), "{kind:?}: {error}");
    }
    for kind in [
        ServerCertificate::Sha384,
        ServerCertificate::Ed25519,
        ServerCertificate::Valid,
    ] {
        server.replace_certificate(&tls.server(kind));
        let roots = tls.roots_of(kind);
        if kind == ServerCertificate::Ed25519 {
            // libpq knows no channel binding for it either, so it has to be told not to try.
            let url = format!(
                "{}&channel_binding=disable",
                url(&server, Login::Scram, &roots)
            );
            assert_eq!(
                server.psql_at(&url, "select 1").as_deref(),
                Ok("1"),
                "{kind:?}"
            );
        } else {
            assert_eq!(ask(&roots).as_deref(), Ok("t"), "{kind:?}");
        }
    }
}

#[test]
fn a_client_certificate_logs_its_role_in() {
    let tls = Tls::generate();
    let files = tls.server(ServerCertificate::Valid);
    let server = Postgres::start_with(
        Postgres::builder()
            .tls(files.certificate, files.key)
            .tls_client_roots(tls.roots()),
    );
    let plain = url(&server, Login::Certificate, &tls.roots());
    let with = |files: &aquifer_testkit::CertificateFiles| {
        let url = format!(
            "{plain}&sslcert={}&sslkey={}",
            files.certificate.display(),
            files.key.display()
        );
        server.psql_at(&url, "select current_user")
    };
    let role = Login::Certificate.role();
    assert_eq!(with(&tls.client(role)).as_deref(), Ok(role));
    with(&tls.client("somebody_else")).expect_err("another name");
    with(&tls.client_of_other_authority(role)).expect_err("another authority");
    server
        .psql_at(&plain, "select 1")
        .expect_err("no certificate");

    let over_tls = url(&server, Login::Tls, &tls.roots());
    assert_eq!(server.psql_at(&over_tls, "select 1").as_deref(), Ok("1"));
    let in_clear = format!("{}?sslmode=disable", server.login_url(Login::Tls));
    server.psql_at(&in_clear, "select 1").expect_err("TLS only");
}
