//! From a file and the command line to a plan, or to every problem of both.

use std::path::Path;

use super::build;
use super::far_end::is_tunnel_of_file;
use super::id::Source;
use super::sources::Sources;
use super::whole::Plan;
use crate::config::{Config, Place, Problem, Problems, Stamp, Whole, read, read_file};

/// Reads the file and the command line into a plan.
///
/// # Errors
/// Every problem of both.
pub fn load(sources: &Sources) -> Result<Plan, Problems> {
    let (path, part) = match (&sources.file, &sources.tunnels.named_in) {
        (Some(path), _) => (path, Part::Whole),
        (None, Some(path)) => (path, Part::Tunnels),
        (None, None) => return planned(sources, "", "", Part::Whole),
    };
    let name = path.display().to_string();
    let stamp = Stamp::of(path);
    match read_file(path) {
        Ok(text) => {
            let plan = planned(sources, &name, &text, part)?;
            Ok(match part {
                Part::Whole => Plan { stamp, ..plan },
                Part::Tunnels => Plan { source: Source::command_line(), ..plan },
            })
        }
        Err(problem) => Err(Problems::new(&name, "", vec![*problem])),
    }
}

/// As [`load`], for a text that the file of the sources has had.
///
/// # Errors
/// As for [`load`].
pub fn load_text(sources: &Sources, file: &Path, text: &str) -> Result<Plan, Problems> {
    planned(sources, &file.display().to_string(), text, Part::Whole)
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
    let sources = Sources { forwards: forwards.to_vec(), ..Sources::default() };
    planned(&sources, file_name, text, Part::Whole)
}

/// How much of a file counts.
#[derive(Clone, Copy)]
enum Part {
    Whole,
    /// Its defaults and limits, and the tunnels that the command line names.
    Tunnels,
}

fn planned(sources: &Sources, file_name: &str, text: &str, part: Part) -> Result<Plan, Problems> {
    let mut problems = Vec::new();
    // The command line is checked even if the text has a syntax error.
    let Whole { mut config, texts, files } = read(file_name, text, &mut problems);
    if let Part::Tunnels = part {
        keep_named(&mut config, sources);
    }
    let plan = build::build(config, sources, &texts, files, &mut problems);
    let plan = Plan { source: source(file_name), ..plan };
    // An argument has no key of the file, and is named by itself.
    let typed = problems.iter_mut().filter(|problem| matches!(problem.place, Place::Argument(_)));
    typed.for_each(|problem| problem.key.clear());
    if problems.is_empty() && plan.routes.is_empty() && plan.tunnels.links.is_empty() {
        problems.push(no_routes(file_name));
    }
    if problems.is_empty() {
        return Ok(plan);
    }
    Err(Problems::of(texts, problems).naming(plan.files))
}

/// Drops what is of no use for routes of the command line: they must not start the routes of a file that may run already.
fn keep_named(config: &mut Config, sources: &Sources) {
    let is_named =
        |name: &str| sources.tunnels.tunnels.iter().any(|text| is_tunnel_of_file(text) && text == name);
    config.routes.clear();
    config.tunnels.retain(|of| is_named(of.name.as_str()));
    (config.tunnel.listen, config.tunnel.accept_proxy) = (None, None);
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
