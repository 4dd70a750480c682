use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::address::{Protocol, TunnelName};
use crate::plan::{CommandTunnels, Plan, Source, Sources, load};

/// The secret key and the public key of the first test of RFC 8032, section 7.1.
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
const OWN: &str = "ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
/// Those of the second and the third.
const HOME: &str = "ed25519:PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw";
const OFFICE: &str = "ed25519:_FHNjmIYoaONpH7QAjDwWAgW7RO6MwOsXeuRFUiQgCU";

/// A command line, as `-R 8080:3000 --tunnel vps#HOME`: HOME and the like are keys; words without a flag are routes.
fn command(line: &str) -> Sources {
    let line = line.replace("OWN", OWN).replace("HOME", HOME).replace("OFFICE", OFFICE);
    let (mut forwards, mut tunnels) = (Vec::new(), CommandTunnels::default());
    let mut words = line.split_whitespace().map(str::to_owned);
    while let Some(word) = words.next() {
        let list = match word.as_str() {
            "-R" => &mut tunnels.reverse,
            "--tunnel" => &mut tunnels.tunnels,
            "--tunnel-listen" => &mut tunnels.listen,
            "--may-listen" => &mut tunnels.may_listen,
            "--may-dial" => &mut tunnels.may_dial,
            _ => {
                forwards.push(word);
                continue;
            }
        };
        list.push(words.next().unwrap());
    }
    Sources { file: None, forwards, tunnels }
}

/// The plan of a command line beside a file, which is run or, with `Named`, only has the tunnels; or its problems, one a line,
/// with the place of each.
fn plan_beside(text: &str, of_file: OfFile, line: &str) -> Result<Plan, String> {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("tunnel.key"), KEY);
    let file = folder.path().join("f.toml");
    write(&file, &text.replace("HOME", HOME).replace("OFFICE", OFFICE));
    let mut sources = command(line);
    match of_file {
        OfFile::All => sources.file = Some(file),
        OfFile::Named => sources.tunnels.named_in = Some(file),
    }
    load(&sources).map_err(|problems| {
        let told = problems.render(false);
        let told = told.replace(&folder.path().display().to_string(), "DIR");
        told.replace(OWN, "OWN").replace(HOME, "HOME").replace(OFFICE, "OFFICE")
    })
}

enum OfFile {
    All,
    Named,
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// The plan of a command line; the key is where the file would be, which is empty.
fn plan(line: &str) -> Result<Plan, String> {
    plan_beside("", OfFile::All, line)
}

fn told(line: &str) -> String {
    plan(line).expect_err(line)
}

fn name(text: &str) -> TunnelName {
    text.parse().unwrap()
}

/// Each route, as `web: listen -> target`.
fn routes(plan: &Plan) -> Vec<String> {
    let route = |route: &std::sync::Arc<crate::plan::Route>| {
        format!("{}: {} -> {}", route.name, route.listen[0], route.targets[0].address)
    };
    plan.routes.values().map(route).collect()
}

#[test]
fn routes_of_r_listen_at_the_other_end_which_is_dialled_and_known_by_its_key() {
    let plan = plan("-R 0.0.0.0:8080:62893 -R 9000:db.internal:9000 --tunnel vps.example.com#HOME").unwrap();

    assert_eq!(
        routes(&plan),
        [
            "vps-8080: tunnel:vps/0.0.0.0:8080 -> 127.0.0.1:62893",
            "vps-9000: tunnel:vps/127.0.0.1:9000 -> db.internal:9000",
        ]
    );
    let vps = &plan.tunnels.links[&name("vps")];
    assert_eq!(
        (vps.connect[0].to_string(), vps.public_keys[0].to_string()),
        ("vps.example.com:4433".into(), HOME.into())
    );
    assert_eq!(vps.private_key.public().to_string(), OWN);
    assert!(vps.may_listen.is_empty() && vps.may_dial.is_empty() && plan.tunnels.listen.is_empty());
}

#[test]
fn bare_routes_and_those_of_l_listen_here_and_are_dialled_from_the_other_end() {
    let plan = plan("5432:db.internal:5432 8080:web --tunnel 192.0.2.7:443#HOME").unwrap();

    assert_eq!(
        routes(&plan),
        [
            "5432: 127.0.0.1:5432 -> tunnel:ip-192-0-2-7/db.internal:5432",
            "8080: 127.0.0.1:8080 -> tunnel:ip-192-0-2-7/web",
        ]
    );
}

#[test]
fn routes_of_datagrams_go_through_a_tunnel_as_others_do() {
    let line = "-R 0.0.0.0:27015:27015/udp 5353:10.0.0.1:53/udp 5354:names/udp --tunnel vps#HOME";
    let plan = plan(line).unwrap();

    assert_eq!(
        routes(&plan),
        [
            "5353: 127.0.0.1:5353 -> tunnel:vps/10.0.0.1:53",
            "5354: 127.0.0.1:5354 -> tunnel:vps/names",
            "vps-27015: tunnel:vps/0.0.0.0:27015 -> 127.0.0.1:27015",
        ]
    );
    assert!(plan.routes.values().all(|route| route.carries.protocol() == Protocol::Udp));
}

#[test]
fn a_server_needs_no_file_and_permits_what_is_written() {
    let plan = plan(
        "--tunnel-listen 0.0.0.0:4433 --tunnel home=HOME --may-listen 0.0.0.0:8080 --may-listen 9000-9010/udp --may-dial 10.0.0.0/8:5432",
    )
    .unwrap();

    assert_eq!(plan.tunnels.listen[0].to_string(), "0.0.0.0:4433");
    assert!(plan.tunnels.private_key.is_some() && plan.routes.is_empty());
    let home = &plan.tunnels.links[&name("home")];
    assert_eq!((home.connect.len(), home.public_keys[0].to_string()), (0, HOME.into()));
    assert_eq!((home.may_listen.entries().len(), home.may_dial.entries().len()), (2, 1));
}

#[test]
fn a_tunnel_of_the_file_is_named_and_what_the_command_line_permits_is_added_to_it() {
    let file = "[tunnels.vps]\nconnect = 'vps.example.com:4433'\npublic_key = 'HOME'\nmay_listen = '8080'\n\
                [routes.web]\nlisten = '8000'\ntarget = '3000'\n";

    let plan = plan_beside(file, OfFile::All, "-R 9000:9000 --tunnel vps --may-listen 8081").unwrap();

    let expected =
        ["vps-9000: tunnel:vps/127.0.0.1:9000 -> 127.0.0.1:9000", "web: 127.0.0.1:8000 -> 127.0.0.1:3000"];
    assert_eq!((routes(&plan), plan.source), (expected.map(String::from).to_vec(), Source::file()));
    assert_eq!(plan.tunnels.links[&name("vps")].may_listen.entries().len(), 2);
}

#[test]
fn of_a_file_that_is_not_run_only_the_tunnel_that_is_named_counts() {
    let file = "defaults.connect_timeout = '7s'\n[tunnel]\nlisten = '4433'\n\
                [tunnels.vps]\nconnect = 'vps.example.com:4433'\npublic_key = 'HOME'\n\
                [tunnels.office]\npublic_key = 'OFFICE'\n\
                [routes.web]\nlisten = '8000'\ntarget = '3000'\n";

    let plan = plan_beside(file, OfFile::Named, "-R 9000:9000 --tunnel vps").unwrap();

    assert_eq!(routes(&plan), ["vps-9000: tunnel:vps/127.0.0.1:9000 -> 127.0.0.1:9000"]);
    assert_eq!(plan.routes.values().next().unwrap().dial.connect_timeout.as_secs(), 7);
    assert_eq!((plan.tunnels.links.len(), plan.tunnels.listen.len()), (1, 0));
    assert_eq!((plan.source, plan.stamp), (Source::command_line(), None));
}

#[test]
fn a_host_that_is_called_as_a_tunnel_of_the_file_gets_another_name() {
    let file = "[tunnels.vps]\nconnect = 'vps.example.com:4433'\npublic_key = 'HOME'\n";

    let plan = plan_beside(file, OfFile::All, "-R 9000:9000 --tunnel vps.example.org#OFFICE").unwrap();

    assert_eq!(routes(&plan), ["vps-2-9000: tunnel:vps-2/127.0.0.1:9000 -> 127.0.0.1:9000"]);
}

#[test]
fn the_other_end_of_a_route_is_named_and_named_once() {
    for (line, words) in [
        (
            "-R 8080:3000",
            "argument \"8080:3000\": -R listens at the other end of a tunnel, and no tunnel is named\n \
             = help: name the other end: --tunnel HOST#KEY\n",
        ),
        (
            "-R 8080:3000 --tunnel vps",
            "argument \"vps\": there is no tunnel vps\n = help: write vps#KEY, with what \"loopgate tunnel key --public\" prints there\n",
        ),
        (
            "-R 8080:3000 --tunnel a#HOME --tunnel b#OFFICE",
            "argument \"8080:3000\": the routes of the command line go through one tunnel, and there are 2\n = help: in a file",
        ),
        (
            "-R 8080:3000 --tunnel a#HOME --tunnel b#HOME",
            "argument \"b#HOME\": tunnel a leads to the holder of this key already\n = help: write --tunnel a\n",
        ),
        (
            "8080:tunnel:vps/web --tunnel vps#HOME",
            "argument \"8080:tunnel:vps/web\" names its tunnel, and goes through vps as well\n",
        ),
        ("-R 8080:3000 --tunnel vps#OWN", "argument \"vps#OWN\": this is this machine's own key\n"),
        (
            "--tunnel vps#HOME",
            "argument \"vps#HOME\": nothing goes through tunnel vps\n = help: add -R 8080:3000",
        ),
    ] {
        let told = told(line);
        assert!(
            told.starts_with(words) || told.contains(&format!("\n{words}")),
            "{line}:\n{told}\nand not:\n{words}"
        );
    }
}

#[test]
fn what_a_server_permits_and_to_whom_is_asked_for() {
    for (line, words) in [
        (
            "--tunnel home=HOME --may-listen 8080",
            "argument \"home=HOME\": neither end can connect: nothing listens for the other end\n = help: add --tunnel-listen",
        ),
        (
            "--tunnel-listen 4433 --tunnel home=HOME",
            "argument \"home=HOME\": home may connect, and nothing more\n = help: add --may-listen 0.0.0.0:8080",
        ),
        (
            "--tunnel-listen 4433 --may-listen 8080",
            "argument \"8080\": --may-listen permits the other end of a tunnel something, and no tunnel is named\n = help: add --tunnel NAME=KEY\n",
        ),
        (
            "--tunnel-listen 4433 --tunnel home=HOME --tunnel office=OFFICE --may-dial 10.0.0.5:22",
            "argument \"10.0.0.5:22\": --may-dial needs exactly one --tunnel, and there are 2\n = help: write may_dial under [tunnels.NAME]",
        ),
        (
            "--tunnel-listen 4433 --tunnel home=HOME --tunnel home=OFFICE",
            "argument \"home=OFFICE\": tunnel home is given twice\n = help: to let two keys in",
        ),
        (
            "--tunnel-listen 4433 --tunnel home=HOME --tunnel office=HOME --may-listen 8080",
            "argument \"office=HOME\": this is the key of tunnel home too, and a key tells which tunnel connects\n",
        ),
        (
            "--tunnel-listen 0.0.0.0 --tunnel home=HOME --may-listen 8080",
            "argument \"0.0.0.0\" has no port\n",
        ),
        (
            "--tunnel-listen 4433 --tunnel home=HOME --may-listen db:80",
            "argument \"db:80\": db:80 is a name, and listening needs an IP address\n",
        ),
    ] {
        let told = told(line);
        assert!(
            told.starts_with(words) || told.contains(&format!("\n{words}")),
            "{line}:\n{told}\nand not:\n{words}"
        );
    }
}

#[test]
fn a_tunnel_of_the_file_is_not_defined_anew_nor_dialled_twice_nor_named_for_nothing() {
    let file = "[tunnel]\nlisten = '4433'\n[tunnels.home]\npublic_key = 'HOME'\n\
                [tunnels.vps]\nconnect = 'vps:4433'\npublic_key = 'OFFICE'\n";
    for (line, words) in [
        (
            "--tunnel home=OFFICE",
            "the file has a tunnel home already\n = help: write --tunnel home, or another name\n",
        ),
        (
            "-R 1:2 --tunnel vps#OFFICE",
            "tunnel vps leads to the holder of this key already\n = help: write --tunnel vps\n",
        ),
        ("--tunnel vps", "nothing goes through tunnel vps\n"),
        (
            "-R 1:2 --tunnel other",
            "there is no tunnel other\n = help: write other#KEY, with what \"loopgate tunnel key --public\" prints there; the file has home, vps\n",
        ),
    ] {
        let told = plan_beside(file, OfFile::All, line).expect_err(line);
        assert!(told.contains(&format!(": {words}")), "{line}:\n{told}\nand not:\n{words}");
    }
}

#[test]
fn a_login_as_ssh_takes_it_is_answered_with_a_tunnel_and_with_ssh_itself() {
    for (line, words) in [
        (
            "-R 8080:localhost:3000 root@vps",
            "argument \"root@vps\" is a machine to log in to, and Loopgate logs in nowhere\n = help: with Loopgate there, name \
             it by its key: --tunnel vps#KEY; or use ssh itself: ssh -N -R 8080:localhost:3000 root@vps\n",
        ),
        (
            "-R 8080:localhost:3000 vps",
            "argument \"vps\" is a machine to log in to, and Loopgate logs in nowhere\n = help: with Loopgate there, name \
             it by its key: --tunnel vps#KEY; or use ssh itself: ssh -N -R 8080:localhost:3000 vps\n",
        ),
        (
            "5432:db:5432 user@host",
            "argument \"user@host\" is a machine to log in to, and Loopgate logs in nowhere\n = help: to connect from here, \
             leave it out; with Loopgate there, name it by its key: --tunnel host#KEY; or use ssh itself: ssh -N -L \
             5432:db:5432 user@host\n",
        ),
        (
            "root@vps",
            "argument \"root@vps\" is a machine to log in to, and Loopgate logs in nowhere\n = help: to go through it, name it \
             by its key: --tunnel vps#KEY, with -L or -R\n",
        ),
    ] {
        assert_eq!(told(line), words, "{line}");
    }
}

#[test]
fn a_key_that_cannot_be_read_is_not_shown_since_it_may_be_the_private_one() {
    for line in
        ["-R 1:2 --tunnel vps#ed25519:c2VjcmV0", "-R 1:2 --tunnel vps#c2VjcmV0", "--tunnel home=c2VjcmV0"]
    {
        let told = told(line);
        assert!(!told.contains("c2VjcmV0") && told.contains("***"), "{told}");
        assert_eq!(told.matches("argument").count(), 1, "one fault, told once: {told}");
    }
}
