//! TLS with programs that have their own: openssl, curl, redis.

use std::io::Write;
use std::process::{Command, Stdio};

use loopgate::outcome::{End, Way};

use crate::harness::tls::Authority;
use crate::harness::{Proxy, Target};
use crate::real::tcp::{Service, printed};

fn proxy(authority: &Authority, target: &Target, more: &str) -> Proxy {
    let tls = authority.tls("web");
    Proxy::builder().with(&format!(
        "routes.test = {{listen = '127.0.0.1:0', target = '{}', tls = {{{tls}{more}}}}}",
        target.address
    ))
}

fn authority() -> Authority {
    let authority = Authority::new();
    authority.issue("web", &["localhost", "127.0.0.1"]);
    authority
}

/// The output of `openssl s_client` for a connection on which it sends `words`; it exits at the end of its input.
fn s_client(proxy: &Proxy, authority: &Authority, words: &str, arguments: &[&str]) -> String {
    let mut child = Command::new("openssl")
        .args([
            "s_client",
            "-connect",
            &proxy.address.to_string(),
            "-servername",
            "localhost",
            "-verify_return_error",
        ])
        .args(["-CAfile", authority.file("ca.pem").to_str().unwrap()])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // One that is refused may have ended by then.
    let _ = child.stdin.take().unwrap().write_all(words.as_bytes());
    let output = child.wait_with_output().unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[test]
#[ignore = "needs openssl"]
fn openssl_agrees_on_either_version_and_on_a_protocol() {
    let (authority, target) = (authority(), Target::answering_after_fin());
    let proxy = proxy(&authority, &target, ", alpn = ['h2', 'http/1.1']");

    for (version, word) in [("-tls1_3", "TLSv1.3"), ("-tls1_2", "TLSv1.2")] {
        let told = s_client(&proxy, &authority, "x", &[version, "-alpn", "http/1.1"]);

        assert!(told.contains(word) && told.contains("Verify return code: 0 (ok)"), "{told}");
        assert!(told.contains("ALPN protocol: http/1.1"), "{told}");
        let outcome = proxy.record().outcome;
        assert_eq!((outcome.end, outcome.way, outcome.traffic.up.delivered), (End::Done, Way::Tls, 1));
    }
}

#[test]
#[ignore = "needs openssl"]
fn openssl_resumes_its_sessions() {
    let (authority, target) = (authority(), Target::answering_after_fin());
    let proxy = proxy(&authority, &target, "");

    let told = s_client(&proxy, &authority, "", &["-tls1_2", "-reconnect"]);

    assert_eq!(told.matches("Reused, TLSv1.2").count(), 5, "{told}");
}

#[test]
#[ignore = "needs openssl"]
fn openssl_resumes_what_it_kept_in_a_file() {
    let (authority, target) = (authority(), Target::sending(1, 10));
    let proxy = proxy(&authority, &target, "");

    for version in ["-tls1_3", "-tls1_2"] {
        let kept = authority.file(version).display().to_string();
        // It ends when the target does; the session tickets of TLS 1.3 arrive before that.
        let first = s_client(&proxy, &authority, "", &[version, "-ign_eof", "-sess_out", &kept]);
        assert!(first.contains("New, TLSv1."), "{first}");
        let second = s_client(&proxy, &authority, "", &[version, "-ign_eof", "-sess_in", &kept]);
        assert!(second.contains("Reused, TLSv1."), "{second}");

        let resumed = [proxy.record(), proxy.record()].map(|record| record.client_tls.unwrap().resumed);
        assert_eq!(resumed, [false, true], "{version}");
    }
}

#[test]
#[ignore = "needs nginx"]
fn nginx_is_spoken_to_by_tls_and_its_sessions_are_resumed() {
    let authority = authority();
    let file = |name: &str| authority.file(name).display().to_string();
    let nginx = Service::start(|port, folder| {
        let at = folder.display();
        let config = format!(
            "daemon off; pid {at}/pid; error_log {at}/error; user root; events {{}}\n\
             http {{ access_log off; client_body_temp_path {at}; proxy_temp_path {at};\n\
             fastcgi_temp_path {at}; uwsgi_temp_path {at}; scgi_temp_path {at};\n\
             server {{ listen 127.0.0.1:{port} ssl; ssl_protocols TLSv1.2 TLSv1.3;\n\
             ssl_certificate {}; ssl_certificate_key {}; ssl_session_cache shared:s:1m;\n\
             location / {{ return 200 '$ssl_protocol $ssl_cipher $ssl_session_reused'; }} }} }}\n",
            file("web.pem"),
            file("web.key")
        );
        std::fs::write(folder.join("nginx.conf"), config).unwrap();
        let mut nginx = Command::new("nginx");
        nginx.args(["-c", &format!("{at}/nginx.conf"), "-e", &format!("{at}/error")]);
        nginx
    });
    let proxy = Proxy::builder().with(&format!(
        "routes.nginx = {{listen = '127.0.0.1:0', target = '{}', target_tls = {{ca = '{}'}}}}",
        nginx.address,
        file("ca.pem")
    ));

    for resumed in [false, true] {
        let mut client = proxy.connect();
        client.send(b"GET / HTTP/1.0\r\n\r\n");
        let (received, _) = client.receive_all();
        client.finish();
        let received = String::from_utf8_lossy(&received).into_owned();
        let agreed = proxy.record().target_tls.unwrap();
        let theirs = format!("{} {} {}", agreed.version, agreed.cipher, if resumed { "r" } else { "." });
        assert!(received.ends_with(&theirs) && agreed.resumed == resumed, "{received}: {agreed:?}");
    }
}

#[test]
#[ignore = "needs openssl"]
fn openssl_is_told_what_is_not_done_and_the_log_as_well() {
    let (authority, target) = (authority(), Target::echo());
    let proxy = proxy(&authority, &target, "");

    let old = ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"];
    assert!(s_client(&proxy, &authority, "", &old).contains("alert"));
    let record = proxy.record();
    assert_eq!(record.outcome.end, End::TlsFailed);
    assert!(record.hint().unwrap().contains("only older ones"), "{record}");

    // Its command for a new handshake; it is read once the first is done.
    s_client(&proxy, &authority, "R\n", &["-tls1_2"]);
    let record = proxy.record();
    assert_eq!(record.outcome.end, End::ClientReset);
    assert!(record.hint().unwrap().contains("renegotiation"), "{record}");
}

#[test]
#[ignore = "needs openssl"]
fn openssl_is_let_in_by_its_certificate_alone() {
    let (authority, target) = (authority(), Target::answering_after_fin());
    authority.issue("guest", &["guest.example.com"]);
    let ca = authority.file("ca.pem").display().to_string();
    let proxy = proxy(&authority, &target, &format!(", client_ca = '{ca}', client_names = '*.example.com'"));
    let (certificate, key) = (authority.file("guest.pem"), authority.file("guest.key"));

    let own = ["-cert", certificate.to_str().unwrap(), "-key", key.to_str().unwrap(), "-tls1_2"];
    let told = s_client(&proxy, &authority, "x", &own);
    assert!(told.contains("Verify return code: 0 (ok)"), "{told}");
    assert_eq!(proxy.record().outcome.end, End::Done);

    let told = s_client(&proxy, &authority, "x", &["-tls1_2"]);
    assert!(told.contains("alert"), "{told}");
    assert_eq!(proxy.record().outcome.end, End::TlsFailed);
}

#[test]
#[ignore = "needs curl"]
fn curl_fetches_a_page_over_https() {
    const LENGTH: usize = 3_000_000;
    let target = Target::serving_anywhere(|mut connection| {
        let mut request = [0; 1024];
        while !request.windows(4).any(|end| end == b"\r\n\r\n") {
            let filled = request.iter().position(|byte| *byte == 0).unwrap();
            if connection.try_receive(&mut request[filled..]).unwrap() == 0 {
                return;
            }
        }
        connection.send(
            format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\nConnection: close\r\n\r\n").as_bytes(),
        );
        connection.send(&vec![b'x'; LENGTH]);
    });
    let authority = authority();
    let proxy = proxy(&authority, &target, "");
    let url = format!("https://localhost:{}/", proxy.address.port());
    let ca = authority.file("ca.pem").display().to_string();

    let page = printed("curl", &["--silent", "--show-error", "--ipv4", "--cacert", &ca, &url]);

    assert_eq!(page.len(), LENGTH);
    assert_eq!(proxy.record().outcome.way, Way::Tls);
}

#[test]
#[ignore = "needs redis"]
fn redis_is_reached_over_tls_by_clients_that_have_none() {
    let authority = authority();
    authority.issue("us", &["us.example"]);
    let file = |name: &str| authority.file(name).display().to_string();
    let redis = Service::start(|port, folder| {
        let mut redis = Command::new("redis-server");
        redis.args(["--bind", "127.0.0.1", "--save", "", "--port", "0", "--tls-port", &port.to_string()]);
        redis.args(["--tls-cert-file", &file("web.pem"), "--tls-key-file", &file("web.key")]);
        redis.args(["--tls-ca-cert-file", &file("ca.pem"), "--tls-auth-clients", "yes"]).current_dir(folder);
        redis
    });
    let proxy = Proxy::builder().workers(2).with(&format!(
        "routes.redis = {{listen = '127.0.0.1:0', target = '{}', target_tls = {{ca = '{}', {}}}}}",
        redis.address,
        file("ca.pem"),
        authority.tls("us")
    ));
    let port = proxy.address.port().to_string();

    assert_eq!(printed("redis-cli", &["-p", &port, "ping"]).trim(), "PONG");
    let long = "x".repeat(100_000);
    printed("redis-cli", &["-p", &port, "set", "long", &long]);
    assert_eq!(printed("redis-cli", &["-p", &port, "get", "long"]).trim(), long);
    let bench = ["-p", &port, "-n", "5000", "-c", "20", "-P", "16", "-t", "ping,set,get,lrange_100", "--csv"];
    assert!(printed("redis-benchmark", &bench).lines().count() >= 5);
    proxy.wait_until_empty();
    assert!(proxy.records().iter().all(|record| record.outcome.way == Way::Tls));
}
