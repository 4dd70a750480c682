//! `loopgate schema`: the JSON Schema of the configuration, for editors.

use std::io::{self, Write};

use crate::config;

/// Writes the schema; the exit code is 0.
pub(super) fn schema(out: &mut dyn Write) -> io::Result<u8> {
    writeln!(out, "{:#}", config::schema())?;
    Ok(0)
}
