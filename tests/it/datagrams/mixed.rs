//! Datagrams of many clients and many lengths that wait together: joined into trains or not, each arrives as it was sent.

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};

use crate::harness::Proxy;
use crate::harness::datagrams::{receive, receive_from, socket};

const CLIENTS: usize = 5;

/// So many that some of them wait together, and so few that they fit every receive buffer.
const ROUNDS: u64 = 150;
const BURST: u64 = 40;

/// Numbers that look random, the same in each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        ((self.0 >> 33) % end) as usize
    }

    /// A burst: who sends, and what. Mostly of one length, as datagrams must be to be joined.
    fn burst(&mut self) -> Vec<(usize, Vec<u8>)> {
        let usual = [1, 63, 64, 100, 500, 1_400][self.below(6)];
        let mut all = Vec::new();
        while (all.len() as u64) < BURST {
            let who = self.below(CLIENTS as u64);
            for _ in 0..=self.below(8) {
                let length = match self.below(8) {
                    0 => 0,
                    1 => self.below(usual as u64),
                    2 => self.below(3_000),
                    _ => usual,
                };
                all.push((who, (0..length).map(|_| self.below(256) as u8).collect()));
            }
        }
        all
    }
}

/// What each client sent, or is sent, in its order.
fn of_each(all: &[(usize, Vec<u8>)]) -> Vec<Vec<&[u8]>> {
    let of = |n| all.iter().filter(move |(who, _)| *who == n).map(|(_, bytes)| &**bytes).collect();
    (0..CLIENTS).map(of).collect()
}

#[test]
fn datagrams_of_many_clients_and_lengths_arrive_in_each_ones_order_as_they_were_sent() {
    for (listen, ip) in [("127.0.0.1:0", "127.0.0.1"), ("0.0.0.0:0", "127.0.0.9"), ("[::1]:0", "::1")] {
        let target = socket(if ip == "::1" { "[::1]:0" } else { "127.0.0.1:0" });
        let to = target.local_addr().unwrap();
        let route = format!(
            "routes.test = {{listen = '{listen}', target = '{to}', protocol = 'udp', allow = ['0.0.0.0/0', '::/0']}}"
        );
        let proxy = Proxy::builder().with(&route);
        let asked = SocketAddr::new(ip.parse().unwrap(), proxy.address.port());
        let clients: [UdpSocket; CLIENTS] = std::array::from_fn(|_| {
            let client = socket(if ip == "::1" { "[::1]:0" } else { "127.0.0.1:0" });
            client.connect(asked).unwrap();
            client
        });
        let flows: Vec<SocketAddr> = clients
            .iter()
            .map(|client| {
                client.send(b"who").unwrap();
                receive_from(&target).1
            })
            .collect();
        let whose: HashMap<_, _> = flows.iter().enumerate().map(|(n, flow)| (*flow, n)).collect();
        let mut numbers = Numbers(7);

        for _ in 0..ROUNDS {
            let sent = numbers.burst();
            for (who, bytes) in &sent {
                clients[*who].send(bytes).unwrap();
            }
            let arrived: Vec<_> = sent
                .iter()
                .map(|_| {
                    let (bytes, flow) = receive_from(&target);
                    (whose[&flow], bytes)
                })
                .collect();
            assert!(of_each(&arrived) == of_each(&sent), "questions by way of {listen}");

            for (who, bytes) in &sent {
                target.send_to(bytes, flows[*who]).unwrap();
            }
            for (client, wanted) in clients.iter().zip(of_each(&sent)) {
                let answers: Vec<_> = wanted.iter().map(|_| receive(client)).collect();
                assert!(answers == wanted, "answers by way of {listen}");
            }
        }
    }
}
