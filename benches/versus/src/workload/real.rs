//! Clients and servers of the real world, with a forwarder between them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{Measured, Scene};
use crate::contestant::{Contestant, on_path};
use crate::figures::Figures;
use crate::forwarders::{Front, Load};
use crate::spent::Spent;
use crate::turn::Turn;
use loopgate_load::{Answer, Fallible, Group, spent};

/// Upload, as iperf3 does by default: the other direction than our own bulk.
pub(super) fn iperf3(contestant: &Contestant, scene: &Scene) -> Fallible<Measured> {
    let server =
        |listen: SocketAddr| command("iperf3", &["-s", "-B", "127.0.0.1", "-p", &listen.port().to_string()]);
    let turn = Turn::with_server(contestant, Load::Streams(Front::Plain), server, scene.scratch)?;
    let (port, seconds) = (turn.address.port().to_string(), whole_seconds(scene));
    let client = command("iperf3", &["-c", "127.0.0.1", "-p", &port, "-t", &seconds, "-J"]);
    let (text, spent) = finish(client, &turn, scene)?;

    let report: serde_json::Value = serde_json::from_str(&text)?;
    let received = &report["end"]["sum_received"];
    let figure = |key: &str| received[key].as_f64().ok_or_else(|| format!("iperf3 reports no {key}"));
    let mut figures = Figures::from([("rate", figure("bits_per_second")? / 8e9)]);
    let gigabytes = figure("bytes")? / 1e9;
    spent.add_to(&mut figures, 1.0 / gigabytes);
    Ok(Measured { figures, failures: BTreeMap::new() })
}

pub(super) fn redis(contestant: &Contestant, scene: &Scene) -> Fallible<Measured> {
    let server = |listen: SocketAddr| {
        let port = listen.port().to_string();
        command("redis-server", &["--bind", "127.0.0.1", "--port", &port, "--save", "", "--appendonly", "no"])
    };
    let turn = Turn::with_server(contestant, Load::Messages(Front::Plain), server, scene.scratch)?;
    let count = if scene.options.smoke { 2_000.0 } else { 50_000.0 * scene.options.measured().as_secs_f64() };
    let (port, requests) = (turn.address.port().to_string(), (count as u64).to_string());
    let arguments =
        ["-h", "127.0.0.1", "-p", &port, "-c", "50", "-n", &requests, "-d", "64", "-t", "get", "--csv"];
    let (text, spent) = finish(command("redis-benchmark", &arguments), &turn, scene)?;

    // "GET","rps","average","min","p50","p95","p99","max", milliseconds all
    let line =
        text.lines().find(|line| line.starts_with("\"GET\"")).ok_or("redis-benchmark reports no GET")?;
    let fields: Vec<f64> =
        line.split(',').map(|field| field.trim_matches('"').parse().unwrap_or(f64::NAN)).collect();
    let [_, rate, _, _, p50, _, p99, ..] = fields[..] else {
        return Err("redis-benchmark reports too few columns".into());
    };
    let mut figures = Figures::from([("rate", rate), ("p50", p50 * 1e3), ("p99", p99 * 1e3)]);
    spent.add_to(&mut figures, 1e6 / count);
    Ok(Measured { figures, failures: BTreeMap::new() })
}

pub(super) fn wrk(contestant: &Contestant, scene: &Scene) -> Fallible<Measured> {
    let turn = Turn::with_answer(contestant, Load::Messages(Front::Plain), Answer::Http, scene.scratch)?;
    let (url, duration) = (format!("http://{}/", turn.address), format!("{}s", whole_seconds(scene)));
    let (text, spent) =
        finish(command("wrk", &["-t1", "-c50", "-d", &duration, "--latency", &url]), &turn, scene)?;

    let after = |key: &str| text.lines().find_map(|line| line.trim().strip_prefix(key)).map(str::trim);
    let rate = after("Requests/sec:").and_then(|rate| rate.parse().ok()).ok_or("wrk reports no rate")?;
    let requests: Option<f64> =
        text.lines().find_map(|line| line.trim().split_once(" requests in")?.0.parse().ok());
    let mut figures = Figures::from([("rate", rate)]);
    figures.extend(after("50%").and_then(microseconds).map(|p50| ("p50", p50)));
    figures.extend(after("99%").and_then(microseconds).map(|p99| ("p99", p99)));
    if let Some(requests) = requests {
        spent.add_to(&mut figures, 1e6 / requests);
    }
    let failures = after("Socket errors:").map(socket_errors).unwrap_or_default();
    figures.insert("failed", failures.values().sum::<u64>() as f64);
    Ok(Measured { figures, failures })
}

/// `1.25ms` in microseconds.
fn microseconds(text: &str) -> Option<f64> {
    let unit = text.find(|letter: char| letter.is_ascii_alphabetic())?;
    let number: f64 = text[..unit].parse().ok()?;
    match &text[unit..] {
        "us" => Some(number),
        "ms" => Some(number * 1e3),
        "s" => Some(number * 1e6),
        _ => None,
    }
}

/// `connect 0, read 3, write 0, timeout 0` without its zeros.
fn socket_errors(text: &str) -> BTreeMap<String, u64> {
    let errors = text.split(", ").filter_map(|error| error.rsplit_once(' '));
    let errors = errors.filter_map(|(cause, count)| Some((cause.to_owned(), count.parse().ok()?)));
    errors.filter(|(_, count)| *count > 0).collect()
}

/// Runs a client to its end; returns what it printed and who spent how much meanwhile.
fn finish(mut client: Command, turn: &Turn, scene: &Scene) -> Fallible<(String, Spent)> {
    let output = scene.scratch.join("client.out");
    let errors = scene.scratch.join("client.err");
    client.stdin(Stdio::null()).stdout(File::create(&output)?);
    // The client is the only group that ends meanwhile.
    let (before, ended) = (turn.so_far(), spent());
    let mut group = Group::start(&mut client, &errors)?;
    let deadline = Instant::now() + scene.options.measured() * 4 + Duration::from_secs(15);
    let status = loop {
        match group.ended() {
            Some(status) => break status,
            None if Instant::now() > deadline => return Err("its client does not come to an end".into()),
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    let spent = turn.so_far().since(before, spent() - ended);
    let text = fs::read_to_string(&output)?;
    if !status.success() {
        let words = fs::read_to_string(&errors)? + &text;
        return Err(
            format!("its client ended with {status}: {}", words.trim().lines().last().unwrap_or("")).into()
        );
    }
    Ok((text, spent))
}

fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(on_path(program).unwrap_or_else(|| program.into()));
    command.args(arguments);
    command
}

/// These clients count in whole seconds.
fn whole_seconds(scene: &Scene) -> String {
    (scene.options.measured().as_secs_f64().ceil().max(1.0) as u64).to_string()
}
