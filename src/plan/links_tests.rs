use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::address::TunnelName;
use crate::plan::{Plan, Source, keep_equal_tunnels, offered, parse};

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
        (home.ping.as_secs(), home.pool, home.max_connections, home.max_listeners, home.max_flows),
        (5, 2, 10_000, 64, 4096)
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

#[test]
fn a_tunnel_can_name_a_source() {
    for text in ["home", "vps-2.example_b", "caf\u{e9}", &"a".repeat(64)] {
        assert_eq!(Ok(Source::tunnel(&name(text))), Source::named(text));
    }
}

#[test]
fn routes_that_the_other_end_asks_for_have_the_defaults_of_the_tunnel_over_those_of_all_routes() {
    let text = |more: &str| {
        format!(
            "[defaults]\nreset_linger = '9s'\nmax_connections = 7\nwait_for_target = '1s'\nbind = 'strict'\n{more}\
             [tunnel]\nlisten = '4433'\n[tunnels.home]\npublic_key = 'HOME'\nmay_listen = '8080'\n\
             defaults = {{ max_connections = 500 }}\n"
        )
    };
    let of = |text: &str| plan(text).unwrap().tunnels.links[&name("home")].templates.clone();
    let templates = of(&text(""));

    let route = &templates.tcp;
    assert_eq!((route.reset_linger.as_secs(), route.entry.most), (9, Some(500)));
    assert_eq!(route.dial.wait_for_target.as_secs(), 1);
    assert_eq!(route.bind, crate::transport::BindPolicy::Retry, "one address that is taken closes no other");
    assert!(route.listen.is_empty() && route.targets.is_empty());
    let silent = of(&text("").replace("wait_for_target = '1s'\n", ""));
    assert_eq!(silent.tcp.dial.wait_for_target.as_secs(), 5, "the tunnel may be about to come back");
    assert_eq!(silent.udp.carries.protocol(), crate::address::Protocol::Udp);
}

#[test]
fn a_tunnel_that_stays_as_it_is_keeps_what_its_routes_hold() {
    let text = |ping: &str| {
        format!(
            "tunnel.listen = '4433'\ntunnels.home = {{ public_key = 'HOME' }}\n\
             tunnels.office = {{ public_key = 'OFFICE', ping = '{ping}' }}\n"
        )
    };
    let (old, new) = (plan(&text("5s")).unwrap().tunnels, plan(&text("6s")).unwrap().tunnels);
    assert_ne!(old, new);

    let kept = keep_equal_tunnels(&old, new.clone());

    let same = |tunnel: &str| std::sync::Arc::ptr_eq(&kept.links[&name(tunnel)], &old.links[&name(tunnel)]);
    assert!(same("home") && !same("office"));
    assert_eq!(kept, new);
}

#[test]
fn no_tunnel_dials_where_other_loopgates_connect() {
    let own: std::net::IpAddr = "10.0.0.7".parse().unwrap();
    let at = |listen: &str, to: &str| {
        let text = format!("tunnel.listen = '{listen}'\ntunnels.home = {{ public_key = 'HOME' }}\n");
        plan(&text).unwrap().tunnels.listens_at(to.parse().unwrap(), &|ip| ip == own)
    };

    for to in ["127.0.0.1:4433", "10.0.0.7:4433", "[::ffff:10.0.0.7]:4433", "0.0.0.0:4433"] {
        assert!(at("0.0.0.0:4433", to), "{to}");
    }
    assert!(at("127.0.0.1:4433", "127.0.0.1:4433") && at("[::]:4433", "[::1]:4433"));
    assert!(!at("0.0.0.0:4433", "127.0.0.1:4434") && !at("0.0.0.0:4433", "10.0.0.8:4433"));
    assert!(!at("127.0.0.1:4433", "10.0.0.7:4433"));
}

#[test]
fn what_a_tunnel_opens_is_warned_about() {
    let cautions = |more: &str| {
        let text = format!("tunnel.listen = '4433'\n[tunnels.home]\npublic_key = 'HOME'\n{more}");
        plan(&text).unwrap().tunnels.links[&name("home")].cautions()
    };

    assert!(cautions("may_listen = ['8080', '[::1]:80']\nmay_dial = '10.0.0.0/8'\n").is_empty());
    let open = cautions("may_listen = ['8080', '0.0.0.0:8080']\n");
    assert!(open[0].starts_with("may_listen opens 0.0.0.0:8080 beyond this machine"), "{open:?}");
    assert!(open[0].contains("[tunnels.home.defaults]") && open.len() == 1);
    assert!(cautions("may_listen = '0.0.0.0:8080'\ndefaults.allow = '0.0.0.0/0'\n").is_empty());
    let inward = cautions("may_dial = ['127.0.0.1:5432', '169.254.169.254', '10.0.0.0/8']\n");
    assert!(inward[0].starts_with("may_dial has 127.0.0.1:5432, 169.254.169.254: "), "{inward:?}");
}

#[test]
fn a_file_that_others_may_write_lets_nobody_in_by_a_tunnel() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("tunnel.key");
    fs::write(&key, KEY).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let file = folder.path().join("f.toml");
    let text = format!("tunnel.listen = '4433'\ntunnels.home = {{ public_key = '{HOME}' }}\n");
    let told = |mode: u32, text: &str| {
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        parse(&file.display().to_string(), text, &[]).err().map(|problems| problems.list[0].line())
    };

    assert_eq!((told(0o644, &text), told(0o600, &text)), (None, None));
    for mode in [0o664, 0o646, 0o666] {
        let line = told(mode, &text).unwrap();
        assert!(line.starts_with("tunnels.home: others may write this file"), "{mode:o}: {line}");
    }
    assert_eq!(told(0o666, "routes.a = { listen = '1', target = '2' }"), None, "it lets nobody in by a key");
}

#[test]
fn a_folder_where_others_may_put_files_lets_nobody_in_by_a_tunnel() {
    let folder = tempfile::tempdir().unwrap();
    let included = folder.path().join("tunnels.d");
    fs::create_dir(&included).unwrap();
    let key = folder.path().join("tunnel.key");
    fs::write(&key, KEY).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let (main, home) = (folder.path().join("f.toml"), included.join("home.toml"));
    let text = "include = 'tunnels.d/*.toml'\ntunnel.listen = '4433'\n";
    fs::write(&home, format!("tunnels.home = {{ public_key = '{HOME}' }}\n")).unwrap();
    let told = |of_folder: u32, of_file: u32| {
        fs::set_permissions(&included, fs::Permissions::from_mode(of_folder)).unwrap();
        fs::set_permissions(&home, fs::Permissions::from_mode(of_file)).unwrap();
        parse(&main.display().to_string(), text, &[]).err().map(|problems| problems.list[0].line())
    };

    assert_eq!((told(0o755, 0o644), told(0o700, 0o600)), (None, None));
    let written = told(0o755, 0o664).unwrap();
    assert!(written.contains("others may write this file"), "{written}");
    for mode in [0o775, 0o777, 0o1777] {
        let line = told(mode, 0o600).unwrap();
        assert!(line.contains("others may write the folder of this file"), "{mode:o}: {line}");
    }
}
