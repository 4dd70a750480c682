//! HAProxy: one listener a route, and where the name chooses, a frontend and a backend.

use std::fmt::Write;
use std::io;
use std::path::Path;
use std::process::Command;

use super::{Front, Job, NAME, with_file};
use crate::machine::cores;

pub(super) fn command(program: &Path, job: &Job) -> io::Result<Command> {
    let mut text = format!(
        "global\n  nbthread {}\n  maxconn 6000\ndefaults\n  mode tcp\n  option splice-auto\n  maxconn 6000\n  \
         timeout connect 5s\n  timeout client 1h\n  timeout server 1h\n",
        cores()
    );
    let (bind, server) = match job.load.front() {
        Front::EndsTls => (format!(" ssl crt {}", job.pair.display()), ""),
        Front::SendsHeader => (String::new(), " send-proxy"),
        Front::TakesHeader => (" accept-proxy".to_owned(), ""),
        Front::Plain | Front::Unix | Front::ByName | Front::Tunnel => (String::new(), ""),
    };
    for (index, (listen, target)) in job.ends("unix@").iter().enumerate() {
        let _ = write!(text, "listen bench{index}\n  bind {listen} backlog 4096{bind}\n");
        if job.load.front() == Front::ByName {
            let _ = write!(
                text,
                "  tcp-request inspect-delay 5s\n  tcp-request content accept if {{ req.ssl_hello_type 1 }}\n  \
                 use_backend named if {{ req.ssl_sni -i {NAME} }}\nbackend named\n"
            );
        }
        let _ = writeln!(text, "  server target {target}{server}");
    }
    with_file(program, job, &["-db", "-f"], "haproxy.cfg", &text)
}
