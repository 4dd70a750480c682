//! What `loopgate explain tunnel:NAME` and `loopgate doctor` say of a tunnel that works, and of each way in which one does not.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;

use loopgate::transport::tunnel::identity::PrivateKey;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, Issuer, KeyPair};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::AlwaysResolvesServerRawPublicKeys;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::CertifiedKey;
use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, ServerConfig, ServerConnection, SignatureScheme,
};
use serde_json::Value;

use crate::harness::{ClosedPort, Connection, Target, wait_until};
use crate::pair::{LOOPGATE, Pair, Said, let_in, says};

const EXPLAIN: &[&str] = &["explain", "tunnel:vps"];

fn route(port: &ClosedPort, service: &Target) -> String {
    format!("[routes.web]\nlisten = \"tunnel:vps/{}\"\ntarget = \"{}\"\n", port.address, service.address)
}

fn permits(port: &ClosedPort) -> String {
    format!("may_listen = [\"{}\"]", port.address)
}

/// The file of a machine that connects to this address.
fn dialling(to: SocketAddr) -> String {
    dialling_host(&to.to_string())
}

fn dialling_host(to: &str) -> String {
    format!(
        "[tunnel]\nprivate_key = \"tunnel.key\"\n[tunnels.vps]\nconnect = \"{to}\"\npublic_key = \"KEY\"\n\
         [routes.web]\nlisten = \"tunnel:vps\"\ntarget = \"127.0.0.1:9\"\n"
    )
}

/// What was said has all of these words, and the exit code is this.
fn expect(said: &Said, code: i32, words: &[&str]) {
    for words in words {
        assert!(said.0.contains(words), "{words:?} is not in\n{}", said.0);
    }
    assert_eq!(said.1, code, "{}", said.0);
}

#[test]
fn a_tunnel_that_works_is_walked_to_its_end_and_nothing_of_it_is_disturbed() {
    let (service, port) = (Target::echo(), ClosedPort::port());
    let mut pair = Pair::start(&permits(&port), "", &route(&port, &service));
    let visitors = pair.there("web");

    let said = pair.home.says(EXPLAIN);

    let relay = format!("[ok]   tcp        {} answers in", pair.relay.address);
    let (theirs, listen) =
        (format!("[ok]   their_key  {}", pair.keys.vps), format!("web: {} may be", port.address));
    let target = format!("[ok]   target     web: {} answers", service.address);
    let words = [
        &*pair.keys.home,
        &relay,
        "[ok]   loopgate ",
        &theirs,
        "[ok]   let_in     as home, from 127.0.0.1:",
        "[ok]   control    connected since 20",
        &listen,
        &target,
        "verdict: healthy\n",
    ];
    expect(&said, 0, &words);
    let json = pair.home.says(&["explain", "tunnel:vps", "--json"]);
    let json: Value = serde_json::from_str(&json.0).unwrap();
    assert_eq!((&json["verdict"], &json["address"]["tunnel"]), (&"healthy".into(), &"vps".into()), "{json}");
    Connection::to(visitors).expect_whole_echo(1, 1000);
    assert_eq!((pair.home.times("vps", "up"), pair.vps.times("home", "up")), (1, 1));
    assert_eq!((pair.home.times("vps", "down"), pair.vps.times("home", "down")), (0, 0));
}

#[test]
fn one_route_of_a_tunnel_is_explained_alone() {
    let (service, port, closed) = (Target::echo(), ClosedPort::port(), ClosedPort::port());
    let dead = format!("[routes.dead]\nlisten = \"tunnel:vps\"\ntarget = \"{}\"\n", closed.address);
    let pair = Pair::start(&permits(&port), "", &(route(&port, &service) + &dead));

    expect(&pair.home.says(&["explain", "tunnel:vps/web"]), 0, &["web: ", "verdict: healthy"]);
    let dead = pair.home.says(&["explain", "tunnel:vps/dead"]);
    expect(&dead, 1, &["dead: offered by its name", "verdict: target-not-running: route dead, 127.0.0.1:"]);
    let none = pair.home.says(&["explain", "tunnel:nope"]);
    expect(&none, 2, &["has no tunnel \"nope\"", "it has vps"]);
    let whole = pair.home.says(&["explain", "tunnel:vps", "--udp"]);
    expect(&whole, 2, &["a tunnel is explained as a whole"]);
}

#[test]
fn what_is_dialled_at_the_other_end_is_asked_about_there() {
    let service = Target::echo();
    let db = format!("[routes.db]\nlisten = \"tunnel:home\"\ntarget = \"{}\"\n", service.address);
    let here = "[routes.db]\nlisten = \"127.0.0.1:0\"\ntarget = \"tunnel:vps/db\"\n";
    let pair = Pair::start("may_dial = [\"192.0.2.7:5432\"]", &db, here);
    let asked = |address: &str| pair.home.says(&["explain", address]);

    expect(
        &asked("tunnel:vps"),
        0,
        &["[ok]   dial       tunnel:vps/db may be dialled there", "verdict: healthy"],
    );
    expect(&asked("tunnel:vps/db"), 0, &["tunnel:vps/db may be dialled there"]);
    expect(&asked("tunnel:vps/192.0.2.7:5432"), 0, &["192.0.2.7:5432 may be dialled there"]);
    let words = [
        "verdict: tunnel-not-permitted: the other end offers no route shop to this machine\n",
        "  there   [routes.shop]\n          listen = \"tunnel:home\"\n",
    ];
    expect(&asked("tunnel:vps/shop"), 1, &words);
    let words = ["does not permit to dial 192.0.2.7:22\n", "may_dial = [\"192.0.2.7:22\"]"];
    expect(&asked("tunnel:vps/192.0.2.7:22"), 1, &words);
}

#[test]
fn a_key_that_is_unknown_there_gets_lines_that_let_it_in_once_they_are_pasted() {
    let (service, port) = (Target::echo(), ClosedPort::port());
    let mut pair = Pair::start("", "", &route(&port, &service));
    let (stranger, key) = pair.another("stranger", &route(&port, &service));

    let said = stranger.says(EXPLAIN);

    let words = [
        "[fail] let_in     this machine's key is unknown there",
        "verdict: tunnel-key-unknown-there: ",
        &key,
    ];
    expect(&said, 1, &words);
    let lines = said.0.lines().skip_while(|line| !line.starts_with("  there   "));
    let lines = lines.take_while(|line| !line.starts_with("  fix")).map(|line| line[10..].to_owned());
    let lines: Vec<String> = lines.collect();
    assert!(lines[0].starts_with("[tunnels.") && lines[2].starts_with("may_listen = "), "{lines:?}");
    pair.permit("", &format!("{}\n", lines.join("\n")));
    wait_until("it is let in", || (stranger.says(EXPLAIN).1 == 0).then_some(()));
}

#[test]
fn another_key_than_the_one_that_is_written_is_shown_beside_it() {
    let pair = Pair::start("", "", "");
    let other = PrivateKey::generate().unwrap().public().to_string();
    let aside = pair.aside("aside", &dialling(pair.listener()).replace("KEY", &other));

    let said = aside.says(EXPLAIN);

    let (has, wants) = (format!("  has     {}", pair.keys.vps), format!("  wants   {other}"));
    expect(
        &said,
        1,
        &["[fail] their_key ", "verdict: tunnel-wrong-key: ", &has, &wants, "loopgate tunnel key --public"],
    );
}

#[test]
fn a_key_with_which_another_machine_is_connected_is_said_to_be_in_use() {
    let mut pair = Pair::start("", "", "");
    let way = pair.another_way();
    let aside = pair.aside("aside", &dialling(way.address));

    let said = aside.says(EXPLAIN);

    let from = pair.vps.state("home", "up")["from"].as_str().unwrap().to_owned();
    let words =
        ["[fail] control    another machine, from ", "verdict: tunnel-in-use: ", &from, "make a key on each"];
    expect(&said, 1, &words);
    assert_eq!(pair.home.times("vps", "down"), 0);
}

#[test]
fn an_address_that_is_not_permitted_there_gets_the_line_that_permits_it() {
    let (service, port, other) = (Target::echo(), ClosedPort::port(), ClosedPort::port());
    let mut pair = Pair::start(&permits(&other), "", &route(&port, &service));
    pair.home.line("it is refused", |line| says(line, "code=not_permitted"));

    let said = pair.home.says(EXPLAIN);

    let line = format!("  there   [tunnels.home]\n          may_listen = [\"{}\"]\n", port.address);
    let words =
        ["[fail] listen     web: ", "is not permitted there", "verdict: tunnel-not-permitted: ", &line];
    expect(&said, 1, &words);
}

#[test]
fn an_address_that_something_there_has_is_to_be_asked_about_there() {
    let service = Target::echo();
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = held.local_addr().unwrap();
    let routes = format!("[routes.web]\nlisten = \"tunnel:vps/{at}\"\ntarget = \"{}\"\n", service.address);
    let mut pair = Pair::start(&format!("may_listen = [\"{at}\"]"), "", &routes);
    pair.home.line("it is refused", |line| says(line, "code=taken"));

    let said = pair.home.says(EXPLAIN);

    let ask = format!("ask there: loopgate explain {} --listen", at.port());
    expect(&said, 1, &["is held by something there", "verdict: tunnel-port-held: ", &ask]);
    // Who has it, the other machine alone is told.
    assert!(!said.0.contains("pid"), "{}", said.0);
}

#[test]
fn what_is_no_loopgate_is_said_to_be_what_it_is() {
    let pair = Pair::start("", "", "");
    let ssh = Target::greeting(b"SSH-2.0-OpenSSH_9.2p1\r\n");
    let web = serving(|mut client| {
        let _ = client.read(&mut [0; 1024]);
        let _ = client.write_all(b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\nConnection: close\r\n\r\n");
    });

    let aside = pair.aside("ssh", &dialling(ssh.address));
    expect(
        &aside.says(EXPLAIN),
        1,
        &[
            "verdict: tunnel-not-loopgate: ",
            "speaks SSH: it is no Loopgate",
            "SSH-2.0-OpenSSH_9.2p1",
            "`connect`",
        ],
    );
    let aside = pair.aside("web", &dialling(web));
    let words = [
        "verdict: tunnel-not-loopgate: ",
        "speaks HTTP: it is no Loopgate",
        "HTTP/1.1 400 Bad Request, nginx",
    ];
    expect(&aside.says(EXPLAIN), 1, &words);
}

#[test]
fn nothing_and_silence_are_explained_as_for_every_target() {
    let pair = Pair::start("", "", "");
    let closed = ClosedPort::port();
    let silent = Target::manual();

    let aside = pair.aside("closed", &dialling(closed.address));
    expect(&aside.says(EXPLAIN), 1, &["[fail] tcp ", "verdict: target-not-running: 127.0.0.1:"]);
    let aside = pair.aside("silent", &dialling(silent.address));
    let said = aside.says(EXPLAIN);
    expect(&said, 1, &["[ok]   tcp ", "[fail] tls        no answer", "verdict: target-"]);
    let both = dialling(closed.address)
        .replace("connect = ", "connect = [")
        .replace("\npublic_key", &format!(", \"{}\"]\npublic_key", pair.listener()));
    let aside = pair.aside("both", &both.replace("127.0.0.1:9\"", &format!("{}\"", Target::echo().address)));
    let said = aside.says(EXPLAIN);
    assert!(said.0.contains("[warn] tcp ") && said.0.contains("[ok]   let_in "), "{}", said.0);
}

/// An authority, and the certificate and key of a server that it has signed for localhost, as PEM.
fn signed() -> (CertifiedIssuer<'static, KeyPair>, String, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "Inspecting Authority");
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let issuer: &Issuer<'_, KeyPair> = &authority;
    let certificate = params.signed_by(&key, issuer).unwrap();
    (authority, certificate.pem(), key.serialize_pem())
}

#[test]
fn a_certificate_in_place_of_a_key_is_a_web_server_or_somebody_who_reads_tls_on_the_way() {
    let pair = Pair::start("", "", "");
    let (authority, certificate, key) = signed();
    let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
    let own = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let mut config = builder().with_single_cert(chain, own).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let port = tls_server(config).port();
    let aside = pair.aside("aside", &dialling_host(&format!("localhost:{port}")));

    let unknown = aside.says(EXPLAIN);

    let words = [
        "[ok]   tls        it answers",
        "[fail] loopgate   it proves no key",
        "verdict: tunnel-intercepted: TLS to localhost:",
        "  proof   certificate for localhost\n          by Inspecting Authority, an authority that this machine does not know",
    ];
    expect(&unknown, 1, &words);
    // The same, where this machine trusts that authority as it does those of the web.
    fs::write(aside.path("ca.pem"), authority.pem()).unwrap();
    let mut command = Command::new(LOOPGATE);
    command.args(EXPLAIN).arg("-c").arg(aside.path("loopgate.toml")).arg("--json");
    let output =
        command.env("SSL_CERT_FILE", aside.path("ca.pem")).env_remove("SSL_CERT_DIR").output().unwrap();
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&json["verdict"], &json["certainty"]),
        (&"tunnel-not-loopgate".into(), &"proven".into()),
        "{json}"
    );
}

#[test]
fn the_tls_server_of_openssl_is_no_loopgate() {
    let pair = Pair::start("", "", "");
    let (_, certificate, key) = signed();
    let aside = pair.aside("aside", "");
    fs::write(aside.path("cert.pem"), certificate).unwrap();
    fs::write(aside.path("key.pem"), key).unwrap();
    let mut command = Command::new("openssl");
    command.args(["s_server", "-accept", "127.0.0.1:0", "-cert"]).arg(aside.path("cert.pem"));
    command
        .arg("-key")
        .arg(aside.path("key.pem"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    // Where there is no openssl, there is nothing to be tried.
    let Ok(mut server) = command.spawn() else { return };
    let lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let port =
        lines.map_while(Result::ok).find_map(|it| it.strip_prefix("ACCEPT 127.0.0.1:")?.parse::<u16>().ok());
    let text = dialling_host(&format!("localhost:{}", port.unwrap())).replace("KEY", &pair.keys.vps);
    fs::write(aside.path("loopgate.toml"), text).unwrap();

    let said = aside.says(EXPLAIN);

    server.kill().unwrap();
    server.wait().unwrap();
    expect(&said, 1, &["verdict: tunnel-intercepted: ", "certificate for localhost"]);
}

#[test]
fn another_version_of_the_protocol_is_known_by_the_key_behind_it() {
    let pair = Pair::start("", "", "");
    let aside = pair.aside("aside", "");
    let file = aside.path("other.key");
    let key = PrivateKey::generate().unwrap();
    key.write_new(&file).unwrap();
    let der = PrivateKeyDer::from_pem_file(&file).unwrap();
    let signer = rustls::crypto::aws_lc_rs::sign::any_supported_type(&der).unwrap();
    let spki = CertificateDer::from(signer.public_key().unwrap().to_vec());
    let shown = Arc::new(CertifiedKey::new(vec![spki], signer));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_client_cert_verifier(Arc::new(AnyKey));
    let mut config = builder.with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(shown)));
    config.alpn_protocols = vec![b"loopgate/9".to_vec()];
    let text = dialling(tls_server(config)).replace("KEY", &key.public().to_string());
    fs::write(aside.path("loopgate.toml"), text).unwrap();

    let said = aside.says(EXPLAIN);

    let words =
        ["[fail] loopgate   it speaks another version", "verdict: tunnel-version: ", "it has the key"];
    expect(&said, 1, &words);
}

#[test]
fn an_end_that_is_connected_to_says_what_can_be_seen_on_its_side() {
    let mut pair = Pair::start("may_listen = [\"0.0.0.0:8080\"]", "", "");
    let at_vps = &["explain", "tunnel:home"];

    let open = pair.vps.says(at_vps);

    let listener = format!("[ok]   listener   a Loopgate with this key on {}", pair.listener());
    let words = [
        &*listener,
        &pair.keys.home,
        "verdict: tunnel-exposed: may_listen opens 0.0.0.0:8080",
        "write allow",
    ];
    expect(&open, 0, &words);
    expect(&pair.vps.says(&["explain", "tunnel:home", "--strict"]), 1, &[]);
    pair.vps.save(&let_in("home", &pair.keys.home, ""));
    expect(&pair.vps.says(at_vps), 0, &["verdict: healthy"]);
    // It knows the key from before, so nobody is told of a stranger.
    assert!(!pair.vps.lines().iter().any(|line| says(line, "came with a key")), "it asked with a key");
    pair.vps.kill();
    let words =
        ["[fail] listener   nothing on ", "verdict: target-not-running: nothing listens on ", "loopgate run"];
    expect(&pair.vps.says(at_vps), 1, &words);
    let other = TcpListener::bind(pair.listener()).unwrap();
    expect(&pair.vps.says(at_vps), 1, &["verdict: port-held: the tunnel listener "]);
    drop(other);
}

#[test]
fn doctor_walks_every_tunnel_and_counts_what_is_there_as_no_target_here() {
    let (service, port) = (Target::echo(), ClosedPort::port());
    let there = "[routes.db]\nlisten = \"127.0.0.1:0\"\ntarget = \"tunnel:vps/db\"\n";
    let db = format!("[routes.db]\nlisten = \"tunnel:home\"\ntarget = \"{}\"\n", service.address);
    let mut pair = Pair::start(&permits(&port), &db, &(route(&port, &service) + there));

    let home = pair.home.says(&["doctor"]);

    let words = ["[ok]   config     2 routes, 1 listener, 1 tunnel", "[ok]   targets    1 of 1 answer\n"];
    expect(&home, 0, &words);
    expect(&home, 0, &["[ok]   tunnels    1 of 1 have no fault\n"]);
    let vps = pair.vps.says(&["doctor"]);
    expect(
        &vps,
        0,
        &[
            "1 route, 1 listener, 1 tunnel",
            "1 of 1 are held by a running loopgate",
            "[ok]   tunnels    1 of 1 have no fault",
        ],
    );
    pair.permit("", &db);
    pair.home.line("it is refused", |line| says(line, "code=not_permitted"));
    let refused = pair.home.says(&["doctor"]);
    expect(
        &refused,
        1,
        &["[fail] tunnels    1 of 1 do not work", "error: tunnel:vps: the other end does not permit "],
    );
    let json: Value = serde_json::from_str(&pair.home.says(&["doctor", "--json"]).0).unwrap();
    let tunnels = json["areas"].as_array().unwrap().iter().find(|area| area["id"] == "tunnels").unwrap();
    assert_eq!(tunnels["diagnoses"][0]["verdict"], "tunnel-not-permitted", "{tunnels}");
    let valid: Value = serde_json::from_str(&pair.home.says(&["validate", "--json"]).0).unwrap();
    assert_eq!(valid["tunnels"], 1, "{valid}");
}

#[test]
fn a_tunnel_of_the_command_line_is_explained_without_a_file() {
    let pair = Pair::start("", "", "");
    let end = format!("tunnel:{}#{}", pair.relay.address, pair.keys.vps);

    expect(&pair.home.says(&["explain", &end]), 0, &["[ok]   let_in     as home", "verdict: healthy"]);
}

/// Wants a raw key of each client, as a Loopgate does.
#[derive(Debug)]
struct AnyKey;

impl ClientCertVerifier for AnyKey {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

fn builder() -> rustls::ConfigBuilder<ServerConfig, rustls::server::WantsServerCert> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    builder.unwrap().with_no_client_auth()
}

/// A TLS server of this configuration.
fn tls_server(config: ServerConfig) -> SocketAddr {
    let config = Arc::new(config);
    serving(move |mut client| {
        let mut server = ServerConnection::new(config.clone()).unwrap();
        // Whatever becomes of it, the connection ends.
        let _ = server.complete_io(&mut client);
        let _ = server.complete_io(&mut client);
    })
}

/// A server that does this with each connection.
fn serving(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let serve = serve.clone();
            thread::spawn(move || serve(client));
        }
    });
    address
}
