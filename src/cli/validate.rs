//! `loopgate validate`: reports every problem of a configuration, without starting or binding anything.

use std::io::{self, Write};

use serde::Serialize;

use super::foreign_flags::of_another_program;
use crate::config::Problems;
use crate::plan::{self, Plan, Sources};
use crate::units::{counted, shown_json, shown_path};

/// The answer as JSON.
#[derive(Serialize)]
struct Answer {
    /// The file's path as given; null without a file.
    file: Option<String>,
    ok: bool,
    routes: usize,
    listeners: usize,
    tunnels: usize,
    /// Empty if and only if `ok`.
    problems: serde_json::Value,
}

/// Writes whether `sources` make a valid plan, or every problem they have. Returns the exit code: 0 if valid, else 2.
///
/// # Errors
/// If writing to `out` fails.
pub fn validate(sources: &Sources, json: bool, colour: bool, out: &mut dyn Write) -> io::Result<u8> {
    let plan = plan::load(sources);
    if json {
        let json = serde_json::to_string(&answer(sources, &plan)?)?;
        writeln!(out, "{}", shown_json(&json))?;
    } else {
        match &plan {
            Ok(plan) => {
                let (routes, listeners) = (plan.routes.len(), listeners(plan));
                let (routes, listeners) = (counted(routes, "route"), counted(listeners, "listener"));
                let tunnels = match plan.tunnels.links.len() {
                    0 => String::new(),
                    tunnels => format!(", {}", counted(tunnels, "tunnel")),
                };
                writeln!(out, "{}: ok, {routes}, {listeners}{tunnels}", name(sources))?;
            }
            Err(problems) => {
                out.write_all(problems.render(colour).as_bytes())?;
                out.write_all(of_another_program(problems).as_bytes())?;
            }
        }
    }
    Ok(if plan.is_ok() { 0 } else { 2 })
}

fn name(sources: &Sources) -> String {
    sources.file.as_ref().map_or("command line".into(), |file| shown_path(file))
}

fn listeners(plan: &Plan) -> usize {
    plan.routes.values().map(|route| route.listen.len()).sum()
}

fn answer(sources: &Sources, plan: &Result<Plan, Problems>) -> serde_json::Result<Answer> {
    let (routes, listeners, tunnels, problems) = match plan {
        Ok(plan) => (plan.routes.len(), listeners(plan), plan.tunnels.links.len(), serde_json::json!([])),
        Err(problems) => (0, 0, 0, serde_json::to_value(problems)?),
    };
    let file = sources.file.as_ref().map(|file| file.display().to_string());
    Ok(Answer { file, ok: plan.is_ok(), routes, listeners, tunnels, problems })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &str, json: bool) -> (u8, String) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("loopgate.toml");
        std::fs::write(&file, text).unwrap();
        let mut out = Vec::new();
        let code =
            validate(&Sources { file: Some(file), ..Sources::default() }, json, false, &mut out).unwrap();
        let folder = format!("{}/", folder.path().display());
        (code, String::from_utf8(out).unwrap().replace(&folder, ""))
    }

    #[test]
    fn a_good_file_is_counted() {
        let text = "[routes.a]\nlisten = [\"1\", \"2\"]\ntarget = \"3\"\n";

        assert_eq!(run(text, false), (0, "loopgate.toml: ok, 1 route, 2 listeners\n".into()));
        assert!(
            run(text, true)
                .1
                .starts_with(r#"{"file":"loopgate.toml","ok":true,"routes":1,"listeners":2,"tunnels":0,"#)
        );
    }

    #[test]
    fn the_problems_of_a_bad_file_are_in_the_json() {
        let (code, json) = run("[routes.a]\nlisten = \"1\"\ntarget = 3\n", true);

        let answer: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!((code, &answer["ok"]), (2, &false.into()));
        let problem = &answer["problems"][0];
        assert_eq!((&problem["line"], &problem["column"]), (&3.into(), &10.into()));
        assert_eq!(problem["key"], "routes.a.target");
        assert_eq!(problem["help"], r#"write "3" or "localhost:3""#);
    }
}
