//! A datagram in transit, and what prevents its delivery.

use crate::outcome::{Cause, DropReason};

/// One datagram or one train, for a target or a client.
#[derive(Clone, Copy)]
pub(super) struct Piece<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) segment: usize,
}

impl<'a> Piece<'a> {
    /// The length of each datagram.
    pub(super) fn lengths(self) -> impl Iterator<Item = usize> {
        let most = if self.segment == 0 { usize::MAX } else { self.segment };
        let length = self.bytes.len();
        (0..self.count() as usize).map(move |n| (length - n * most.min(length)).min(most))
    }

    /// The first `count` datagrams, and the others.
    pub(super) fn split(self, count: u64) -> (Option<Piece<'a>>, Option<Piece<'a>>) {
        if count == 0 || count >= self.count() {
            return if count == 0 { (None, Some(self)) } else { (Some(self), None) };
        }
        let (first, rest) = self.bytes.split_at(self.segment * count as usize);
        let of = |bytes| Some(Piece { bytes, segment: self.segment });
        (of(first), of(rest))
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(piece: Option<Piece<'_>>) -> Vec<usize> {
        piece.map(|piece| piece.lengths().collect()).unwrap_or_default()
    }

    #[test]
    fn a_train_is_split_between_its_datagrams() {
        let train = Piece { bytes: &[0; 2_500], segment: 1_000 };
        let split = |count| {
            let (first, rest) = train.split(count);
            (lengths(first), lengths(rest))
        };

        assert_eq!(split(0), (vec![], vec![1_000, 1_000, 500]));
        assert_eq!(split(1), (vec![1_000], vec![1_000, 500]));
        assert_eq!(split(2), (vec![1_000, 1_000], vec![500]));
        assert_eq!(split(3), (vec![1_000, 1_000, 500], vec![]));
        assert_eq!(split(9), (vec![1_000, 1_000, 500], vec![]));
    }

    #[test]
    fn a_single_datagram_is_whole_even_if_it_is_empty() {
        for bytes in [&[][..], &[0; 700]] {
            let single = Piece { bytes, segment: 0 };

            assert_eq!(lengths(Some(single)), [bytes.len()]);
            assert!(matches!(single.split(1), (Some(_), None)) && matches!(single.split(0), (None, Some(_))));
        }
    }
}
