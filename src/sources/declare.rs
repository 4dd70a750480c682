//! A plan → the engine and the tunnels: all of it, or nothing.

use std::io;

use crate::engine::{Declaration, Declared, Handle, Refused};
use crate::plan::Plan;
use crate::tunnel::Tunnels;

/// Why a plan was not declared.
#[derive(Debug)]
pub enum Undeclared {
    /// The thread on which tunnels live cannot be started.
    NoThread(io::Error),
    /// The engine refused it.
    Refused(Refused),
}

/// Declares the routes of a plan together with the listener of its tunnels, and has the tunnels follow it once that has
/// succeeded. Where it needs an address that the other end of a tunnel listens on, that one is closed: what is written here
/// goes before what others ask for.
///
/// # Errors
/// [`Undeclared`]; then nothing has changed, but that such a listener was closed, which tunnels try to open again.
///
/// Not cancel safe, like [`Handle::declare`].
pub async fn declare(handle: &Handle, tunnels: &Tunnels, plan: &Plan) -> Result<Declared, Undeclared> {
    let services = tunnels.services(plan).map_err(Undeclared::NoThread)?;
    let wanted = || {
        let mut declaration = Declaration::from(plan.routes.clone());
        declaration.services.clone_from(&services);
        declaration
    };
    let declared = match handle.declare(plan.source.clone(), wanted()).await {
        Err(refused) if is_of_a_tunnel(&refused) && tunnels.make_room(plan).await => {
            handle.declare(plan.source.clone(), wanted()).await
        }
        declared => declared,
    };
    let declared = declared.map_err(Undeclared::Refused)?;
    tunnels.apply(plan);
    Ok(declared)
}

/// Whether what was declared by a source with a name, as each tunnel is one, was in the way.
fn is_of_a_tunnel(refused: &Refused) -> bool {
    matches!(refused, Refused::Conflict { held_by, .. } if held_by.source().name().is_some())
}
