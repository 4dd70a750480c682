//! PROXY headers as other programs write and read them.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use loopgate::outcome::{Client, End};

use crate::harness::{Close, Connection, Proxy, Target, wait_until};
use crate::real::tcp::{Service, printed};

/// nginx, which requires a header and answers with its content.
fn nginx() -> Service {
    Service::start(|port, folder| {
        let at = folder.display();
        let config = format!(
            "daemon off; pid {at}/pid; error_log {at}/error; user root; events {{}}\n\
             http {{ access_log off; client_body_temp_path {at}; proxy_temp_path {at};\n\
             fastcgi_temp_path {at}; uwsgi_temp_path {at}; scgi_temp_path {at};\n\
             server {{ listen 127.0.0.1:{port} proxy_protocol;\n\
             location / {{ return 200 '$proxy_protocol_addr:$proxy_protocol_port \
             $proxy_protocol_server_addr:$proxy_protocol_server_port'; }} }} }}\n"
        );
        fs::write(folder.join("nginx.conf"), config).unwrap();
        let mut nginx = Command::new("nginx");
        nginx.args(["-c", &format!("{at}/nginx.conf"), "-e", &format!("{at}/error")]);
        nginx
    })
}

fn haproxy(port: u16, folder: &Path, listen: &str) -> Command {
    let config = format!(
        "defaults\n timeout connect 20s\n timeout client 20s\n timeout server 20s\nlisten it\n{listen}\n"
    );
    fs::write(folder.join("haproxy.cfg"), config.replace("PORT", &port.to_string())).unwrap();
    let mut haproxy = Command::new("haproxy");
    haproxy.args(["-db", "-q", "-f"]).arg(folder.join("haproxy.cfg"));
    haproxy
}

/// HAProxy, which requires a header, verifies its checksum if it has one, and answers with its content.
fn haproxy_that_reads() -> Service {
    Service::start(|port, folder| {
        let answer =
            "http-request return content-type text/plain lf-string \"%[src]:%[src_port] %[dst]:%[dst_port]\"";
        haproxy(port, folder, &format!(" mode http\n bind 127.0.0.1:PORT accept-proxy\n {answer}"))
    })
}

/// HAProxy, which sends a header to a proxy.
fn haproxy_that_sends(proxy: &Proxy, how: &str) -> Service {
    let server = format!("server proxy {} {how}", proxy.address);
    Service::start(|port, folder| {
        haproxy(
            port,
            folder,
            &format!(" mode tcp\n unique-id-format %[uuid()]\n bind 127.0.0.1:PORT\n {server}"),
        )
    })
}

/// A proxy to a service that reads headers.
fn sending(form: &str, service: SocketAddr) -> Proxy {
    Proxy::builder().with(&format!(
        "routes.test = {{listen = '127.0.0.1:0', target = '{service}', send_proxy = '{form}'}}"
    ))
}

fn accepting(target: SocketAddr, more: &str) -> Proxy {
    let route = format!("listen = '127.0.0.1:0', target = '{target}', accept_proxy = '127.0.0.0/8'{more}");
    Proxy::builder().with(&format!("routes.test = {{{route}}}"))
}

/// Queries a service that answers with the addresses in the header; returns these, and the addresses that curl used.
fn ask(address: SocketAddr) -> (String, String) {
    let ends = "\n%{local_ip}:%{local_port} %{remote_ip}:%{remote_port}";
    let told = printed("curl", &["-sS", "--fail", "-w", ends, &format!("http://{address}/")]);
    let (answer, ends) = told.split_once('\n').unwrap();
    (answer.to_owned(), ends.to_owned())
}

#[test]
#[ignore = "needs nginx"]
fn nginx_reads_what_is_sent() {
    let nginx = nginx();
    for form in ["v1", "v2", "v2_crc32c"] {
        let proxy = sending(form, nginx.address);

        let (answer, ends) = ask(proxy.address);

        assert_eq!(answer, ends, "{form}");
    }
}

#[test]
#[ignore = "needs nginx"]
fn nginx_is_told_of_the_first_client_by_a_chain() {
    let nginx = nginx();
    for (first, second) in [("v1", "v2"), ("v2_crc32c", "v1")] {
        let inner = accepting(nginx.address, &format!(", send_proxy = '{second}'"));
        let outer = sending(first, inner.address);

        let (answer, ends) = ask(outer.address);

        assert_eq!(answer, ends, "{first} and {second}");
        let record = inner.record();
        assert_eq!(record.client.to_string(), ends.split(' ').next().unwrap());
    }
}

#[test]
#[ignore = "needs nginx"]
fn nginx_takes_a_client_of_a_unix_socket() {
    let nginx = nginx();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("proxy").display().to_string();
    for form in ["v1", "v2", "v2_crc32c"] {
        let _proxy = Proxy::builder().with(&format!(
            "routes.test = {{listen = 'unix:{path}', target = '{}', send_proxy = '{form}'}}",
            nginx.address
        ));

        let answer = printed("curl", &["-sS", "--fail", "--unix-socket", &path, "http://localhost/"]);

        assert_eq!(answer, ": :", "{form}");
    }
}

#[test]
#[ignore = "needs haproxy"]
fn haproxy_reads_what_is_sent() {
    let haproxy = haproxy_that_reads();
    for form in ["v1", "v2", "v2_crc32c"] {
        let proxy = sending(form, haproxy.address);

        let (answer, ends) = ask(proxy.address);

        assert_eq!(answer, ends, "{form}");
    }
}

#[test]
#[ignore = "needs haproxy"]
fn haproxy_takes_a_client_of_a_unix_socket() {
    let haproxy = haproxy_that_reads();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("proxy").display().to_string();
    for form in ["v1", "v2_crc32c"] {
        let _proxy = Proxy::builder().with(&format!(
            "routes.test = {{listen = 'unix:{path}', target = '{}', send_proxy = '{form}'}}",
            haproxy.address
        ));

        let answer = printed("curl", &["-sS", "--fail", "--unix-socket", &path, "http://localhost/"]);

        assert!(answer.ends_with(&haproxy.address.to_string()), "{form}: {answer}");
    }
}

#[test]
#[ignore = "needs haproxy"]
fn what_haproxy_sends_is_read() {
    let target = Target::echo();
    for how in [
        "send-proxy",
        "send-proxy-v2",
        "send-proxy-v2 proxy-v2-options crc32c",
        "send-proxy-v2 proxy-v2-options crc32c,unique-id,authority",
    ] {
        let proxy = accepting(target.address, "");
        let haproxy = haproxy_that_sends(&proxy, how);
        let mut client = Connection::to(haproxy.address);

        client.send_stream(3, 100_000);
        client.finish();
        client.receive_stream(3, 100_000);
        assert_eq!(client.receive_close(), Close::Fin, "{how}");

        let record = proxy.record();
        assert_eq!((record.outcome.end, record.client), (End::Done, client.local().into()), "{how}");
        assert_eq!(record.outcome.traffic.up.delivered, 100_000, "{how}");
        assert!(matches!(record.via, Some(Client::Net(proxy)) if proxy.ip() == client.local().ip()), "{how}");
    }
}

#[test]
#[ignore = "needs haproxy"]
fn a_check_of_haproxy_is_a_client_of_its_own() {
    let target = Target::echo();
    let proxy = accepting(target.address, "");

    let _haproxy = haproxy_that_sends(&proxy, "send-proxy-v2 proxy-v2-options crc32c check inter 100");

    let record = wait_until("a check has come", || proxy.records().into_iter().next());
    // The check closes with a reset once it has found a listener.
    assert!(matches!(record.outcome.end, End::ClientReset | End::ClientGone | End::Done), "{record}");
    assert_eq!(record.via, None);
}

#[test]
#[ignore = "needs curl"]
fn what_curl_sends_is_read() {
    let target = Target::greeting(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    let proxy = accepting(target.address, "");
    let url = format!("http://{}/", proxy.address);

    let told = printed("curl", &["-sS", "--haproxy-protocol", "-w", " %{local_ip}:%{local_port}", &url]);

    let record = proxy.record();
    assert_eq!(told, format!("hello {}", record.client));
    assert_eq!(record.via, Some(record.client));
    assert_eq!(record.outcome.end, End::Done);
}
