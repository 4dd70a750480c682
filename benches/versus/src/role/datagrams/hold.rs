//! Idle flows: opened with one question and its answer, then only held.

use std::io::BufRead;
use std::net::{SocketAddr, UdpSocket};

use super::client;
use loopgate_load::{Fallible, Held, MESSAGE, PATIENCE, say};

const ENOUGH: usize = 5;

pub(super) fn obey(target: &UdpSocket, to: SocketAddr) -> Fallible<()> {
    target.set_read_timeout(Some(PATIENCE))?;
    let mut held = Vec::new();
    for line in std::io::stdin().lock().lines() {
        let wanted: usize = line?.parse()?;
        let mut failed = 0;
        held.truncate(wanted);
        while held.len() < wanted && failed < ENOUGH {
            match open(target, to) {
                Ok(flow) => held.push(flow),
                Err(_) => failed += 1,
            }
        }
        say(&Held { open: held.len(), failed })?;
    }
    Ok(())
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
