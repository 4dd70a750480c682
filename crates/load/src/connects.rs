//! Short connections: connect, one exchange, close; the client closes first.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Instant;

use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType};

use crate::{Count, Poll, Span, Tally};
use crate::{Fallible, PATIENCE};

/// Where all go, what they say there, and how long the answer is.
pub struct Errand {
    /// The address.
    pub to: SocketAddr,
    /// What is sent first.
    pub first: Vec<u8>,
    /// How many bytes come back; 0 for a service that takes all and says nothing: there the answer is its end, after ours.
    pub answer: usize,
}

/// More than the longest answer.
const ROOM: usize = 1024;

/// One connection under way.
struct Visit {
    socket: OwnedFd,
    began: Instant,
    got: usize,
    step: Step,
}

#[derive(Clone, Copy, PartialEq)]
enum Step {
    Connecting,
    Asked,
}

/// Connects, exchanges once, closes; `at_once` at a time, `at_most` in all.
///
/// # Errors
/// If the poller fails; what fails of a connection is counted.
pub fn connects(errand: &Errand, at_once: usize, at_most: u64, span: Span) -> Fallible<Tally> {
    let mut poll = Poll::new()?;
    let mut count = Count::start(span);
    let mut visits: Vec<Option<Visit>> = (0..at_once).map(|_| None).collect();
    let mut begun = 0;
    for (key, place) in visits.iter_mut().enumerate() {
        begin_next(place, key, &poll, errand, &mut count, &mut begun, at_most);
    }
    while visits.iter().any(Option::is_some) {
        let mut silent = true;
        for key in poll.wait(Some(PATIENCE))? {
            silent = false;
            let place = &mut visits[key];
            let Some(visit) = place else { continue };
            match visit.go_on(errand, key, &poll) {
                Ok(false) => continue,
                Ok(true) => count.answered(1, visit.began, Instant::now()),
                Err(error) => count.failed(error, 1),
            }
            *place = None;
            begin_next(place, key, &poll, errand, &mut count, &mut begun, at_most);
        }
        if silent {
            count.failed("no answer for 3 s", visits.iter().flatten().count() as u64);
            break;
        }
        // A service that never stops talking is never silent either.
        if count.long_over(Instant::now()) {
            count.failed("the answer did not end", visits.iter().flatten().count() as u64);
            break;
        }
    }
    Ok(count.tally_until_latest())
}

/// Begins the next visit in this place, unless there was enough of them. One that fails at once is counted, and the
/// next is tried: a refusal must not make the load smaller.
fn begin_next(
    place: &mut Option<Visit>,
    key: usize,
    poll: &Poll,
    errand: &Errand,
    count: &mut Count,
    begun: &mut u64,
    at_most: u64,
) {
    while place.is_none() && *begun < at_most && !count.over(Instant::now()) {
        *begun += 1;
        match Visit::begin(errand, key, poll) {
            Ok(visit) => *place = Some(visit),
            Err(error) => count.failed(error, 1),
        }
    }
}

impl Visit {
    /// On loopback the handshake is over when `connect` returns, so the request mostly goes out at once.
    fn begin(errand: &Errand, key: usize, poll: &Poll) -> io::Result<Visit> {
        let began = Instant::now();
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let family = if errand.to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
        match rustix::net::connect(&socket, &errand.to) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        let step = ask(&socket, errand)?;
        poll.add(&socket, key, awaited(step))?;
        Ok(Visit { socket, began, got: 0, step })
    }

    /// True when the whole answer is here.
    fn go_on(&mut self, errand: &Errand, key: usize, poll: &Poll) -> io::Result<bool> {
        if self.step == Step::Connecting {
            self.step = ask(&self.socket, errand)?;
            poll.change(&self.socket, key, awaited(self.step))?;
            return Ok(false);
        }
        let mut answer = [0; ROOM];
        match rustix::net::recv(&self.socket, answer.as_mut_slice(), RecvFlags::empty()) {
            Ok((_, 0)) if errand.answer == 0 => Ok(true),
            Ok((_, 0)) => Err(io::Error::other("closed without an answer")),
            Ok((_, length)) => {
                self.got += length;
                Ok(errand.answer > 0 && self.got >= errand.answer)
            }
            Err(Errno::AGAIN) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

fn ask(socket: &OwnedFd, errand: &Errand) -> io::Result<Step> {
    match rustix::net::send(socket, &errand.first, SendFlags::NOSIGNAL) {
        Ok(_) if errand.answer > 0 => Ok(Step::Asked),
        Ok(_) => Ok(rustix::net::shutdown(socket, Shutdown::Write).map(|()| Step::Asked)?),
        Err(Errno::AGAIN) => Ok(Step::Connecting),
        Err(error) => Err(error.into()),
    }
}

fn awaited(step: Step) -> EventFlags {
    match step {
        Step::Connecting => EventFlags::OUT,
        Step::Asked => EventFlags::IN,
    }
}
