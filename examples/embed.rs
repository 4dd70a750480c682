//! The library in forty lines: a route inside your own program, its records in your own hands.
//!
//! ```text
//! cargo run --example embed
//! ```
//!
//! It starts a target that echoes, forwards a port to it, talks to it through that port, and stops in order.
#![allow(clippy::print_stdout, reason = "an example answers on its terminal")]

use std::error::Error;
use std::net::TcpListener;
use std::thread;

use loopgate::engine::{self, Settings, Source};
use loopgate::ledger::{Ledger, Record};
use loopgate::plan;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let target = TcpListener::bind("127.0.0.1:0")?;
    let route =
        format!("routes.echo = {{ listen = \"127.0.0.1:0\", target = \"{}\" }}", target.local_addr()?);
    thread::spawn(move || echo_once(&target));

    // A plan is what a configuration means; every problem in it would be told with its place.
    let plan = plan::parse("embed", &route, &[])?;
    // The ledger hands over one record for each session, at its end. A sink must not block.
    let ledger = Ledger::new(Box::new(|record: &Record| println!("{record}")));
    let engine = engine::start(Settings::fitting(&plan), ledger)?;
    // All routes listen once this returns, or none does. Declare again, and only the difference is carried out.
    let declared = engine.declare(Source::file(), plan.routes.clone()).await?;

    let mut client = TcpStream::connect(declared.listening[0].address.to_string()).await?;
    client.write_all(b"hello through the gate").await?;
    client.shutdown().await?;
    let mut answer = String::new();
    client.read_to_string(&mut answer).await?;
    println!("answer: {answer}");

    // Sessions that are left get this long to end by themselves; their records are written before this returns.
    engine.stop(plan.limits.drain_timeout).await?;
    Ok(())
}

fn echo_once(target: &TcpListener) -> std::io::Result<u64> {
    let (stream, _) = target.accept()?;
    std::io::copy(&mut &stream, &mut &stream)
}

#[test]
fn it_runs() {
    main().unwrap();
}
