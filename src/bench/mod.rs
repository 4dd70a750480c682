//! Measures what a service on this machine can do, and what the detour through a route costs: the same load directly and
//! through it, in turn.
//!
//! Whatever makes load or is loaded is a process of its own, so that its CPU is never counted for the forwarder: this
//! program again, told by a [`Part`] what to be. The loads themselves are those of the crate `loopgate-load`, and so the
//! same as those of the bench beside other forwarders.

mod address;
mod figures;
mod forwarder;
mod json;
mod load;
mod machine;
mod part;
mod refusal;
mod report;
mod rounds;
mod route;
mod schedule;
mod screen;
mod service;
mod setup;

pub(crate) use part::{Forwarding, Part, announce, end_with_the_bench};
pub(crate) use refusal::Refusal;
pub(crate) use report::{Cut, Report};
pub(crate) use rounds::{Event, Progress, measure};
pub(crate) use screen::Look;
pub(crate) use service::Service;
pub(crate) use setup::{Asked, Setup};

/// The shortest and the longest time that a bench may take, in seconds.
pub(crate) const BOUNDS: (u64, u64) = (1, 600);
