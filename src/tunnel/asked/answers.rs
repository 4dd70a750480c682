//! The engine's answers, as the other end is told: in codes, never who holds a port.

use std::io;

use super::lines::Reasons;
use super::spots::Spots;
use crate::engine::{Answer, Refused};
use crate::transport::tunnel::message::RefusedCode;

/// Takes the answers to a declaration: what was refused is marked so. Returns whether anything was, so that the rest has to
/// be declared again.
pub(super) fn take(spots: &mut Spots, answers: Vec<Answer>, reasons: &mut Reasons) -> bool {
    answers.into_iter().fold(false, |any, answer| {
        let Answer { owner, listens: Err(refused) } = answer else { return any };
        let Some(route) = owner.route() else { return any };
        any | mark(spots, &route.name.0, refused, reasons)
    })
}

/// Marks what was refused of one route; returns whether anything was.
fn mark(spots: &mut Spots, route: &str, refused: Refused, reasons: &mut Reasons) -> bool {
    match refused {
        Refused::Bind(failures) => failures.into_iter().fold(false, |any, failure| {
            let is_news = spots.failed(route, &failure.address, code(&failure.error));
            reasons.fail(failure);
            any | is_news
        }),
        Refused::Conflict { address, held_by, .. } => {
            reasons.conflict(route, address.clone(), &held_by);
            spots.failed(route, &address, RefusedCode::Taken)
        }
        Refused::Loop { .. } | Refused::SameName { .. } => {
            spots.failed_whole(route, RefusedCode::Unsupported)
        }
        Refused::Stopped => spots.failed_whole(route, RefusedCode::Other),
    }
}

/// The code of an error of bind(2) or listen(2).
fn code(error: &io::Error) -> RefusedCode {
    match error.raw_os_error() {
        Some(libc::EADDRINUSE) => RefusedCode::Taken,
        Some(libc::EADDRNOTAVAIL | libc::ENODEV | libc::EAFNOSUPPORT) => RefusedCode::AddressNotHere,
        Some(libc::EACCES | libc::EPERM) => RefusedCode::Privileged,
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => RefusedCode::OutOfResources,
        _ => RefusedCode::Other,
    }
}
