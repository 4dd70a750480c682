//! The yardstick for UDP: what carrying datagrams costs on this machine, and nothing besides.
//!
//! recvmmsg(2) with UDP_GRO, a connected socket per flow, sendmmsg(2) with UDP_SEGMENT, one epoll set, one thread. It
//! knows no idle flow, no limit, no refusal and no record, so nobody could use it, and it is no competitor: a forwarder
//! that costs as much has nothing left to save but system calls. It is this program itself, as the load generators are.
//!
//! IPv4 only, as the bench's addresses are.

use std::collections::HashMap;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::process::Command;

use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, send, sendmmsg,
    sendto, setsockopt, sockopt,
};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::process::{Signal, set_parent_process_death_signal};

use crate::Fallible;
use crate::forwarders::Job;

/// Its name in the lineup.
pub(crate) const YARDSTICK: &str = "yardstick";

const ARGUMENT: &str = "--yardstick";

/// What the listener is called in the epoll set; a flow is called by its number.
const LISTENER: u64 = u64::MAX;

/// Datagrams or trains taken in one call, from clients and from one flow's target.
const BATCH: usize = 64;
const FEW: usize = 8;

/// The longest train, and the way from one place to the next: no power of two, which would put the beginnings of all
/// places into one set of the processor's cache.
const LONGEST: usize = 65_535;
const STRIDE: usize = LONGEST + 1 + 9 * 64;

/// How to start it, as for any other forwarder.
pub(crate) fn command(program: &Path, job: &Job) -> io::Result<Command> {
    let route = job.routes[0];
    let mut command = Command::new(program);
    command.args([ARGUMENT, &route.listen.to_string(), &route.target.to_string()]);
    Ok(command)
}

/// Forwards until it is killed, if this process was started for that.
pub(crate) fn asked_for() -> Option<Fallible<()>> {
    let mut arguments = std::env::args().skip(1);
    if arguments.next()? != ARGUMENT {
        return None;
    }
    Some(forward(&mut arguments))
}

fn forward(arguments: &mut impl Iterator<Item = String>) -> Fallible<()> {
    // Unlike other forwarders, it need not outlive a bench that was killed.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let mut next = || -> Fallible<SocketAddrV4> { Ok(arguments.next().unwrap_or_default().parse()?) };
    let (listen, target) = (next()?, next()?);
    Yardstick::new(UdpSocket::bind(listen)?, target.into())?.run()
}

struct Yardstick {
    listener: UdpSocket,
    target: SocketAddr,
    poll: OwnedFd,
    flows: Vec<(UdpSocket, SockaddrIn)>,
    by_client: HashMap<SockaddrIn, usize>,
    sender: Sender,
}

impl Yardstick {
    fn new(listener: UdpSocket, target: SocketAddr) -> io::Result<Yardstick> {
        prepare(&listener, 4 << 20)?;
        let poll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&poll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
        let (flows, by_client, sender) = (Vec::new(), HashMap::new(), Sender::new());
        Ok(Yardstick { listener, target, poll, flows, by_client, sender })
    }

    fn run(mut self) -> Fallible<()> {
        let mut events = Vec::with_capacity(256);
        let mut arrivals = Arrivals { memory: vec![0; BATCH * STRIDE], pieces: Vec::with_capacity(BATCH) };
        loop {
            events.clear();
            epoll::wait(&self.poll, spare_capacity(&mut events), None)?;
            let numbers = events.iter().map(|event| event.data.u64());
            for flow in numbers.clone().filter(|number| *number != LISTENER) {
                if arrivals.pieces.len() + FEW > BATCH {
                    self.answer(&mut arrivals);
                }
                let (socket, client) = &self.flows[flow as usize];
                arrivals.receive(socket, FEW, Some(*client));
            }
            self.answer(&mut arrivals);
            if numbers.clone().any(|number| number == LISTENER) {
                self.ask(&mut arrivals)?;
            }
        }
    }

    fn ask(&mut self, arrivals: &mut Arrivals) -> io::Result<()> {
        arrivals.receive(&self.listener, BATCH, None);
        let same = |one: &Piece, next: &Piece| one.client == next.client && one.segment == next.segment;
        for run in arrivals.pieces.chunk_by(same) {
            let flow = match self.by_client.get(&run[0].client) {
                Some(flow) => *flow,
                None => self.open(run[0].client)?,
            };
            self.sender.send(&self.flows[flow].0, false, run, arrivals);
        }
        arrivals.pieces.clear();
        Ok(())
    }

    /// Answers of all flows leave in one call.
    fn answer(&mut self, arrivals: &mut Arrivals) {
        for run in arrivals.pieces.chunk_by(|one, next| one.segment == next.segment) {
            self.sender.send(&self.listener, true, run, arrivals);
        }
        arrivals.pieces.clear();
    }

    fn open(&mut self, client: SockaddrIn) -> io::Result<usize> {
        let flow = UdpSocket::bind("127.0.0.1:0")?;
        prepare(&flow, 1 << 20)?;
        flow.connect(self.target)?;
        let number = self.flows.len();
        epoll::add(&self.poll, &flow, EventData::new_u64(number as u64), EventFlags::IN)?;
        self.flows.push((flow, client));
        self.by_client.insert(client, number);
        Ok(number)
    }
}

fn prepare(socket: &UdpSocket, buffer: usize) -> io::Result<()> {
    if setsockopt(socket, sockopt::RcvBufForce, &buffer).is_err() {
        setsockopt(socket, sockopt::RcvBuf, &buffer)?;
    }
    setsockopt(socket, sockopt::UdpGroSegment, &true)?;
    socket.set_nonblocking(true)
}

/// What was taken and not sent yet: the n-th piece in the n-th place.
struct Arrivals {
    memory: Vec<u8>,
    pieces: Vec<Piece>,
}

/// A datagram, or a train of them if `segment` is not 0.
struct Piece {
    client: SockaddrIn,
    place: usize,
    length: usize,
    segment: u16,
}

impl Arrivals {
    /// Takes at most so many pieces, from this client or from whoever sent them. An error, such as a refusal that the
    /// kernel reports, is left alone: nothing was taken then.
    fn receive(&mut self, socket: &UdpSocket, most: usize, client: Option<SockaddrIn>) {
        let first = self.pieces.len();
        let free = self.memory.chunks_exact_mut(STRIDE).skip(first).take(most);
        let mut places: Vec<_> = free.map(|place| [IoSliceMut::new(&mut place[..LONGEST])]).collect();
        // Anew for every call: the library leaves the room for control messages as the last call used it up.
        let mut headers = MultiHeaders::<SockaddrIn>::preallocate(most, Some(nix::cmsg_space!(i32)));
        let flags = MsgFlags::MSG_DONTWAIT;
        let Ok(taken) = recvmmsg(socket.as_raw_fd(), &mut headers, &mut places, flags, None) else { return };
        for (place, message) in (first..).zip(taken) {
            let (length, Some(from)) = (message.bytes, message.address) else { continue };
            let segment = message.cmsgs().ok().and_then(|mut all| {
                all.find_map(|one| match one {
                    ControlMessageOwned::UdpGroSegments(segment) => u16::try_from(segment).ok(),
                    _ => None,
                })
            });
            let segment = segment.filter(|segment| usize::from(*segment) < length).unwrap_or(0);
            self.pieces.push(Piece { client: client.unwrap_or(from), place, length, segment });
        }
    }

    fn bytes(&self, piece: &Piece) -> &[u8] {
        &self.memory[piece.place * STRIDE..][..piece.length]
    }
}

/// What sendmmsg(2) reads: for datagrams alone, and for trains.
struct Sender {
    alone: MultiHeaders<SockaddrIn>,
    trains: MultiHeaders<SockaddrIn>,
}

impl Sender {
    fn new() -> Sender {
        let trains = MultiHeaders::preallocate(BATCH, Some(nix::cmsg_space!(u16)));
        Sender { alone: MultiHeaders::preallocate(BATCH, None), trains }
    }

    /// Sends pieces of one segment length, to their clients or where the socket is connected to. Those that the kernel
    /// does not take are lost.
    fn send(&mut self, socket: &UdpSocket, to_clients: bool, pieces: &[Piece], arrivals: &Arrivals) {
        let (socket, flags) = (socket.as_raw_fd(), MsgFlags::MSG_DONTWAIT);
        if let [piece @ Piece { segment: 0, .. }] = pieces {
            let bytes = arrivals.bytes(piece);
            let _ = if to_clients {
                sendto(socket, bytes, &piece.client, flags)
            } else {
                send(socket, bytes, flags)
            };
            return;
        }
        let parts: Vec<_> = pieces.iter().map(|piece| [IoSlice::new(arrivals.bytes(piece))]).collect();
        let to: Vec<_> = pieces.iter().map(|piece| to_clients.then_some(piece.client)).collect();
        let segment = pieces[0].segment;
        let train = [ControlMessage::UdpGsoSegments(&segment)];
        let (headers, control) =
            if segment == 0 { (&mut self.alone, &train[..0]) } else { (&mut self.trains, &train[..]) };
        let mut done = 0;
        while done < parts.len() {
            let sent = sendmmsg(socket, headers, &parts[done..], &to[done..], control, flags);
            done += sent.map_or(1, |sent| sent.count().max(1));
        }
    }
}
