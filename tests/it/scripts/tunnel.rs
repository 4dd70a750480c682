//! A tunnel between two programs of this process, as their files would have it.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use loopgate::plan;
use loopgate::sources::declare;
use loopgate::transport::tunnel::identity::PrivateKey;
use loopgate::tunnel::Tunnels;

use crate::harness::{ClosedPort, Proxy, ProxyBuilder, wait_until};

/// Who opens the sessions of a tunnel: the client connects there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Opener {
    Dialling,
    Accepting,
}

/// What keeps a tunnel.
pub(super) struct Tunnel {
    client_port: ClosedPort,
    _listener: ClosedPort,
    _ends: [Tunnels; 2],
}

impl Tunnel {
    /// Both ends, from the client on, once the tunnel is up. `hops` are keys of the route, first where the client connects,
    /// then where the target is dialled.
    pub(super) fn up(
        builder: ProxyBuilder,
        opener: Opener,
        hops: &[&str],
        target: SocketAddr,
        folder: &Path,
    ) -> (Vec<Proxy>, Tunnel) {
        let (listener, client_port) = (ClosedPort::port(), ClosedPort::port());
        let ([first, second], client) = ([hops[0], hops[1]], client_port.address);
        let (at_vps, at_home, permits) = match opener {
            Opener::Dialling => (
                format!("[routes.test]\nlisten = 'tunnel:home'\ntarget = '{target}'\n{second}\n"),
                format!("[routes.test]\nlisten = '{client}'\ntarget = 'tunnel:vps/test'\n{first}\n"),
                String::new(),
            ),
            Opener::Accepting => (
                String::new(),
                format!("[routes.test]\nlisten = 'tunnel:vps/{client}'\ntarget = '{target}'\n{second}\n"),
                format!("may_listen = ['{client}']\n[tunnels.home.defaults]\n{first}\n"),
            ),
        };
        let [(vps_key, vps_file), (home_key, home_file)] =
            ["vps", "home"].map(|name| key(&folder.join(name)));
        let listen = listener.address;
        let (vps, vps_tunnels) = end(
            builder,
            &format!(
                "[tunnel]\nlisten = '{listen}'\nprivate_key = '{vps_file}'\n[tunnels.home]\npublic_key = \
                 '{home_key}'\n{permits}{at_vps}"
            ),
        );
        let (home, home_tunnels) = end(
            builder,
            &format!(
                "[tunnel]\nprivate_key = '{home_file}'\n[tunnels.vps]\nconnect = '{listen}'\npublic_key = \
                 '{vps_key}'\n{at_home}"
            ),
        );
        let (hops, name) = match opener {
            Opener::Dialling => (vec![home, vps], "vps"),
            Opener::Accepting => (vec![vps, home], "home"),
        };
        let line = hops[0].engine().lines().get(&name.parse().unwrap());
        wait_until("the tunnel is up", || {
            (line.is_up() && line.demand(Instant::now()).idle > 0).then_some(())
        });
        (hops, Tunnel { client_port, _listener: listener, _ends: [vps_tunnels, home_tunnels] })
    }

    /// Where the client connects.
    pub(super) fn client_at(&self) -> SocketAddr {
        self.client_port.address
    }
}

/// A new key in this file: what the other end is told of it, and the file.
fn key(file: &Path) -> (String, String) {
    let key = PrivateKey::generate().unwrap();
    key.write_new(file).unwrap();
    (key.public().to_string(), file.display().to_string())
}

/// One end, with this file.
fn end(builder: ProxyBuilder, file: &str) -> (Proxy, Tunnels) {
    let proxy = builder.with("routes.none = {listen = '127.0.0.1:0', target = '1'}");
    let plan = plan::parse("test", file, &[]).unwrap_or_else(|problems| panic!("{problems}"));
    let tunnels = Tunnels::new(proxy.engine().clone());
    proxy.runtime().block_on(declare(proxy.engine(), &tunnels, &plan)).unwrap();
    (proxy, tunnels)
}
