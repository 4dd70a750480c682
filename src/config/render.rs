//! Problems as people and programs read them: rustc's look in text, one object each in JSON.
//!
//! Nothing is judged here. Colour is the caller's decision: this room does not look at the terminal.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde::ser::{Serialize, SerializeSeq, Serializer};

use super::problem::{Place, Problem, Problems, escaped};
use crate::units::quoted;

impl Problems {
    /// The problems for a person. Each begins with a line `file:line:column: what is wrong` that an editor can open,
    /// then the lines of the file with the places marked, then what to do.
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let mut shown: Vec<String> =
            self.list.iter().map(|problem| self.render_one(problem, &renderer)).collect();
        if self.more > 0 {
            shown.push(format!("and {} more\n", self.more));
        }
        shown.join("\n")
    }

    fn render_one(&self, problem: &Problem, renderer: &Renderer) -> String {
        let headline = self.headline(problem);
        let mut group = Group::with_level(Level::ERROR);
        if let Some(snippet) = self.snippet(problem) {
            group = group.element(snippet);
        }
        let marked = |place: &Place| self.texts.are_in_one(&problem.place, place);
        for (place, label) in problem.also.iter().filter(|(place, _)| !marked(place)) {
            group = group.element(Level::NOTE.message(format!("{}: {}", escaped(label), self.place(place))));
        }
        if let Some(help) = &problem.help {
            group = group.element(Level::HELP.message(escaped(help)));
        }
        if group.is_empty() {
            return headline;
        }
        headline + &renderer.render(&[group]) + "\n"
    }

    fn headline(&self, problem: &Problem) -> String {
        let (place, told) = (self.place(&problem.place), escaped(&problem.told()));
        match &problem.place {
            Place::File if place.is_empty() => format!("error: {told}\n"),
            // A message that begins with the argument would name it twice.
            Place::Argument(argument) if told.starts_with(&quoted(argument)) => format!("argument {told}\n"),
            _ => format!("{place}: {told}\n"),
        }
    }

    /// The lines from the first place to the last; what lies between unmarked is folded away.
    fn snippet(&self, problem: &Problem) -> Option<Snippet<'_, annotate_snippets::Annotation<'_>>> {
        let (file, primary) = self.texts.at(&problem.place)?;
        let is_beside = |place: &Place| self.texts.are_in_one(&problem.place, place);
        let others = problem.also.iter().filter(|(place, _)| is_beside(place));
        let others = others.filter_map(|(place, label)| Some((self.texts.at(place)?.1, label)));
        let first = others.clone().map(|(span, _)| span.start).fold(primary.start, usize::min);
        let last = others.clone().map(|(span, _)| span.end).fold(primary.end, usize::max);
        let text = &file.text;
        let start = text.get(..first)?.rfind('\n').map_or(0, |newline| newline + 1);
        let end = text.get(last..)?.find('\n').map_or(text.len(), |newline| last + newline);
        let lines = text[start..end].strip_suffix('\r').unwrap_or(&text[start..end]);
        let line = text[..start].bytes().filter(|byte| *byte == b'\n').count() + 1;

        let within = |span: &Range<usize>| span.start - start..span.end - start;
        let mut mark = AnnotationKind::Primary.span(within(&primary));
        if let Some(label) = &problem.label {
            mark = mark.label(escaped(label));
        }
        let others =
            others.map(|(span, label)| AnnotationKind::Context.span(within(&span)).label(escaped(label)));
        Some(Snippet::source(lines).line_start(line).annotation(mark).annotations(others))
    }
}

/// One object for each problem: `file`, `line`, `column`, `key`, `message`, `help`, and `argument` for one of the
/// command line; what does not apply is null.
impl Serialize for Problems {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.list.len()))?;
        for problem in &self.list {
            list.serialize_element(&self.told(problem))?;
        }
        list.end()
    }
}

#[derive(serde::Serialize)]
struct Told<'p> {
    file: Option<&'p str>,
    line: Option<usize>,
    column: Option<usize>,
    argument: Option<&'p str>,
    key: Option<&'p str>,
    message: &'p str,
    help: Option<&'p str>,
}

impl Problems {
    fn told<'p>(&'p self, problem: &'p Problem) -> Told<'p> {
        let position = self.line_and_column(&problem.place);
        let argument = match &problem.place {
            Place::Argument(argument) => Some(argument.as_str()),
            _ => None,
        };
        Told {
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
