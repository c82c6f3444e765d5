use super::*;

fn tcp(host: &str, port: u16) -> RedisAddress {
    RedisAddress::Tcp {
        host: host.to_owned(),
        port,
    }
}

#[test]
fn a_good_url_is_shown_without_its_password() {
    let cases = [
        ("redis://h", "redis://h"),
        ("redis://h:6379/0", "redis://h:6379/0"),
        (
            "rediss://u:canary@h.example.com:1/15",
            "rediss://u:***@h.example.com:1/15",
        ),
        ("redis://:can%61ry@[::1]:7/", "redis://:***@[::1]:7"),
        ("redis://:a:canary@h", "redis://:***@h"),
        ("redis://canary@h", "redis://***@h"),
        ("redis://u:@h", "redis://u:@h"),
        ("redis://h?protocol=resp3", "redis://h?protocol=resp3"),
        ("redis+unix:///run/r.sock", "redis+unix:///run/r.sock"),
        (
            "redis+unix:///run/r.sock?db=1&user=u&pass=canary",
            "redis+unix:///run/r.sock?db=1&user=u&pass=***",
        ),
        (
            "redis+sentinel://u:canary@h1,h2:2/shop/3?sentinel_user=s&sentinel_password=canary",
            "redis+sentinel://u:***@h1,h2:2/shop/3?sentinel_user=s&sentinel_password=***",
        ),
        (
            "rediss+cluster://:canary@h1,h2?sslrootcert=%2Fca.pem",
            "rediss+cluster://:***@h1,h2?sslrootcert=%2Fca.pem",
        ),
    ];
    for (url, shown) in cases {
        let (_, masked) = parse(url).expect(url);
        assert_eq!(masked, shown, "{url}");
    }
}

#[test]
fn each_form_is_read() {
    let (target, _) = parse("rediss://us%65r:p%3Aw@h:7/2?protocol=resp2&sslrootcert=/ca.pem")
        .expect("a server with TLS");
    assert_eq!(target.layout, RedisLayout::Single(tcp("h", 7)));
    assert_eq!(target.login.user.as_deref(), Some("user"));
    assert_eq!(target.login.password, Some(Secret::from("p:w")));
    assert_eq!((target.database, target.resp3), (2, false));
    let tls = target.tls.expect("the scheme says so");
    assert_eq!(tls.roots, Some(PathBuf::from("/ca.pem")));

    let (target, _) = parse("redis+sentinel://s1,s2:7,[::1]/my%2Fshop/4").expect("sentinels");
    let sentinels = vec![tcp("s1", 26379), tcp("s2", 7), tcp("::1", 26379)];
    let service = "my/shop".to_owned();
    assert_eq!(target.layout, RedisLayout::Sentinel { sentinels, service });
    assert_eq!((target.database, target.resp3), (4, true));
    assert!(target.tls.is_none());

    let (target, _) = parse("rediss+cluster://:p@c1,c2:7?sslrootcert=system").expect("a cluster");
    let nodes = vec![tcp("c1", 6379), tcp("c2", 7)];
    assert_eq!(target.layout, RedisLayout::Cluster(nodes));
    assert_eq!(target.tls, Some(RedisTls::default()));
    assert_eq!(target.login.user, None);

    let (target, _) = parse("redis+unix:///run/%72.sock?db=1&user=u&pass=p").expect("a socket");
    let path = PathBuf::from("/run/r.sock");
    assert_eq!(target.layout, RedisLayout::Single(RedisAddress::Unix(path)));
    assert_eq!(target.login.password, Some(Secret::from("p")));
    assert_eq!(target.database, 1);
}

#[test]
fn a_bad_url_is_refused() {
    for url in [
        "",
        "h:6379",
        "http://h",
        "REDIS://h",
        "redis://",
        "redis:///0",
        "redis://u:p@",
        "redis://h:0",
        "redis://h:65536",
        "redis://h:",
        "redis://[::1]x",
        "redis://[::1",
        "redis://h/x",
        "redis://h/65536",
        "redis://h1,h2",
        "redis://u:p@ss@h",
        "redis://u:p/ss@h",
        "redis://u:1/ss@h",
        "redis://u:p?ss@h",
        "redis://u:p#ss@h",
        "redis://u:p%ss@h",
        "redis://u:p%2@h",
        "redis://u:p ss@h",
        "redis://u:%ff@h",
        "redis://h?pass=p",
        "redis://h?protocol=resp4",
        "redis://h?sslrootcert=/ca.pem",
        "rediss://h?sslcert=/c.pem",
        "redis+unix://h/run/r.sock",
        "redis+unix://",
        "rediss+unix:///s",
        "rediss://h#insecure",
        "redis+://h",
        "redis+sentinel://h",
        "redis+sentinel:///shop",
        "redis+sentinel://h,/shop",
        "redis+sentinel://h/shop/x",
        "redis+sentinel://h/shop?sentinel_user=u",
        "redis+cluster://h/1",
        "redis+cluster://h1,,h2",
    ] {
        assert!(parse(url).is_err(), "{url}");
    }
}
