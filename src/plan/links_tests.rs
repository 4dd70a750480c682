use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::address::TunnelName;
use crate::plan::{Plan, offered, parse};

/// The secret key and the public key of the first test of RFC 8032, section 7.1.
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
const OWN: &str = "ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
/// Those of the second and the third.
const HOME: &str = "ed25519:PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw";
const OFFICE: &str = "ed25519:_FHNjmIYoaONpH7QAjDwWAgW7RO6MwOsXeuRFUiQgCU";

/// The plan of a text, or its problems, one a line; NAME in the text is the key of that machine.
fn plan(text: &str) -> Result<Plan, String> {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("tunnel.key");
    fs::write(&key, KEY).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let text = text.replace("OWN", OWN).replace("HOME", HOME).replace("OFFICE", OFFICE);
    let name = folder.path().join("f.toml");
    fs::write(&name, &text).unwrap();
    parse(&name.display().to_string(), &text, &[]).map_err(|problems| {
        let lines: Vec<String> = problems.list.iter().map(|problem| problem.line()).collect();
        lines.join("\n").replace(&folder.path().display().to_string(), "DIR")
    })
}

fn name(text: &str) -> TunnelName {
    text.parse().unwrap()
}

#[test]
fn a_public_server_and_a_machine_behind_it_are_planned() {
    let server = plan(
        "tunnel.listen = '0.0.0.0:4433'\n\
         [tunnels.home]\npublic_key = 'HOME'\nmay_listen = ['0.0.0.0:8080', '127.0.0.1:9000-9010']\nping = '5s'\n\
         [tunnels.home.defaults]\nallow = '203.0.113.0/24'\nmax_connections = 500\n\
         [routes.db]\nlisten = 'tunnel:home'\ntarget = '10.0.0.5:5432'\n",
    )
    .unwrap();

    assert_eq!(server.tunnels.listen[0].to_string(), "0.0.0.0:4433");
    assert!(server.tunnels.private_key.is_some());
    let home = &server.tunnels.links[&name("home")];
    assert_eq!((home.connect.len(), home.public_keys.len(), home.may_listen.entries().len()), (0, 1, 2));
    assert!(home.may_dial.is_empty() && home.trust_client);
    assert_eq!(
        (home.ping.as_secs(), home.pool, home.max_connections, home.max_listeners),
        (5, 2, 10_000, 64)
    );
    assert!(home.templates.tcp.is_guarded());
    assert_eq!(home.templates.tcp.entry.most, Some(500));
    let offers = offered(&server, &name("home"));
    assert_eq!((offers.len(), &*offers[0].route.name.0, offers[0].at), (1, "db", None));

    let there = plan(
        "[tunnels.vps]\nconnect = 'vps.example.com:4433'\npublic_key = 'HOME'\n\
         [routes.web]\nlisten = ['tunnel:vps/0.0.0.0:8080', 'tunnel:vps', '8080']\ntarget = '62893'\n\
         [routes.db]\nlisten = '5432'\ntarget = 'tunnel:vps/db'\n",
    )
    .unwrap();

    let vps = &there.tunnels.links[&name("vps")];
    assert_eq!(vps.connect[0].to_string(), "vps.example.com:4433");
    assert!(there.tunnels.private_key.is_none() && there.tunnels.listen.is_empty());
    let at = |n: usize| offered(&there, &name("vps"))[n].at.map(ToString::to_string);
    assert_eq!((at(0).as_deref(), at(1)), (Some("0.0.0.0:8080"), None));
}
