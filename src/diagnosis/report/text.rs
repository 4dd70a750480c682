//! A diagnosis as text: a block for a fault, a screen for `explain`. Pure, without colours.

use std::fmt::{Display, Write as _};

use crate::diagnosis::finding::{Diagnosis, Question, Status};
use crate::diagnosis::verdict::{Severity, Verdict};
use crate::units::counted;

/// The block of one fault: the summary, the holder, the explanation, the proof, one remedy, and the id with the errno.
///
/// ```text
/// error: cannot listen on 127.0.0.1:80 (route web): taken by nginx (pid 7)
///   who     nginx --serve (pid 7), user ana, for 42 min
///   proof   LISTEN 127.0.0.1:80, inode 9 = /proc/7/fd/3, 0 waiting
///   fix     kill 7
///   [port-held, EADDRINUSE "Address already in use"]
/// ```
pub fn block(diagnosis: &Diagnosis) -> String {
    let mut text = headline(diagnosis);
    text.push_str(&body(diagnosis));
    text
}

/// The screen of `explain`: the address, a line per check, the verdict, and the block of the fault.
pub fn screen(diagnosis: &Diagnosis, heading: &str) -> String {
    let mut text = format!("{}   {heading}\n", diagnosis.subject);
    for check in &diagnosis.checks {
        let _ = writeln!(text, "{} {:<10} {}", mark(check.status), check.id, check.text);
    }
    // A warning that became the verdict is not shown twice.
    for warning in diagnosis.warnings.iter().filter(|warning| warning.verdict != diagnosis.verdict) {
        let _ = writeln!(text, "warning: {}", warning.summary);
        if let Some(fix) = &warning.fix {
            let _ = writeln!(text, "  fix     {}", fix.text);
        }
    }
    match diagnosis.verdict {
        Verdict::Healthy => {
            let warnings = diagnosis.warnings.len();
            let beside = match warnings {
                0 => String::new(),
                more => format!(", {}", counted(more, "warning")),
            };
            let _ = writeln!(text, "verdict: healthy{beside}");
        }
        verdict => {
            let _ = writeln!(text, "verdict: {verdict}: {}", diagnosis.summary);
            text.push_str(&body(diagnosis));
        }
    }
    text
}

/// The first line of a block.
pub(super) fn headline(diagnosis: &Diagnosis) -> String {
    let severity = match diagnosis.severity() {
        Severity::Error | Severity::Unclear => "error",
        Severity::Warning => "warning",
        Severity::Fine => "ok",
    };
    // The summary of this verdict is a whole sentence, with every address the other instance holds.
    if diagnosis.verdict == Verdict::AlreadyRunning {
        return format!("{severity}: {}\n", diagnosis.summary);
    }
    let verb = match diagnosis.question {
        // A warning does not mean that the bind failed.
        Question::Listen if diagnosis.errno.is_some() || diagnosis.severity() > Severity::Warning => {
            "cannot listen on "
        }
        Question::Listen => "",
        Question::Reach | Question::Session => "",
    };
    let place = with_routes(&diagnosis.subject, &diagnosis.routes);
    format!("{severity}: {verb}{place}: {}\n", diagnosis.summary)
}

/// `127.0.0.1:8080 (route web)`
pub(super) fn with_routes(place: &dyn Display, routes: &[String]) -> String {
    match routes {
        [] => place.to_string(),
        [route] => format!("{place} (route {route})"),
        routes => format!("{place} (routes {})", routes.join(", ")),
    }
}

fn body(diagnosis: &Diagnosis) -> String {
    let mut text = String::new();
    for detail in &diagnosis.details {
        let _ = writeln!(text, "  {:<7} {}", detail.label, detail.text);
    }
    if let Some(fix) = diagnosis.fixes.first() {
        let _ = writeln!(text, "  fix     {}", fix.text);
    }
    let _ = match &diagnosis.errno {
        Some(errno) => writeln!(text, "  [{}, {errno} \"{}\"]", diagnosis.verdict, diagnosis.os_message),
        None => writeln!(text, "  [{}]", diagnosis.verdict),
    };
    text
}

/// The mark before a line of a check, six columns wide.
pub(crate) fn mark(status: Status) -> &'static str {
    match status {
        Status::Ok => "[ok]  ",
        Status::Warn => "[warn]",
        Status::Fail => "[fail]",
        Status::Skip => "[skip]",
    }
}
