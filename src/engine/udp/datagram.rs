//! A datagram in transit, and what prevents its delivery.

use crate::outcome::{Cause, DropReason};

/// One datagram or one train for a target.
#[derive(Clone, Copy)]
pub(super) struct Piece<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) segment: usize,
}

impl Piece<'_> {
    pub(super) fn count(&self) -> u64 {
        match self.segment {
            0 => 1,
            segment => self.bytes.len().div_ceil(segment).max(1) as u64,
        }
    }
}

/// What an error of sendmmsg(2) refers to.
pub(super) enum SendFailure {
    /// The train as such; its datagrams may be sent singly.
    Train,
    /// This one datagram or train.
    Datagram(DropReason),
    /// The target or the path to it.
    Target(Cause),
}

impl SendFailure {
    pub(super) fn of(error: &std::io::Error, segment: usize) -> SendFailure {
        let Some(code) = error.raw_os_error() else { return SendFailure::Datagram(DropReason::Unsent) };
        match code {
            libc::EMSGSIZE | libc::EINVAL | libc::EIO | libc::EOPNOTSUPP if segment > 0 => SendFailure::Train,
            libc::EMSGSIZE => SendFailure::Datagram(DropReason::TooBig),
            libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM => SendFailure::Datagram(DropReason::NoRoom),
            libc::EINTR | libc::EINVAL => SendFailure::Datagram(DropReason::Unsent),
            _ => SendFailure::Target(Cause::of_dial(error)),
        }
    }

    pub(super) fn drop_reason(self) -> DropReason {
        match self {
            SendFailure::Datagram(why) => why,
            SendFailure::Train | SendFailure::Target(_) => DropReason::Unsent,
        }
    }
}
