//! The files of Unix listeners that stay.

use std::collections::BTreeMap;
use std::io;

use super::any::AnyListener;
use super::bind::{Port, WantedBy, failure};
use super::tcp::TcpListener;
use crate::engine::api::BindFailure;
use crate::transport::SocketFile;

/// Applies the wanted mode and owner to the files of Unix sockets that stay; to all of them, or to none.
pub(crate) fn change(
    listeners: &BTreeMap<Port, AnyListener>,
    wanted: &BTreeMap<Port, WantedBy>,
) -> Result<(), BindFailure> {
    let mut changed: Vec<(&TcpListener, SocketFile)> = Vec::new();
    for (port, listener) in listeners {
        let (Some(by), AnyListener::Tcp(listener)) = (wanted.get(port), listener) else { continue };
        let old = listener.socket_file();
        if *by.socket_file() == old {
            continue;
        }
        changed.push((listener, old));
        if let Err(error) = listener.change_file(by.socket_file()) {
            // A file that was removed is made again (see `watch`), with the attributes that are wanted then.
            if error.kind() == io::ErrorKind::NotFound {
                continue;
            }
            for (listener, old) in changed {
                // The old attributes were valid a moment ago, so restoring them does not fail.
                let _ = listener.change_file(&old);
            }
            return Err(failure(port, by, error));
        }
    }
    Ok(())
}
