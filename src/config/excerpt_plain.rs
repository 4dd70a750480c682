//! The lines below a problem's first line without the feature `cli`: the other places, and what to do. The lines of the
//! file themselves are drawn by a crate that embedders do not need.

use super::problem::{Problem, Problems, escaped};

impl Problems {
    /// The excerpt of one problem, each line ending in a line break; never coloured.
    pub(super) fn excerpt(&self, problem: &Problem, _colour: bool) -> String {
        let also =
            problem.also.iter().map(|(place, label)| format!("{}: {}", escaped(label), self.place(place)));
        let notes = also.map(|note| format!("  = note: {note}\n"));
        let help = problem.help.iter().map(|help| format!("  = help: {}\n", escaped(help)));
        notes.chain(help).collect()
    }
}
