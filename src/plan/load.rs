//! From a file and the command line to a plan, or to every problem of both.

use std::path::PathBuf;

use super::build;
use super::id::Source;
use super::whole::Plan;
use crate::config::{Place, Problem, Problems, Stamp, Whole, read, read_file};

/// Where a plan comes from. At least one of the two must declare a route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// The file to read.
    pub file: Option<PathBuf>,
    /// Routes of the command line, each `[bind:]port:[host:]port`.
    pub forwards: Vec<String>,
}

/// Reads the file and the command line into a plan.
///
/// # Errors
/// Every problem of both.
pub fn load(sources: &Sources) -> Result<Plan, Problems> {
    let Some(path) = &sources.file else { return parse("", "", &sources.forwards) };
    let name = path.display().to_string();
    let stamp = Stamp::of(path);
    match read_file(path) {
        Ok(text) => Ok(Plan { stamp, ..parse(&name, &text, &sources.forwards)? }),
        Err(problem) => Err(Problems::new(&name, "", vec![*problem])),
    }
}

/// Makes a plan of a text and the routes of the command line. Problems call the text `file_name`, which is empty if
/// there is no file. Files that the text includes or names are read, relative paths from the folder of `file_name`.
///
/// # Errors
/// Every problem of the text, of the files that it names and of the command line, each with its place. A plan without a
/// route is one.
///
/// ```
/// use loopgate::plan;
///
/// let plan = plan::parse("web.toml", "routes.web = { listen = '8080', target = '3000' }", &[]).unwrap();
/// let web = plan.routes.values().next().unwrap();
/// assert_eq!(web.listen[0].to_string(), "127.0.0.1:8080");
///
/// let problems = plan::parse("web.toml", "routes.web = { lisen = '8080', target = 'x' }", &[]).unwrap_err();
/// assert!(problems.to_string().contains("lisen"), "{problems}");
///
/// let plan = plan::parse("", "", &["8080:3000".into(), "8081:db:5432".into()]).unwrap();
/// assert_eq!(plan.routes.len(), 2);
/// ```
pub fn parse(file_name: &str, text: &str, forwards: &[String]) -> Result<Plan, Problems> {
    let mut problems = Vec::new();
    // The command line is checked even if the text has a syntax error.
    let Whole { config, texts, files } = read(file_name, text, &mut problems);
    let plan = build::build(config, forwards, &texts, files, &mut problems);
    let plan = Plan { source: source(file_name), ..plan };
    if problems.is_empty() && plan.routes.is_empty() && plan.tunnels.links.is_empty() {
        problems.push(no_routes(file_name));
    }
    if problems.is_empty() {
        return Ok(plan);
    }
    Err(Problems::of(texts, problems).naming(plan.files))
}

fn source(file_name: &str) -> Source {
    if file_name.is_empty() { Source::command_line() } else { Source::file() }
}

fn no_routes(file_name: &str) -> Problem {
    let help = match file_name {
        "" => "give one, as 8080:3000, or a file with -c FILE".to_owned(),
        _ => "add [routes.NAME] with listen and target, or give one on the command line, as 8080:3000"
            .to_owned(),
    };
    Problem::new(Place::File, "", "there are no routes, so there is nothing to do").help(help)
}
