//! The lines below a problem's first line, in the style of rustc: the lines of the file with the places marked, then
//! what to do.

use std::borrow::Cow;
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
        Some(Snippet::source(without_passwords(lines)).line_start(line).annotation(mark).annotations(others))
    }

    fn are_in_one_file(&self, a: &Place, b: &Place) -> bool {
        match (self.texts.at(a), self.texts.at(b)) {
            (Some((a, _)), Some((b, _))) => std::ptr::eq(a, b),
            _ => false,
        }
    }
}

/// The lines with the password of each URL in them (`scheme://user:password@host`) covered: what is shown may go to a log. No
/// byte moves, so that marks stay where they are.
fn without_passwords(lines: &str) -> Cow<'_, str> {
    let mut covered = Cow::Borrowed(lines);
    for (at, mark) in lines.match_indices("://") {
        let before =
            lines[..at].trim_end_matches(|it: char| it.is_ascii_alphanumeric() || "+-.".contains(it));
        let rest = &lines[at + mark.len()..];
        // It ends with the string it is in.
        let end = match before.chars().next_back() {
            Some(quote @ ('"' | '\'')) => rest.find([quote, '\n']),
            _ => rest.find(char::is_whitespace),
        };
        let url = &rest[..end.unwrap_or(rest.len())];
        let Some((login, _)) = url.rsplit_once('@') else { continue };
        let Some((user, password)) = login.split_once(':') else { continue };
        let begin = at + mark.len() + user.len() + 1;
        covered.to_mut().replace_range(begin..begin + password.len(), &"*".repeat(password.len()));
    }
    covered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_of_a_url_is_covered_and_nothing_else_is() {
        for (line, shown) in [
            (r#"a = "socks5://me:se@cr:et@h:1", b = 'x@y'"#, r#"a = "socks5://me:********@h:1", b = 'x@y'"#),
            ("a = 'http://me:ä\"@[::1]:1'\nb = 1", "a = 'http://me:***@[::1]:1'\nb = 1"),
            ("a = http://me:secret@h:1 zzz", "a = http://me:******@h:1 zzz"),
            ("a = \"http://me:secret@h:1\nb = 1", "a = \"http://me:******@h:1\nb = 1"),
        ] {
            assert_eq!(without_passwords(line), shown);
        }
        for plain in
            ["a = 'http://me@h:1'", "a = 'spiffe://mesh/db'", "b = 'x:y@z'", "://", "a = 'http://h:1'"]
        {
            assert_eq!(without_passwords(plain), plain);
        }
    }
}
