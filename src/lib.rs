//! Loopgate carries connections from chosen ports to services on this machine, and records how each of them ended.
//!
//! > A connection is carried from an **Incoming** to a **Target** along a **Route**, and ends as an **Outcome**.
//!
//! ```text
//! loopgate.toml ─▶ Config ─▶ Plan ─▶ Engine ─▶ Listener ─▶ client ─┐
//!                 written  resolved running                        ├─▶ session ─▶ relay ─▶ Outcome ─▶ Ledger
//!                    │        │                            target ─┘                                    │
//!                 Problem   Change                                                               log, counters
//! ```
//!
//! # The rooms, lowest first
//!
//! A room uses only rooms above it in this table; `tests/tidy` reads every `use crate::…` and fails on any other use.
//!
//! | room | what it is for |
//! |---|---|
//! | [`units`], [`address`] | `"250ms"`, `"64KiB"`, `"[::1]:8080"` ⇄ typed values |
//! | `sys` | the only `unsafe`: small safe functions over the kernel |
//! | [`outcome`] | how a session ends: End × Phase, traffic, timing; the causes of system errors |
//! | [`ledger`] | the list of sessions: opens, counts and closes them, and writes their records |
//! | [`acl`] | who may connect |
//! | [`limits`] | how many, how fast, how long |
//! | [`balance`] | which target a client is carried to: the targets to choose from, and the rule |
//! | [`client_hello`] | what a TLS client asks for: its first bytes ⇄ a name and protocols |
//! | [`proxy_protocol`] | the original client: the header that a proxy puts before a connection's bytes |
//! | [`probe`] | facts from the system: sockets, holders, limits |
//! | [`diagnosis`] | conclusions from the facts: a verdict, its proof, what to do |
//! | [`transport`] | where bytes come from and go to: listen, dial |
//! | [`relay`] | how bytes move: copy or splice, and how a close is passed on |
//! | [`config`] | what the user wrote, and every problem with its place |
//! | [`plan`] | what Loopgate will do, complete and resolved; and what a reload changes |
//! | [`engine`] | runs the plan: supervisor, listeners, sessions, targets, drain |
//! | [`tunnel`] | the tunnels: who dials, who is let in, what each end may ask of the other |
//! | [`sources`] | the sources of routes: the file, watched and applied while running |
//! | [`doctor`] | diagnosis of every route, the limits, the loops |
//! | [`import`] | files of other forwarders → a Loopgate configuration, and what could not be carried over |
//! | `bench` | what a service can do, and what the detour through a route costs: loads, rounds, figures |
//! | [`cli`] | one file per command; the only `println!` |
//!
//! # Invariants
//!
//! 1. A session returns an `outcome::Outcome`, never a `Result`. A connection cannot fail; it ends.
//! 2. Nothing outside [`ledger`] logs or counts a session.
//! 3. Sockets that accept clients are opened and closed only in `engine/listeners/supervisor.rs`, through a single entry
//!    point, `engine::Handle::declare`: a source states the complete set of routes and services, and the supervisor
//!    applies the difference. (A try-bind in [`probe`] and the demo's target are not such sockets.)
//! 4. A [`plan::Route`] never changes. A session keeps the `Arc<Route>` it began with.
//! 5. No clock, randomness or socket in the deciding rooms (acl, limits, balance, client_hello, proxy_protocol,
//!    engine/udp/flow_table, plan/diff, the diagnosis rules): time, seed and facts are arguments.
//! 6. No global state except what relay and TLS keep for each thread (scratch buffers and spare pipes, never borrowed
//!    across an await), and the log subscriber and the allocator set in main.
//! 7. `unsafe` only in `sys`, each block with its `// SAFETY:`.
//! 8. Nothing unbounded: every queue, table and wait has a limit with a name.
//! 9. Nothing slow on the data path: no lock, no allocation and no log per chunk; diagnosis runs in parallel, once per
//!    transition, never once per connection.

pub mod acl;
pub mod address;
pub mod balance;
#[cfg(feature = "cli")]
pub(crate) mod bench;
#[cfg(feature = "cli")]
pub mod cli;
pub mod client_hello;
pub mod config;
pub mod diagnosis;
pub mod doctor;
pub mod engine;
pub mod import;
pub mod ledger;
pub mod limits;
pub mod outcome;
pub mod plan;
pub mod probe;
pub mod proxy_protocol;
pub mod relay;
pub mod sources;
#[allow(unsafe_code)]
pub(crate) mod sys;
#[cfg(fuzzing)]
pub use sys::fuzzing;
pub mod transport;
pub mod tunnel;
pub mod units;

// The examples of the book's page about the library are doc tests.
#[cfg(doctest)]
#[doc = include_str!("../docs/library.md")]
mod library_page {}
