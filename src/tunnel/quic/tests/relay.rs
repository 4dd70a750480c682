//! A way between two ends for datagrams, which loses, blocks, and changes the address from which it sends on: a NAT.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use tokio::net::UdpSocket;
use tokio::runtime::Handle;
use tokio::sync::Notify;

pub(super) struct Relay {
    /// Where the dialling end sends to.
    pub(super) port: u16,
    way: Arc<Way>,
}

struct Way {
    near: UdpSocket,
    to: SocketAddr,
    client: Mutex<Option<SocketAddr>>,
    is_blocked: AtomicBool,
    /// Of a hundred datagrams.
    lost: AtomicU32,
    passed: AtomicU64,
    /// What the dialling end has sent, while it is recorded.
    recorded: Mutex<Option<Vec<Vec<u8>>>>,
    changed: Notify,
}

impl Relay {
    pub(super) async fn to(to: SocketAddr) -> Relay {
        let near = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let port = near.local_addr().unwrap().port();
        let way = Arc::new(Way {
            near,
            to,
            client: Mutex::default(),
            is_blocked: AtomicBool::new(false),
            lost: AtomicU32::new(0),
            passed: AtomicU64::new(0),
            recorded: Mutex::default(),
            changed: Notify::new(),
        });
        let far = Arc::new(tokio::sync::Mutex::new(Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap())));
        let (there, back) = (way.clone(), way.clone());
        let far_there = far.clone();
        Handle::current().spawn(async move {
            let mut room = vec![0; 65_536];
            while let Ok((length, from)) = there.near.recv_from(&mut room).await {
                *there.client.lock().unwrap() = Some(from);
                if let Some(recorded) = &mut *there.recorded.lock().unwrap() {
                    recorded.push(room[..length].to_vec());
                }
                if there.passes() {
                    let far = far_there.lock().await.clone();
                    let _ = far.send_to(&room[..length], there.to).await;
                }
            }
        });
        Handle::current().spawn(async move {
            let mut room = vec![0; 65_536];
            loop {
                let socket = far.lock().await.clone();
                tokio::select! {
                    Ok((length, _)) = socket.recv_from(&mut room) => {
                        let client = *back.client.lock().unwrap();
                        if let Some(client) = client && back.passes() {
                            let _ = back.near.send_to(&room[..length], client).await;
                        }
                    }
                    () = back.changed.notified() => {
                        *far.lock().await = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
                    }
                }
            }
        });
        Relay { port, way }
    }

    pub(super) fn block(&self, is_blocked: bool) {
        self.way.is_blocked.store(is_blocked, Relaxed);
    }

    /// Loses so many of a hundred.
    pub(super) fn lose(&self, of_a_hundred: u32) {
        self.way.lost.store(of_a_hundred, Relaxed);
    }

    /// From now on it sends from another port.
    pub(super) fn change_source(&self) {
        self.way.changed.notify_one();
    }

    pub(super) fn record(&self) {
        *self.way.recorded.lock().unwrap() = Some(Vec::new());
    }

    pub(super) fn recorded(&self) -> Vec<Vec<u8>> {
        self.way.recorded.lock().unwrap().take().unwrap_or_default()
    }
}

impl Way {
    fn passes(&self) -> bool {
        let n = self.passed.fetch_add(1, Relaxed);
        // Evenly spread, and the same in each run.
        let dice = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        !self.is_blocked.load(Relaxed) && dice % 100 >= u64::from(self.lost.load(Relaxed))
    }
}
