//! What holds of any text that is read as a file of another forwarder.

use loopgate::import::{Program, import, unsupported};
use loopgate::plan;

/// Panics where something does not hold of these bytes.
pub(crate) fn holds(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let _ = (Program::guess(text), unsupported::guess(text));
    for program in Program::ALL {
        match import(program, "fuzz", text) {
            Ok(imported) => {
                if let Some(toml) = &imported.toml {
                    plan::parse("fuzz.toml", toml, &[])
                        .unwrap_or_else(|problems| panic!("{problems}\n{toml}"));
                    fits_a_terminal(toml);
                }
                assert!(imported.toml.is_some() || !imported.is_whole(), "nothing carried over, and no word");
                imported.notes.iter().for_each(|note| fits_a_terminal(&note.render("fuzz")));
            }
            Err(why) => fits_a_terminal(&why),
        }
    }
}

fn fits_a_terminal(words: &str) {
    let obeyed = words.chars().find(|c| c.is_control() && *c != '\n');
    assert_eq!(obeyed, None, "{words:?}");
}
