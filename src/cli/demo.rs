//! `loopgate demo`: a route to a small built-in target.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::run::serve;
use crate::address::{ListenAddress, Numbered, TargetAddress};
use crate::engine::Declared;
use crate::ledger::{LineQueue, LogFormat};
use crate::plan::{self, Plan, RouteName, Sources};
use crate::sources::Reloader;

/// The route's default listen address.
pub(super) const ADDRESS: &str = "127.0.0.1:62893";

const NAME: &str = "demo";

/// The longest request, in bytes.
const MAX_REQUEST: usize = 8 << 10;
/// The most time for a request and its answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// The size of `/large`, in bytes.
const LONG_ANSWER: usize = 64 << 20;

// The empty icon keeps browsers from requesting /favicon.ico, so that one visit is one record.
const PAGE: &str = "<!doctype html><meta charset=utf-8><meta name=viewport content='width=device-width'>
<title>Loopgate demo</title><link rel=icon href=data:,>
<style>body{font:1.1em/1.6 system-ui,sans-serif;max-width:38em;margin:4em auto;padding:0 1em;color-scheme:light dark}
code{background:#8883;padding:.1em .3em;border-radius:.2em}</style>
<h1>It works</h1>
<p>Loopgate accepted your connection, forwarded it to this small service and returned the answer. The record of your
visit is in its terminal: <code>end=done</code> means that both sides closed normally and every byte was delivered.
(Browsers also open spare connections and close them unused: <code>up=0 down=0</code>.)
<p>Now fetch <a href=/large>64 MiB</a>: its record says <code>way=splice</code>, because the bytes never left the kernel.
<p>To forward to your own service, say on port 3000: <code>loopgate 8080:3000</code>.
";

/// Runs until a signal stops it.
pub(super) fn demo(listen: &ListenAddress, format: Option<LogFormat>) -> u8 {
    // A placeholder for the target's port, which is known only once the target listens. It differs from the route's own
    // port, or the plan would be a loop.
    let unknown = if listen.port() == Some(1) { 2 } else { 1 };
    let Ok(mut plan) = plan::parse("", "", &[format!("{listen}:127.0.0.1:{unknown}")]) else {
        unreachable!("the demo's own route is well formed")
    };
    plan.log.format = format.unwrap_or_default();
    let reloader = |plan, handle| Reloader::new(Sources::default(), plan, handle);
    let before = async |plan: &mut Plan| {
        let target = start_target().await?;
        point_at(plan, target);
        Ok(())
    };
    let after = async |declared: &Declared, _: &LineQueue| {
        invite(declared);
        Ok(None)
    };
    serve(plan, reloader, before, after)
}

/// Logged last, so that it appears directly above the records.
fn invite(declared: &Declared) {
    for listening in &declared.listening {
        let address = &listening.address;
        tracing::info!("open http://{address}/ or run: curl http://{address}/");
        tracing::info!("each connection becomes one record below; Ctrl-C stops");
    }
}

fn point_at(plan: &mut Plan, target: SocketAddr) {
    let routes = std::mem::take(&mut plan.routes);
    for (_, route) in routes {
        let mut route = (*route).clone();
        route.name = RouteName(NAME.into());
        route.targets = vec![TargetAddress::from(target).into()];
        plan.routes.insert(route.name.clone(), route.into());
    }
}

pub(super) async fn start_target() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    Handle::current().spawn(async move {
        loop {
            match listener.accept().await {
                Ok((visitor, _)) => {
                    Handle::current()
                        .spawn(async move { drop(timeout(REQUEST_TIMEOUT, serve_one(visitor)).await) });
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    });
    Ok(address)
}

/// Answers one request and closes.
async fn serve_one(mut visitor: TcpStream) -> io::Result<()> {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        if request.len() >= MAX_REQUEST || visitor.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    let is_large = request.starts_with(b"GET /large ");
    let (kind, length) =
        if is_large { ("application/octet-stream", LONG_ANSWER) } else { ("text/html", PAGE.len()) };
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    visitor.write_all(head.as_bytes()).await?;
    if is_large {
        let block = vec![b'.'; 1 << 20];
        for _ in 0..LONG_ANSWER / block.len() {
            visitor.write_all(&block).await?;
        }
    } else if !request.starts_with(b"HEAD ") {
        visitor.write_all(PAGE.as_bytes()).await?;
    }
    visitor.shutdown().await?;
    // Closing a socket with unread data would send a reset and destroy the answer.
    while visitor.read(&mut [0; 512]).await? > 0 {}
    Ok(())
}
