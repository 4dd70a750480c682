//! The lines below a problem's first line, in the style of rustc: the lines of the file with the places marked, then
//! what to do.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::problem::{Place, Problem, Problems, escaped};

impl Problems {
    /// The excerpt of one problem, each line ending in a line break; empty if there is nothing to show or to do.
    pub(super) fn excerpt(&self, problem: &Problem, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let mut group = Group::with_level(Level::ERROR);
        if let Some(snippet) = self.snippet(problem) {
            group = group.element(snippet);
        }
        let marked = |place: &Place| self.are_in_one_file(&problem.place, place);
        for (place, label) in problem.also.iter().filter(|(place, _)| !marked(place)) {
            group = group.element(Level::NOTE.message(format!("{}: {}", escaped(label), self.place(place))));
        }
        if let Some(help) = &problem.help {
            group = group.element(Level::HELP.message(escaped(help)));
        }
        if group.is_empty() { String::new() } else { renderer.render(&[group]) + "\n" }
    }

    /// The lines from the first place to the last; unmarked lines in between are folded.
    fn snippet(&self, problem: &Problem) -> Option<Snippet<'_, annotate_snippets::Annotation<'_>>> {
        let (file, primary) = self.texts.at(&problem.place)?;
        let is_beside = |place: &Place| self.are_in_one_file(&problem.place, place);
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

    fn are_in_one_file(&self, a: &Place, b: &Place) -> bool {
        match (self.texts.at(a), self.texts.at(b)) {
            (Some((a, _)), Some((b, _))) => std::ptr::eq(a, b),
            _ => false,
        }
    }
}
