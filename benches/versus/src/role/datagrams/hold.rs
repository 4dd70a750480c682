//! Idle flows: opened with one question and its answer, then only held.

use std::net::{SocketAddr, UdpSocket};

use super::client;
use loopgate_load::{Fallible, MESSAGE, PATIENCE, hold_each};

pub(super) fn obey(target: &UdpSocket, to: SocketAddr) -> Fallible<()> {
    target.set_read_timeout(Some(PATIENCE))?;
    hold_each(|| open(target, to))
}

fn open(target: &UdpSocket, to: SocketAddr) -> std::io::Result<UdpSocket> {
    let flow = client(to)?;
    flow.set_read_timeout(Some(PATIENCE))?;
    flow.send(&[b'?'; MESSAGE])?;
    let (length, from) = target.recv_from(&mut [0; MESSAGE])?;
    target.send_to(&[b'!'; MESSAGE][..length], from)?;
    flow.recv(&mut [0; MESSAGE])?;
    Ok(flow)
}
