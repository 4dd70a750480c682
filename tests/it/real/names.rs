//! Routing by name with openssl, curl and nginx at both ends: each client sees the certificate of the name it
//! requested.

use std::fs;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use loopgate::outcome::{End, Way};

use crate::harness::tls::Authority;
use crate::harness::{Proxy, Target, pattern};
use crate::real::tcp::{Service, printed};

/// Signs for `a.example` and `x.b.example`, each by its own.
fn authority() -> Authority {
    let authority = Authority::new();
    authority.issue("a", &["a.example"]);
    authority.issue("b", &["*.b.example"]);
    authority
}

/// nginx with the certificate `who`, which answers with that name and the client address it received, and serves a
/// large file.
fn nginx(authority: &Authority, who: &str, listen: &str) -> Service {
    Service::start(|port, folder| {
        let large: Vec<u8> = (0..LARGE)
            .step_by(pattern::MOST)
            .flat_map(|at| pattern::at(1, at, pattern::MOST).to_vec())
            .collect();
        fs::write(folder.join("large"), &large[..LARGE]).unwrap();
        let at = folder.display();
        let (certificate, key) =
            (authority.file(&format!("{who}.pem")), authority.file(&format!("{who}.key")));
        let config = format!(
            "daemon off; master_process off; pid {at}/pid; error_log {at}/error; user root; events {{}}\n\
             http {{ access_log off; client_body_temp_path {at}; proxy_temp_path {at};\n\
             fastcgi_temp_path {at}; uwsgi_temp_path {at}; scgi_temp_path {at};\n\
             server {{ listen 127.0.0.1:{port} ssl http2 {listen}; listen unix:{at}/{who}.sock ssl http2 {listen};\n\
             ssl_certificate {}; ssl_certificate_key {}; ssl_protocols TLSv1.2 TLSv1.3; root {at};\n\
             location = / {{ return 200 '{who} $ssl_protocol $server_protocol $proxy_protocol_addr:$proxy_protocol_port'; }} }} }}\n",
            certificate.display(),
            key.display()
        );
        fs::write(folder.join("nginx.conf"), config).unwrap();
        let mut nginx = Command::new("nginx");
        nginx.args(["-c", &format!("{at}/nginx.conf"), "-e", &format!("{at}/error")]);
        nginx
    })
}

const LARGE: usize = 20 << 20;

/// What curl is answered by `name`, whose certificate it verifies, with its own end behind it.
fn curl(authority: &Authority, proxy: SocketAddr, name: &str, how: &[&str]) -> String {
    let ca = authority.file("ca.pem").display().to_string();
    let there = format!("::{proxy}");
    let url = format!("https://{name}/");
    let common =
        ["-sS", "--fail", "--cacert", &ca, "--connect-to", &there, "-w", " %{local_ip}:%{local_port}"];
    printed("curl", &[&common[..], how, &[&url]].concat())
}

#[test]
#[ignore = "needs nginx"]
fn curl_sees_the_certificate_of_the_nginx_it_asked_for() {
    let authority = authority();
    let (a, b) = (nginx(&authority, "a", ""), nginx(&authority, "b", ""));
    let proxy = Proxy::builder().workers(2).with(&format!(
        "routes.test = {{listen = '127.0.0.1:0', names = {{'a.example' = '{}', '*.b.example' = '{}'}}}}",
        a.address, b.address
    ));

    for (name, who) in [("a.example", "a"), ("x.b.example", "b")] {
        for (how, told) in [
            (&["--tlsv1.3"][..], "TLSv1.3 HTTP/2.0"),
            (&["--tls-max", "1.2", "--http1.1"], "TLSv1.2 HTTP/1.1"),
        ] {
            let answer = curl(&authority, proxy.address, name, how);

            assert!(answer.starts_with(&format!("{who} {told} ")), "{answer}");
            let record = proxy.record();
            assert_eq!((record.outcome.end, record.name.as_deref()), (End::Done, Some(name)), "{record}");
            assert_eq!((record.outcome.traffic.up.lost(), record.outcome.traffic.down.lost()), (0, 0));
        }
    }
}

#[test]
#[ignore = "needs nginx"]
fn curl_fetches_a_large_file_by_name_and_the_kernel_moves_it() {
    let authority = authority();
    let nginx = nginx(&authority, "a", "");
    let ca = authority.file("ca.pem").display().to_string();
    let folder = tempfile::tempdir().unwrap();
    let got = folder.path().join("got");
    for (target, limit) in [
        (nginx.address.to_string(), ""),
        (format!("unix:{}/a.sock", nginx.folder().display()), ""),
        (nginx.address.to_string(), ", bandwidth_per_connection = '1gbit'"),
    ] {
        let proxy = Proxy::builder().workers(2).with(&format!(
            "routes.test = {{listen = '127.0.0.1:0', names = {{'a.example' = '{target}'}}{limit}}}"
        ));
        let there = format!("::{}", proxy.address);
        let into = ["-sS", "--fail", "--cacert", &ca, "--connect-to", &there, "-o", got.to_str().unwrap()];

        printed("curl", &[&into[..], &["https://a.example/large"]].concat());

        assert!(fs::read(&got).unwrap() == fs::read(nginx.folder().join("large")).unwrap());
        let outcome = proxy.record().outcome;
        assert_eq!((outcome.end, outcome.way), (End::Done, Way::Splice), "{target}{limit}");
        assert!(outcome.traffic.down.delivered > LARGE as u64);
    }
}

#[test]
#[ignore = "needs nginx"]
fn nginx_behind_a_name_is_told_of_the_client_before_its_hello() {
    let authority = authority();
    let (a, b) = (nginx(&authority, "a", "proxy_protocol"), nginx(&authority, "b", "proxy_protocol"));
    for form in ["v1", "v2", "v2_crc32c"] {
        let proxy = Proxy::builder().with(&format!(
            "routes.test = {{listen = '127.0.0.1:0', send_proxy = '{form}', target = '{}',\n\
             names = {{'a.example' = '{}'}}}}",
            b.address, a.address
        ));

        for (name, who) in [("a.example", "a"), ("x.b.example", "b")] {
            let answer = curl(&authority, proxy.address, name, &[]);

            let mut words = answer.split(' ');
            let (told, own) = (words.nth_back(1), answer.split(' ').next_back());
            assert!(answer.starts_with(who) && told == own, "{form}: {answer}");
        }
    }
}

#[test]
#[ignore = "needs nginx"]
fn curl_is_led_by_name_from_a_unix_socket_to_another() {
    let authority = authority();
    let (a, b) = (nginx(&authority, "a", ""), nginx(&authority, "b", ""));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("proxy.sock").display().to_string();
    let _proxy = Proxy::builder().with(&format!(
        "routes.test = {{listen = 'unix:{path}', names = {{'a.example' = 'unix:{}/a.sock', '*.b.example' = 'unix:{}/b.sock'}}}}",
        a.folder().display(),
        b.folder().display()
    ));
    let ca = authority.file("ca.pem").display().to_string();

    for (url, who) in [("https://a.example/", "a "), ("https://x.b.example/", "b ")] {
        let answer = printed("curl", &["-sS", "--fail", "--cacert", &ca, "--unix-socket", &path, url]);

        assert!(answer.starts_with(who), "{answer}");
    }
}

#[test]
#[ignore = "needs nginx"]
fn curl_is_answered_over_our_own_tls_by_the_target_of_its_name() {
    let authority = authority();
    let page = |words: &'static [u8]| Target::greeting(words);
    let a = page(b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na");
    let b = page(b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nb");
    let file = |name: &str| authority.file(name).display().to_string();
    let proxy = Proxy::builder().with(&format!(
        "[routes.test]\nlisten = '127.0.0.1:0'\nnot_tls = '{}'\n\
         names = {{'a.example' = '{}', '*.b.example' = '{}'}}\n\
         tls = {{certificate = ['{}', '{}'], key = ['{}', '{}']}}\n",
        b.address,
        a.address,
        b.address,
        file("a.pem"),
        file("b.pem"),
        file("a.key"),
        file("b.key")
    ));

    for (name, who) in [("a.example", "a "), ("x.b.example", "b ")] {
        assert!(curl(&authority, proxy.address, name, &["--http1.1"]).starts_with(who));
        let record = proxy.record();
        assert_eq!((record.name.as_deref(), record.outcome.way), (Some(name), Way::Tls));
    }
    assert_eq!(printed("curl", &["-sS", &format!("http://{}/", proxy.address)]), "b");
    assert_ne!(proxy.record().outcome.way, Way::Tls);
}

/// `openssl s_server` with the certificate `who`, which answers a line with the same line reversed.
fn s_server(authority: &Authority, who: &str, how: &[&str]) -> Service {
    Service::start(|port, _| {
        let mut server = Command::new("openssl");
        server.args(["s_server", "-quiet", "-rev", "-accept", &format!("127.0.0.1:{port}")]);
        server.arg("-cert").arg(authority.file(&format!("{who}.pem")));
        server.arg("-key").arg(authority.file(&format!("{who}.key"))).args(how);
        server
    })
}

/// The output of `openssl s_client` for a connection on which it sends `stressed` and waits for the answer.
fn s_client(authority: &Authority, proxy: &Proxy, how: &[&str]) -> String {
    use std::io::{BufRead, BufReader, Write};
    let mut child = Command::new("openssl")
        .args(["s_client", "-connect", &proxy.address.to_string(), "-verify_return_error"])
        .arg("-CAfile")
        .arg(authority.file("ca.pem"))
        .args(how)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut words = child.stdin.take().unwrap();
    // One that is refused may have ended by then.
    let _ = words.write_all(b"stressed\n");
    let mut told = String::new();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    while !told.ends_with("desserts\n") && lines.read_line(&mut told).unwrap() > 0 {}
    drop(words);
    child.wait().unwrap();
    told
}

#[test]
#[ignore = "needs openssl"]
fn openssl_is_led_by_the_name_and_the_protocol_it_asks_for() {
    let authority = authority();
    authority.issue("acme", &["a.example"]);
    let a = s_server(&authority, "a", &["-alpn", "http/1.1"]);
    let b = s_server(&authority, "b", &[]);
    let acme = s_server(&authority, "acme", &["-alpn", "acme-tls/1"]);
    let proxy = Proxy::builder().with(&format!(
        "routes.test = {{listen = '127.0.0.1:0', target = '{}', names = {{'a.example' = '{}'}}, alpn = {{'acme-tls/1' = '{}'}}}}",
        b.address, a.address, acme.address
    ));

    for version in ["-tls1_3", "-tls1_2"] {
        for (how, target, told) in [
            (&["-servername", "a.example", "-alpn", "http/1.1"][..], a.address, "ALPN protocol: http/1.1"),
            (
                &["-servername", "a.example", "-alpn", "http/1.1,acme-tls/1"],
                acme.address,
                "ALPN protocol: acme-tls/1",
            ),
            (
                &["-servername", "x.b.example", "-verify_hostname", "x.b.example"],
                b.address,
                "Verified peername: *.b.example",
            ),
            (&["-noservername"], b.address, "No ALPN negotiated"),
        ] {
            let said = s_client(&authority, &proxy, &[&[version][..], how].concat());

            assert!(said.contains(told) && said.ends_with("desserts\n"), "{version} {how:?}: {said}");
            let outcome = proxy.record().outcome;
            assert_eq!((outcome.end, outcome.target), (End::Done, Some(target.into())), "{how:?}");
        }
    }
}

#[test]
#[ignore = "needs openssl"]
fn openssl_is_asked_for_another_hello_by_its_target() {
    let authority = authority();
    let a = s_server(&authority, "a", &["-groups", "P-384"]);
    let proxy = Proxy::builder().with(&format!(
        "routes.test = {{listen = '127.0.0.1:0', names = {{'a.example' = '{}'}}}}",
        a.address
    ));

    // It guesses the first of its groups; a HelloRetryRequest (RFC 8446, section 4.1.4) asks for the other.
    let said = s_client(&authority, &proxy, &["-servername", "a.example", "-groups", "X25519:P-384"]);

    assert!(said.contains("secp384r1") && said.ends_with("desserts\n"), "{said}");
    assert_eq!(proxy.record().outcome.end, End::Done);
}

#[test]
#[ignore = "needs openssl"]
fn curl_is_told_that_nobody_has_the_name() {
    let authority = authority();
    let a = s_server(&authority, "a", &[]);
    let proxy = Proxy::builder().with(&format!(
        "routes.test = {{listen = '127.0.0.1:0', names = {{'a.example' = '{}'}}}}",
        a.address
    ));
    let url = "https://c.example/";

    let said =
        Command::new("curl").args(["-sS", "--connect-to", &format!("::{}", proxy.address), url]).output();

    let said = String::from_utf8(said.unwrap().stderr).unwrap();
    assert!(said.contains("unrecognized name"), "{said}");
    assert_eq!(proxy.record().outcome.end, End::NoName);
}

#[test]
#[ignore = "needs curl"]
fn curl_waits_for_a_mail_server_to_speak_first() {
    let mail = Target::serving_anywhere(|mut connection| {
        connection.send(b"220 mail.example\r\n");
        for answer in ["250 mail.example", "250 nothing done", "221 bye"] {
            while connection.receive(1) != b"\n" {}
            connection.send(format!("{answer}\r\n").as_bytes());
        }
    });
    let web = Target::manual();
    let proxy = Proxy::builder().with(&format!(
        "routes.test = {{listen = '127.0.0.1:0', target = '{}', not_tls = '{}', hello_timeout = '50ms'}}",
        web.address, mail.address
    ));

    let told = printed("curl", &["-sS", "--request", "NOOP", &format!("smtp://{}/us", proxy.address)]);

    assert_eq!(told.trim(), "250 nothing done");
    let outcome = proxy.record().outcome;
    assert!(outcome.traffic.down.delivered > 40, "{outcome:?}");
    assert_eq!((outcome.end, outcome.target), (End::Done, Some(mail.address.into())));
}
