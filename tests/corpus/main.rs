//! Every file under `fuzz/corpus` once more: what the fuzz targets assert holds of what they have found so far.
//!
//! The netlink parsers are not reachable from here; only the fuzz target reads their corpus.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "clippy.toml frees functions marked #[test], not the helpers beside them"
)]

mod client_hello;
mod config;
mod http_connect;
mod import;
#[path = "../vectors/proxy_protocol_holds.rs"]
#[allow(unreachable_pub, reason = "it is read by other tests as well")]
mod proxy_protocol_holds;
mod socks5;
mod tunnel_frames;
mod tunnel_join;
mod tunnel_messages;
mod tunnel_open;
mod tunnel_quic;

use std::fs;
use std::path::Path;

use loopgate::proxy_protocol;

/// Has every file of a target's corpus pass.
fn replay(target: &str, holds: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();

    for file in &files {
        println!("{}", file.display());
        holds(&fs::read(file).unwrap());
    }

    assert!(files.len() >= 4, "only {} files in {}", files.len(), folder.display());
}

#[test]
fn client_hello() {
    replay("client_hello", client_hello::holds);
}

#[test]
fn config() {
    replay("config", config::holds);
}

#[test]
fn http_connect() {
    replay("http_connect", http_connect::holds);
}

#[test]
fn import() {
    replay("import", import::holds);
}

#[test]
fn proxy_protocol() {
    replay("proxy_protocol", proxy_protocol_holds::of);
}

#[test]
fn socks5() {
    replay("socks5", socks5::holds);
}

#[test]
fn tunnel_frames() {
    replay("tunnel_frames", tunnel_frames::holds);
}

#[test]
fn tunnel_join() {
    replay("tunnel_join", tunnel_join::holds);
}

#[test]
fn tunnel_messages() {
    replay("tunnel_messages", tunnel_messages::holds);
}

#[test]
fn tunnel_open() {
    replay("tunnel_open", tunnel_open::holds);
}

#[test]
fn tunnel_quic() {
    replay("tunnel_quic", tunnel_quic::holds);
}
