//! What openssl's own server and client meet: certificates of other makes than ours, and what a route asks of them.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use loopgate::outcome::{Cause, End};
use loopgate::proxy_protocol::{self, Header};

use crate::harness::{Close, Connection, Proxy, Target};
use crate::real::tcp::Service;

/// Runs openssl with these words.
fn openssl(folder: &Path, words: &str) -> String {
    let words: Vec<&str> = words.split(' ').collect();
    let output = Command::new("openssl").args(&words).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A folder with `NAME.pem` and `NAME.key`, a certificate of X.509 version 1 with this kind of key.
fn of_version_1(folder: &Path, name: &str, kind: &str) {
    openssl(folder, &format!("req -new {kind} -nodes -subj /CN={name} -keyout {name}.key -out {name}.csr"));
    openssl(folder, &format!("x509 -req -in {name}.csr -signkey {name}.key -days 30 -out {name}.pem"));
    assert!(openssl(folder, &format!("x509 -in {name}.pem -noout -text")).contains("Version: 1"));
}

const KEYS: [&str; 2] = ["-newkey rsa:2048", "-newkey ec -pkeyopt ec_paramgen_curve:P-256"];

/// `openssl s_server`, which answers each line with its letters in reverse order.
fn s_server(folder: &Path, own: &str, more: &[&str]) -> Service {
    Service::start(|port, _| {
        let mut server = Command::new("openssl");
        server.args(["s_server", "-rev", "-accept", &format!("127.0.0.1:{port}")]).current_dir(folder);
        server.args(["-cert", &format!("{own}.pem"), "-key", &format!("{own}.key")]).args(more);
        server
    })
}

/// A proxy that speaks TLS with the target alone.
fn originating(target: &Service, target_tls: &str) -> Proxy {
    Proxy::builder().with(&format!(
        "routes.test = {{listen = '127.0.0.1:0', target = '{}', target_tls = {{{target_tls}}}}}",
        target.address
    ))
}

/// Whether the target is spoken to; otherwise the words of the record about why it was refused.
fn reached(proxy: &Proxy) -> Result<(), String> {
    // It may be over before its connect(2) returns.
    if let Ok(mut client) = Connection::try_to(proxy.address)
        && client.try_send(b"hello\n").is_ok()
    {
        let _ = client.stream().shutdown(std::net::Shutdown::Write);
        let (received, close) = client.receive_all();
        if received == b"olleh\n" {
            proxy.record();
            return Ok(());
        }
        assert_eq!((received, close), (Vec::new(), Close::Reset));
    }
    let record = proxy.record();
    let causes = [Cause::TlsUntrusted, Cause::TlsRefused].map(End::NoTarget);
    assert!(causes.contains(&record.outcome.end), "{record}");
    Err(record.hint().unwrap().to_owned())
}

/// The output of `openssl s_client`, which sends a word and ends.
fn s_client(proxy: &Proxy, folder: &Path, arguments: &[&str]) -> String {
    let mut child = Command::new("openssl")
        .args(["s_client", "-connect", &proxy.address.to_string()])
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // One that is refused may have ended by then.
    let _ = child.stdin.take().unwrap().write_all(b"x");
    let output = child.wait_with_output().unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

/// What `loopgate validate` says of a configuration.
fn validated(config: &str, folder: &Path) -> String {
    let file = folder.join("loopgate.toml");
    std::fs::write(&file, config).unwrap();
    let mut validate = Command::new(env!("CARGO_BIN_EXE_loopgate"));
    let output = validate.args(["validate", "-c", file.to_str().unwrap()]).output().unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[test]
#[ignore = "needs openssl"]
fn a_target_whose_certificate_is_of_version_1_is_spoken_to_where_nothing_is_verified() {
    let folder = tempfile::tempdir().unwrap();
    for kind in KEYS {
        of_version_1(folder.path(), "old", kind);
        for version in ["-tls1_2", "-tls1_3"] {
            let target = s_server(folder.path(), "old", &[version]);

            assert_eq!(reached(&originating(&target, "verify = 'none'")), Ok(()), "{kind} {version}");

            let own = folder.path().join("old.pem");
            let why = reached(&originating(&target, &format!("ca = '{}'", own.display()))).unwrap_err();
            assert!(
                why.contains("the target's certificate is X.509 version 1") && why.contains("as version 3"),
                "{why}"
            );
        }
    }
}

#[test]
#[ignore = "needs openssl"]
fn a_client_whose_certificate_is_of_version_1_is_told_to_have_it_reissued() {
    let (folder, target) = (tempfile::tempdir().unwrap(), Target::answering_after_fin());
    let at = folder.path();
    openssl(at, "req -x509 -newkey rsa:2048 -nodes -subj /CN=authority -days 30 -keyout ca.key -out ca.pem");
    openssl(at, "req -newkey rsa:2048 -nodes -subj /CN=guest -keyout guest.key -out guest.csr");
    openssl(at, "x509 -req -in guest.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -out guest.pem");
    of_version_1(at, "web", KEYS[0]);
    let file = |name: &str| at.join(name).display().to_string();
    let proxy = Proxy::builder().with(&format!(
        "routes.test = {{listen = '127.0.0.1:0', target = '{}', tls = {{certificate = '{}', key = '{}', \
         client_ca = '{}'}}}}",
        target.address,
        file("web.pem"),
        file("web.key"),
        file("ca.pem")
    ));

    s_client(&proxy, at, &["-cert", "guest.pem", "-key", "guest.key"]);

    let record = proxy.record();
    assert_eq!(record.outcome.end, End::TlsFailed, "{record}");
    let why = record.hint().unwrap();
    assert!(why.contains("the client's certificate is X.509 version 1"), "{why}");
    assert!(why.contains("reissue it as version 3"), "{why}");
}

#[test]
#[ignore = "needs openssl"]
fn our_own_certificate_may_be_of_version_1_and_its_key_must_fit() {
    let (folder, target) = (tempfile::tempdir().unwrap(), Target::answering_after_fin());
    let at = folder.path();
    for kind in KEYS {
        of_version_1(at, "old", kind);
        of_version_1(at, "other", kind);
        let route = |key: &str| {
            let file = |name: &str| at.join(name).display().to_string();
            format!(
                "routes.test = {{listen = '127.0.0.1:0', target = '{}', tls = {{certificate = '{}', key = '{}'}}}}",
                target.address,
                file("old.pem"),
                file(key)
            )
        };
        let proxy = Proxy::builder().with(&route("old.key"));

        for version in ["-tls1_2", "-tls1_3"] {
            let told = s_client(&proxy, at, &[version, "-CAfile", "old.pem", "-verify_return_error"]);
            assert!(told.contains("Verify return code: 0 (ok)"), "{told}");
            assert_eq!(proxy.record().outcome.end, End::Done);
        }

        let told = validated(&route("other.key"), at);
        assert!(told.contains("the key does not belong to the certificate"), "{told}");
    }
}

#[test]
#[ignore = "needs openssl"]
fn without_session_tickets_openssl_gets_none_and_resumes_nothing() {
    let (folder, target) = (tempfile::tempdir().unwrap(), Target::sending(1, 10));
    let at = folder.path();
    openssl(
        at,
        "req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -days 30 -keyout web.key -out web.pem",
    );
    let file = |name: &str| at.join(name).display().to_string();
    for (more, sends) in [("", true), (", session_tickets = false", false)] {
        let proxy = Proxy::builder().with(&format!(
            "routes.test = {{listen = '127.0.0.1:0', target = '{}', tls = {{certificate = '{}', key = '{}'{more}}}}}",
            target.address,
            file("web.pem"),
            file("web.key")
        ));

        for version in ["-tls1_3", "-tls1_2"] {
            let told = s_client(&proxy, at, &[version, "-ign_eof"]);
            assert_eq!(told.contains("TLS session ticket:"), sends, "{told}");
        }
    }
}

/// The pin of a certificate's key, by the command that the program proposes.
fn pin(folder: &Path, name: &str) -> String {
    let words = format!(
        "openssl x509 -in {name}.pem -noout -pubkey | openssl pkey -pubin -outform DER | openssl dgst -sha256 \
         -binary | base64"
    );
    let output = Command::new("sh").args(["-c", &words]).current_dir(folder).output().unwrap();
    format!("sha256//{}", String::from_utf8(output.stdout).unwrap().trim())
}

/// Makes `NAME.pem` and `NAME.key`, which is its own authority.
fn self_signed(folder: &Path, name: &str, more: &str) {
    let words = format!(
        "req -x509 -newkey rsa:2048 -nodes -subj /CN={name} -days 30 -keyout {name}.key -out {name}.pem{more}"
    );
    openssl(folder, &words);
}

#[test]
#[ignore = "needs openssl"]
fn a_target_is_known_by_its_key_alone_or_besides_its_authority() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    self_signed(at, "web", " -addext subjectAltName=IP:127.0.0.1");
    of_version_1(at, "old", KEYS[1]);
    let other = "sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    for own in ["web", "old"] {
        let right = pin(at, own);
        for version in ["-tls1_2", "-tls1_3"] {
            let target = s_server(at, own, &[version]);
            let by_key =
                |pins: &str| reached(&originating(&target, &format!("verify = 'none', pin = [{pins}]")));
            let by_both = |pin: &str| {
                let ca = at.join("web.pem").display().to_string();
                reached(&originating(&target, &format!("ca = '{ca}', pin = '{pin}'")))
            };

            assert_eq!(by_key(&format!("'{other}', '{right}'")), Ok(()), "{own} {version}");
            let why = by_key(&format!("'{other}'")).unwrap_err();
            assert!(why.contains(&format!("is {right}, which is not in target_tls.pin")), "{why}");
            assert_eq!(by_both(&right).is_ok(), own == "web");
            assert!(by_both(other).is_err());
        }
    }
}

#[test]
#[ignore = "needs openssl"]
fn a_client_is_known_by_its_key_whoever_signed_its_certificate() {
    let (folder, target) = (tempfile::tempdir().unwrap(), Target::answering_after_fin());
    let at = folder.path();
    self_signed(at, "web", "");
    self_signed(at, "guest", "");
    of_version_1(at, "old", KEYS[0]);
    self_signed(at, "stranger", "");
    let file = |name: &str| at.join(name).display().to_string();
    let route = |more: &str| {
        let (pins, own) = (format!("'{}', '{}'", pin(at, "guest"), pin(at, "old")), file("web.pem"));
        format!(
            "routes.test = {{listen = '127.0.0.1:0', target = '{}', tls = {{certificate = '{own}', key = '{}', \
             client_pin = [{pins}]{more}}}}}",
            target.address,
            file("web.key")
        )
    };
    let proxy = Proxy::builder().with(&route(""));
    let shown = |proxy: &Proxy, name: &str, version: &str| {
        let own = [format!("{name}.pem"), format!("{name}.key")];
        s_client(proxy, at, &["-cert", &own[0], "-key", &own[1], version]);
        let record = proxy.record();
        (record.outcome.end, record.hint().unwrap_or_default().to_owned())
    };

    for version in ["-tls1_2", "-tls1_3"] {
        for name in ["guest", "old"] {
            assert_eq!(shown(&proxy, name, version).0, End::Done, "{name} {version}");
        }
        let (end, why) = shown(&proxy, "stranger", version);
        assert_eq!(end, End::TlsFailed);
        assert!(why.contains(&format!("{}, which is not in client_pin", pin(at, "stranger"))), "{why}");
        s_client(&proxy, at, &[version]);
        let record = proxy.record();
        assert_eq!(record.outcome.end, End::TlsFailed);
        assert!(record.hint().unwrap().contains("showed no certificate"), "{record}");
    }

    let proxy = Proxy::builder().with(&route(&format!(", client_ca = '{}'", file("stranger.pem"))));
    let (end, why) = shown(&proxy, "guest", "-tls1_3");
    assert!(end == End::TlsFailed && why.contains("client_ca"), "{why}");
    let told = validated(&route(", client_names = 'guest'"), at);
    assert!(told.contains("nobody vouches for the names"), "{told}");
}

/// The same as [`originating`], by the name `localhost`.
fn originating_by_name(target: &Service, target_tls: &str) -> Proxy {
    Proxy::builder().with(&format!(
        "routes.test = {{listen = '127.0.0.1:0', target = 'localhost:{}', target_tls = {{{target_tls}}}}}",
        target.address.port()
    ))
}

#[test]
#[ignore = "needs openssl"]
fn a_target_is_held_to_its_address_or_its_uri_where_that_is_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    self_signed(at, "web", " -addext subjectAltName=IP:127.0.0.7,URI:spiffe://mesh/db,DNS:db.example");
    let target = s_server(at, "web", &[]);
    let ca = at.join("web.pem").display().to_string();
    let named = |name: &str| reached(&originating_by_name(&target, &format!("ca = '{ca}', name = '{name}'")));

    for right in ["127.0.0.7", "spiffe://mesh/db", "db.example"] {
        assert_eq!(named(right), Ok(()), "{right}");
    }
    for (wrong, told) in [
        ("127.0.0.1", "not for 127.0.0.1"),
        ("spiffe://mesh/web", "is for spiffe://mesh/db, not for spiffe://mesh/web"),
        ("spiffe://mesh", "not for spiffe://mesh:"),
        ("web", "not for web"),
    ] {
        let why = named(wrong).unwrap_err();
        assert!(why.contains(told), "{why}");
    }
}

#[test]
#[ignore = "needs openssl"]
fn a_certificate_of_an_authority_is_held_to_a_uri_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    self_signed(at, "ca", "");
    self_signed(at, "stranger", "");
    openssl(at, "req -newkey rsa:2048 -nodes -subj /CN=db -keyout db.key -out db.csr");
    std::fs::write(at.join("ext"), "subjectAltName=URI:spiffe://mesh/db\n").unwrap();
    openssl(at, "x509 -req -in db.csr -CA ca.pem -CAkey ca.key -days 30 -extfile ext -out db.pem");
    let target = s_server(at, "db", &[]);
    let named = |ca: &str, name: &str| {
        let ca = at.join(ca).display().to_string();
        reached(&originating(&target, &format!("ca = '{ca}', name = '{name}'")))
    };

    assert_eq!(named("ca.pem", "spiffe://mesh/db"), Ok(()));
    assert!(named("ca.pem", "spiffe://mesh/web").unwrap_err().contains("is for spiffe://mesh/db"));
    assert!(named("stranger.pem", "spiffe://mesh/db").unwrap_err().contains("not signed by any authority"));
}

#[test]
#[ignore = "needs openssl"]
fn a_common_name_is_a_targets_name_only_by_the_switch_and_without_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    self_signed(at, "db.example", "");
    of_version_1(at, "old.example", KEYS[0]);
    self_signed(at, "listed.example", " -addext subjectAltName=DNS:other.example");
    // An authority for example.org alone, which rustls holds no common name to.
    self_signed(at, "bound", " -addext nameConstraints=permitted;DNS:example.org");
    openssl(at, "req -newkey rsa:2048 -nodes -subj /CN=bank.example -keyout bank.key -out bank.csr");
    std::fs::write(at.join("ext"), "basicConstraints=CA:FALSE\n").unwrap();
    openssl(at, "x509 -req -in bank.csr -CA bound.pem -CAkey bound.key -days 30 -extfile ext -out bank.pem");
    let named = |own: &str, ca: &str, name: &str, more: &str| {
        let (target, ca) = (s_server(at, own, &[]), at.join(ca).display().to_string());
        reached(&originating(&target, &format!("ca = '{ca}', name = '{name}'{more}")))
    };
    let by_switch = ", common_name = true";

    for own in ["db.example", "old.example"] {
        let ca = format!("{own}.pem");
        assert!(named(own, &ca, own, "").is_err(), "{own}");
        assert_eq!(named(own, &ca, own, by_switch), Ok(()), "{own}");
        assert!(named(own, &ca, "web.example", by_switch).is_err(), "{own}");
    }
    assert!(named("listed.example", "listed.example.pem", "listed.example", by_switch).is_err());
    assert!(named("bank", "bound.pem", "bank.example", by_switch).is_err());
}

#[test]
#[ignore = "needs openssl"]
fn a_target_is_asked_for_another_name_than_its_own_or_for_none() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    self_signed(at, "web", " -addext subjectAltName=DNS:localhost,DNS:db.example");
    // It refuses whoever asks for another name.
    let strict = ["-servername", "db.example", "-servername_fatal", "-cert2", "web.pem", "-key2", "web.key"];
    let target = s_server(at, "web", &strict);
    let ca = at.join("web.pem").display().to_string();
    let asked = |more: &str| reached(&originating_by_name(&target, &format!("ca = '{ca}'{more}")));

    for right in [
        ", name = 'db.example'",
        ", sni = 'db.example'",
        ", sni = 'db.example', name = 'localhost'",
        ", sni = 'off'",
    ] {
        assert_eq!(asked(right), Ok(()), "{right}");
    }
    for wrong in ["", ", name = 'localhost'", ", sni = 'localhost', name = 'db.example'"] {
        assert!(asked(wrong).unwrap_err().contains("unrecognized_name"), "{wrong}");
    }
    assert!(asked(", sni = 'db.example', name = 'web.example'").unwrap_err().contains("web.example"));
}

#[test]
#[ignore = "needs openssl"]
fn a_newest_version_holds_for_clients_and_for_targets() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    self_signed(at, "web", "");
    let target = s_server(at, "web", &[]);
    let file = |name: &str| at.join(name).display().to_string();
    let outer = |more: &str| originating(&target, &format!("verify = 'none'{more}"));
    for (more, version) in [("", "TLSv1.3"), (", max_version = '1.2'", "TLSv1.2")] {
        let proxy = outer(more);
        let mut client = proxy.connect();
        client.send(b"hello\n");
        assert_eq!(client.receive(6), b"olleh\n");
        drop(client);
        assert_eq!(proxy.record().target_tls.unwrap().version, version);
    }
    let newer = s_server(at, "web", &["-tls1_3"]);
    let why = reached(&originating(&newer, "verify = 'none', max_version = '1.2'")).unwrap_err();
    assert!(why.contains("no version of TLS in common"), "{why}");

    let plain = Target::answering_after_fin();
    let proxy = Proxy::builder().with(&format!(
        "routes.test = {{listen = '127.0.0.1:0', target = '{}', tls = {{certificate = '{}', key = '{}', \
         max_version = '1.2'}}}}",
        plain.address,
        file("web.pem"),
        file("web.key")
    ));
    s_client(&proxy, at, &[]);
    assert_eq!(proxy.record().client_tls.unwrap().version, "TLSv1.2");
    s_client(&proxy, at, &["-tls1_3"]);
    let record = proxy.record();
    assert!(
        record.outcome.end == End::TlsFailed && record.hint().unwrap().contains("max_version"),
        "{record}"
    );
}

/// Reads the header of version 2 that a target is sent.
fn header_at(target: &Target) -> Header {
    let (mut served, mut bytes) = (target.accept(), Vec::new());
    loop {
        bytes.extend(served.receive(1));
        if let Some(read) = proxy_protocol::read(&bytes) {
            assert_eq!(served.receive_all().0, b"x");
            return read.unwrap().0;
        }
    }
}

/// Each TLV: its type and its value.
fn tlvs(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut found = Vec::new();
    while let [kind, high, low, rest @ ..] = bytes {
        let (value, after) = rest.split_at(usize::from(u16::from_be_bytes([*high, *low])));
        found.push((*kind, value.to_vec()));
        bytes = after;
    }
    found
}

#[test]
#[ignore = "needs openssl"]
fn a_target_is_told_of_the_tls_that_ended_before_it() {
    let (folder, target) = (tempfile::tempdir().unwrap(), Target::manual());
    let at = folder.path();
    self_signed(at, "web", " -addext subjectAltName=DNS:localhost");
    self_signed(at, "guest", " -addext subjectAltName=DNS:guest.example");
    let file = |name: &str| at.join(name).display().to_string();
    let route = |more: &str| {
        Proxy::builder().with(&format!(
            "routes.test = {{listen = '127.0.0.1:0', target = '{}', send_proxy = 'v2_crc32c', tls = {{certificate = \
             '{}', key = '{}', alpn = ['h2', 'http/1.1']{more}}}}}",
            target.address,
            file("web.pem"),
            file("web.key")
        ))
    };
    let told = |proxy: &Proxy, more: &[&str]| {
        let asked = [&["-servername", "localhost", "-alpn", "http/1.1"], more].concat();
        std::thread::scope(|scope| {
            let header = scope.spawn(|| header_at(&target));
            s_client(proxy, at, &asked);
            tlvs(header.join().unwrap().tlvs.bytes())
        })
    };

    let plain = told(&route(""), &["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"]);

    let [(0x01, alpn), (0x02, name), (0x20, ssl)] = &plain[..] else { panic!("{plain:?}") };
    assert_eq!((&alpn[..], &name[..]), (&b"http/1.1"[..], &b"localhost"[..]));
    assert_eq!(ssl[..5], [1, 0, 0, 0, 1]);
    let within = tlvs(&ssl[5..]);
    assert_eq!(within, [(0x21, b"TLSv1.2".to_vec()), (0x23, b"ECDHE-RSA-AES128-GCM-SHA256".to_vec())]);

    let known = told(&by_authority(&route, at), &["-tls1_3", "-cert", "known.pem", "-key", "known.key"]);

    let (_, ssl) = known.iter().find(|(kind, _)| *kind == 0x20).unwrap();
    assert_eq!(ssl[..5], [7, 0, 0, 0, 0]);
    assert!(tlvs(&ssl[5..]).contains(&(0x22, b"known".to_vec())), "{ssl:?}");

    // Its key is known, and its name is what it likes.
    let proxy = route(&format!(", client_pin = '{}'", pin(at, "guest")));
    let pinned = told(&proxy, &["-tls1_3", "-cert", "guest.pem", "-key", "guest.key"]);

    let (_, ssl) = pinned.iter().find(|(kind, _)| *kind == 0x20).unwrap();
    assert_eq!(ssl[..5], [7, 0, 0, 0, 0]);
    assert!(tlvs(&ssl[5..]).iter().all(|(kind, _)| *kind != 0x22), "{ssl:?}");
}

/// The route, for clients of an authority; and a certificate of it, `known`.
fn by_authority(route: &impl Fn(&str) -> Proxy, at: &Path) -> Proxy {
    let key = "-newkey rsa:2048 -nodes";
    openssl(at, &format!("req -x509 {key} -subj /CN=authority -days 30 -keyout ca.key -out ca.pem"));
    openssl(at, &format!("req {key} -subj /CN=known -keyout known.key -out known.csr"));
    std::fs::write(at.join("names"), "subjectAltName=DNS:known.example").unwrap();
    let signed = "-CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile names -out known.pem";
    openssl(at, &format!("x509 -req -in known.csr {signed}"));
    route(&format!(", client_ca = '{}'", at.join("ca.pem").display()))
}
