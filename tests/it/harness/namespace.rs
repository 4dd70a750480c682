//! Runs a test alone in a network namespace, by starting the test binary again there.

use std::env;
use std::net::UdpSocket;
use std::process::Command;

const INSIDE: &str = "LOOPGATE_TEST_INSIDE";

/// Runs `test`, whose path is `name`, in a new network namespace with its loopback up. Needs root.
pub(crate) fn alone(name: &str, test: impl FnOnce()) {
    let ready = r#"ip link set lo up && exec "$@""#;
    again(&["unshare", "--net", "--", "sh", "-c", ready, "sh"], name, test);
}

/// The same with files of its own for names: /etc/hosts is `hosts`, and may be written to, and the only name server is
/// 127.0.0.53, where [`SilentServer`] may listen. Needs root.
pub(crate) fn alone_with_names(name: &str, hosts: &str, test: impl FnOnce()) {
    // The folder goes with the namespace.
    let ready = r#"ip link set lo up && mount -t tmpfs tmpfs /mnt && cd /mnt &&
        echo 'nameserver 127.0.0.53' > resolv.conf && echo 'hosts: files dns' > nsswitch.conf && : > hosts &&
        for file in resolv.conf nsswitch.conf hosts; do mount --bind $file /etc/$file || exit; done && cd / && exec "$@""#;
    let inside = || {
        write_hosts(hosts);
        test();
    };
    again(&["unshare", "--net", "--mount", "--", "sh", "-c", ready, "sh"], name, inside);
}

/// Replaces /etc/hosts, inside such a namespace.
pub(crate) fn write_hosts(text: &str) {
    std::fs::write("/etc/hosts", format!("127.0.0.1 localhost\n{text}\n")).unwrap();
}

/// A name server that takes questions and answers none.
pub(crate) struct SilentServer {
    _socket: UdpSocket,
}

impl SilentServer {
    pub(crate) fn start() -> SilentServer {
        SilentServer { _socket: UdpSocket::bind("127.0.0.53:53").unwrap() }
    }
}

fn again(before: &[&str], name: &str, test: impl FnOnce()) {
    if env::var_os(INSIDE).is_some() {
        return test();
    }
    let me = env::current_exe().unwrap();
    let output = Command::new(before[0])
        .args(&before[1..])
        .arg(me)
        .args(["--exact", name, "--include-ignored", "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let output_text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output_text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(output_text.contains("1 passed"), "{name} is not the path of the test:\n{output_text}");
}
