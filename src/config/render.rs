//! Problems for people and for programs: a line and an excerpt as text, or one JSON object each.
//!
//! Whether to use colour is the caller's decision: this room does not examine the terminal.

use serde::ser::{Serialize, SerializeSeq, Serializer};

use super::problem::{Place, Problem, Problems, escaped};
use crate::units::quoted;

impl Problems {
    /// The problems as text. Each begins with a line `file:line:column: what is wrong` that an editor can open,
    /// followed by the lines of the file with the places marked, and by what to do.
    pub fn render(&self, colour: bool) -> String {
        let mut shown: Vec<String> =
            self.list.iter().map(|problem| self.render_one(problem, colour)).collect();
        if self.more > 0 {
            shown.push(format!("and {} more\n", self.more));
        }
        shown.join("\n")
    }

    fn render_one(&self, problem: &Problem, colour: bool) -> String {
        self.headline(problem) + &self.excerpt(problem, colour)
    }

    fn headline(&self, problem: &Problem) -> String {
        let (place, line) = (self.place(&problem.place), escaped(&problem.line()));
        match &problem.place {
            Place::File if place.is_empty() => format!("error: {line}\n"),
            // A message that begins with the argument would name it twice.
            Place::Argument(argument) if line.starts_with(&quoted(argument)) => format!("argument {line}\n"),
            _ => format!("{place}: {line}\n"),
        }
    }
}

/// One object for each problem: `file`, `line`, `column`, `key`, `message`, `help`, and `argument` for one of the
/// command line; what does not apply is null.
impl Serialize for Problems {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.list.len()))?;
        for problem in &self.list {
            list.serialize_element(&self.described(problem))?;
        }
        list.end()
    }
}

#[derive(serde::Serialize)]
struct Described<'p> {
    file: Option<&'p str>,
    line: Option<usize>,
    column: Option<usize>,
    argument: Option<&'p str>,
    key: Option<&'p str>,
    message: &'p str,
    help: Option<&'p str>,
}

impl Problems {
    fn described<'p>(&'p self, problem: &'p Problem) -> Described<'p> {
        let position = self.line_and_column(&problem.place);
        let argument = match &problem.place {
            Place::Argument(argument) => Some(argument.as_str()),
            _ => None,
        };
        Described {
            file: Some(self.file(&problem.place)).filter(|file| argument.is_none() && !file.is_empty()),
            line: position.map(|(line, _)| line),
            column: position.map(|(_, column)| column),
            argument,
            key: Some(problem.key.as_str()).filter(|key| !key.is_empty()),
            message: &problem.message,
            help: problem.help.as_deref(),
        }
    }
}
