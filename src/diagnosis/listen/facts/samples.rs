//! Invented facts for tests of the rules and of the wording.

use std::time::Duration;

use super::*;

pub(crate) fn socket(state: TcpState, local: &str, remote: &str, inode: u32) -> Socket {
    Socket {
        state,
        local: local.parse().unwrap(),
        remote: remote.parse().unwrap(),
        inode,
        uid: 1000,
        receive_queue: 0,
        send_queue: 128,
        v6only: None,
        cgroup: None,
        interface: local.split_once('%').map_or(0, |(_, rest)| rest[..1].parse().unwrap()),
        expires: (state == TcpState::TimeWait).then_some(Duration::from_secs(58)),
    }
}

pub(crate) fn listener(local: &str, inode: u32) -> Socket {
    socket(TcpState::Listen, local, "0.0.0.0:0", inode)
}

pub(crate) fn holder(pid: u32, comm: &str) -> Holder {
    Holder {
        pid,
        comm: comm.to_owned(),
        cmdline: vec![comm.to_owned(), "--serve".to_owned()],
        exe: Some(format!("/usr/bin/{comm}")),
        uid: 1000,
        user: Some("ana".to_owned()),
        started: None,
        since_boot: Some(Duration::from_secs(60)),
        age: Some(Duration::from_secs(42 * 60)),
        cwd: Some("/home/ana/shop".to_owned()),
        terminal: None,
        parent: 1,
        chain: Vec::new(),
        state: 'S',
        tracer: None,
        unit: None,
        container: None,
        same_program: false,
        this_process: false,
        proven: true,
        sockets: Vec::new(),
    }
}

/// A failed bind without a blocking socket.
pub(in crate::diagnosis::listen) fn failure(address: &str, errno: i32) -> BindFacts {
    BindFacts {
        address: address.parse().unwrap(),
        transport: Transport::Tcp,
        errno,
        os_message: os_message(&io::Error::from_raw_os_error(errno)),
        blockers: Vec::new(),
        held: Vec::new(),
        candidates: Vec::new(),
        idle: Vec::new(),
        shares: None,
        socket_unit: None,
        owner: Some("ana".to_owned()),
        closed: 0,
        hidepid: false,
        maybe_others: false,
        not_readable: Vec::new(),
        next_free: Some(8081),
        instead: Vec::new(),
        free_beside: Vec::new(),
        ports: PortRules::default(),
        rights: Rights { uid: 1000, ..Rights::default() },
        descriptors: Descriptors { soft: Some(64), hard: Some(1024), used: Some(64) },
        network: Network { ipv4: Some(vec![("127.0.0.0".parse().unwrap(), 8)]), ipv6: Some(Vec::new()) },
        links: Vec::new(),
        link: None,
        ipv6_off: false,
    }
}

/// The same with blocking sockets, each with its holders.
pub(in crate::diagnosis::listen) fn taken(address: &str, blockers: Vec<(Socket, Vec<Holder>)>) -> BindFacts {
    let mut facts = failure(address, libc::EADDRINUSE);
    for (socket, holders) in blockers {
        let inode = socket.inode;
        facts.held.extend(holders.into_iter().map(|holder| Held { inode, descriptor: 3, holder }));
        let overlap = overlap(facts.address, &socket).unwrap();
        facts.blockers.push(Blocker { socket, overlap, remote_listens: false, device: None });
    }
    facts
}
