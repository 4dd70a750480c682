//! Programs that close TLS each in its own way: every whole answer ends as `done`, with right counts.

use std::process::Command;

use crate::harness::tls::Authority;
use crate::harness::{Connection, Proxy, Target};
use crate::real::tcp::{Service, all_ended_in_order, printed};

/// The lengths of answers: less than a record, a few of them, more than the buffers on the way.
const LENGTHS: [usize; 3] = [187, 100_000, 3_000_000];

/// How often each is asked for, since what is met first at an end is a matter of luck.
const ROUNDS: usize = 10;

/// Fetches `URL/LENGTH` as often as told over one connection each, and says how much it got.
const HTTP_CLIENT: &str = "
import http.client, ssl, sys
ca, port, length, rounds = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
context = ssl.create_default_context(cafile=ca)
for _ in range(rounds):
    connection = http.client.HTTPSConnection('localhost', port, context=context, timeout=20)
    connection.request('GET', '/' + length)
    print(len(connection.getresponse().read()))
    connection.close()
";

/// The same; it always asks for `Connection: close`.
const URLLIB: &str = "
import ssl, sys, urllib.request
ca, port, length, rounds = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
context = ssl.create_default_context(cafile=ca)
handlers = urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
opener = urllib.request.build_opener(*handlers)
for _ in range(rounds):
    with opener.open('https://localhost:' + port + '/' + length, timeout=20) as answer:
        print(len(answer.read()))
";

/// Serves `x` as often as the path says, over TLS, and closes without close_notify.
const SERVER: &str = "
import http.server, ssl, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b'x' * int(self.path[1:])
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
server = http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[3])), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
";

fn authority() -> Authority {
    let authority = Authority::new();
    authority.issue("web", &["localhost", "127.0.0.1"]);
    authority
}

/// Answers one request, whose path is the length of the answer. False at the end of the connection.
fn answer(connection: &mut Connection) -> bool {
    let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
    while !request.ends_with(b"\r\n\r\n") {
        match connection.try_receive(&mut buffer) {
            Ok(n @ 1..) => request.extend_from_slice(&buffer[..n]),
            _ => return false,
        }
    }
    let request = String::from_utf8(request).unwrap();
    let length: usize = request.strip_prefix("GET /").unwrap().split(' ').next().unwrap().parse().unwrap();
    connection.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").as_bytes());
    connection.send(&vec![b'x'; length]);
    true
}

/// A server that closes after each answer, or waits until its client does.
fn server(closes: bool) -> Target {
    Target::serving_anywhere(move |mut connection| while answer(&mut connection) && !closes {})
}

/// Has `fetch` ask both kinds of servers, and the server of Python's by TLS, for each length.
fn fetch_all(fetch: impl Fn(&Authority, &str, usize)) {
    let authority = authority();
    let file = |name: &str| authority.file(name).display().to_string();
    let tls = authority.tls("web");
    let python = Service::start(|port, _| {
        let mut python = Command::new("python3");
        python.args(["-c", SERVER, &file("web.pem"), &file("web.key"), &port.to_string()]);
        python
    });
    let by_tls = format!(", target_tls = {{ca = '{}'}}", file("ca.pem"));
    let (closing, waiting) = (server(true), server(false));
    let targets = [(closing.address, ""), (waiting.address, ""), (python.address, &*by_tls)];
    for (target, more) in targets {
        let proxy = Proxy::builder().workers(2).with(&format!(
            "routes.test = {{listen = '127.0.0.1:0', target = '{target}', tls = {{{tls}}}{more}}}"
        ));
        for length in LENGTHS {
            fetch(&authority, &proxy.address.port().to_string(), length);
            all_ended_in_order(&proxy);
        }
    }
}

/// What a program of Python's got: the whole answer each time.
fn fetch_by_python(program: &str) {
    fetch_all(|authority, port, length| {
        let (ca, length) = (authority.file("ca.pem").display().to_string(), length.to_string());
        let got = printed("python3", &["-c", program, &ca, port, &length, &ROUNDS.to_string()]);

        assert_eq!(got.lines().collect::<Vec<_>>(), vec![length; ROUNDS]);
    });
}

#[test]
#[ignore = "needs python3"]
fn pythons_http_client_gets_whole_answers_and_ends_in_order() {
    fetch_by_python(HTTP_CLIENT);
}

#[test]
#[ignore = "needs python3"]
fn pythons_urllib_gets_whole_answers_and_ends_in_order() {
    fetch_by_python(URLLIB);
}

#[test]
#[ignore = "needs wget and python3"]
fn wget_gets_whole_answers_and_ends_in_order() {
    fetch_all(|authority, port, length| {
        let (ca, url) =
            (authority.file("ca.pem").display().to_string(), format!("https://localhost:{port}/"));
        for _ in 0..ROUNDS {
            let url = format!("{url}{length}");
            let arguments = ["--quiet", "--no-proxy", "--no-hsts", "--inet4-only", "--tries=1"];
            let arguments = [&arguments[..], &["--ca-certificate", &ca, "-O", "-", &url]].concat();

            assert_eq!(printed("wget", &arguments).len(), length);
        }
    });
}
