//! nginx, its stream module.

use std::fmt::Write;
use std::io;
use std::path::Path;
use std::process::Command;

use super::{Front, Job, NAME, with_file};
use crate::machine::cores;

pub(super) fn command(program: &Path, job: &Job) -> io::Result<Command> {
    // Debian ships the stream module apart; elsewhere it is often built in.
    let module = Path::new("/usr/lib/nginx/modules/ngx_stream_module.so");
    let mut text = String::from("daemon off;\npid nginx.pid;\nworker_rlimit_nofile 20000;\n");
    // `auto` counts the processors of the machine, also those it may not use.
    let _ = writeln!(text, "worker_processes {};", cores());
    if module.exists() {
        let _ = writeln!(text, "load_module {};", module.display());
    }
    if rustix::process::geteuid().is_root() {
        text.push_str("user root;\n");
    }
    let buffer = if job.load.is_streams() { "64k" } else { "16k" };
    let _ = write!(
        text,
        "events {{ worker_connections 9000; }}\nstream {{\n  access_log off;\n  proxy_timeout 1h;\n  \
         proxy_half_close on;\n  proxy_buffer_size {buffer};\n"
    );
    match job.load.front() {
        Front::EndsTls => {
            let pair = job.pair.display();
            // Of versions before 1.23.4, TLS 1.3 has to be asked for.
            let _ = writeln!(
                text,
                "  ssl_protocols TLSv1.3; ssl_certificate {pair}; ssl_certificate_key {pair};"
            );
        }
        Front::SendsHeader => text.push_str("  proxy_protocol on;\n"),
        Front::ByName => {
            let target = job.routes[0].target;
            let _ = writeln!(
                text,
                "  ssl_preread on; map $ssl_preread_server_name $named {{ {NAME} {target}; }}"
            );
        }
        Front::Plain | Front::Unix | Front::TakesHeader | Front::Tunnel => {}
    }
    for (listen, target) in job.ends("unix:") {
        let target = if job.load.front() == Front::ByName { "$named".to_owned() } else { target };
        // Without reuseport its workers would take each other's datagrams.
        let (socket, more) = match (job.load.is_udp(), job.load.front()) {
            (true, _) => ("udp reuseport", format!("proxy_timeout {}s; ", job.load.idle())),
            (_, Front::EndsTls) => ("ssl backlog=4096", String::new()),
            (_, Front::TakesHeader) => ("proxy_protocol backlog=4096", String::new()),
            _ => ("backlog=4096", String::new()),
        };
        let _ = writeln!(text, "  server {{ listen {listen} {socket}; {more}proxy_pass {target}; }}");
    }
    text.push_str("}\n");
    let prefix = job.folder.display().to_string();
    with_file(program, job, &["-e", "stderr", "-p", &prefix, "-c"], "nginx.conf", &text)
}
