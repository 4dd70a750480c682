//! Creates every fault of `index.json` in separate namespaces and runs `loopgate explain` on it; a running `loopgate`
//! reports faults of a session, in a log line or in the session's record.
//!
//! Each fault is a separate test, ignored by default: it needs root and the programs that `lib.sh` names. Faults of a
//! bind are explained with `--listen`. The verdict, its exit code, the words that a user must see and the shape of the
//! JSON are compared.

#![allow(clippy::unwrap_used, reason = "clippy.toml frees functions marked #[test], and here are none")]
#![allow(clippy::print_stderr, reason = "a fault that is made again is said so")]

#[path = "../schema/validate.rs"]
mod validate;

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, ExitCode, Output, Stdio};
use std::sync::{Arc, RwLock};

use libtest_mimic::{Arguments, Failed, Trial};
use serde::Deserialize;
use serde_json::Value;

/// How often a fault is tried before it counts as impossible to create here.
const TRIES: u32 = 3;
/// What a script exits with when its fault could not be made; neither `explain` nor `session.py` does.
const NOT_MADE: i32 = 70;

/// A row of the index.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fault {
    #[allow(dead_code, reason = "for people who look a fault up")]
    n: u32,
    script: String,
    phase: Phase,
    verdict: String,
    /// What the service is expected to speak.
    expect: Option<String>,
    /// The words that a user must see, verbatim.
    #[serde(default)]
    says: Vec<String>,
    /// The verdict that an unprivileged user gets for the same fault; absent if that is not tested.
    as_nobody: Option<String>,
    /// What a session does in it, and what befalls it then: a word of `session.py`.
    session: Option<String>,
    /// Whether it needs the machine for itself: it fills a table of the whole kernel, or measures.
    #[serde(default)]
    alone: bool,
    /// Whether `explain` can run only once in it.
    #[serde(default)]
    once: bool,
    /// Whether it leaves no descriptor for a shell: only the program runs, on 127.0.0.1:62893.
    #[serde(default)]
    bare: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Phase {
    Bind,
    Connect,
    Session,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum User {
    Root,
    Nobody,
}

/// A path of the program under test that every user may execute.
struct Bench {
    folder: tempfile::TempDir,
    turns: RwLock<()>,
}

fn schema() -> Value {
    serde_json::from_str(include_str!("../../schema/diagnosis.schema.json")).unwrap()
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let faults: Vec<Fault> = serde_json::from_str(include_str!("index.json")).unwrap();
    let bench = Arc::new(Bench::new());
    let mut trials = Vec::new();
    for fault in faults {
        let name = fault.script.trim_end_matches(".sh").to_owned();
        let verdict = fault.verdict.clone();
        trials.push(bench.trial(name.clone(), fault.clone(), User::Root, verdict));
        if let Some(verdict) = fault.as_nobody.clone() {
            trials.push(bench.trial(format!("{name}-as-nobody"), fault, User::Nobody, verdict));
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

impl Bench {
    fn new() -> Bench {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let program = folder.path().join("loopgate");
        fs::copy(env!("CARGO_BIN_EXE_loopgate"), &program).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        Bench { folder, turns: RwLock::default() }
    }

    fn trial(self: &Arc<Bench>, name: String, fault: Fault, user: User, verdict: String) -> Trial {
        let bench = self.clone();
        let run = move || {
            // A trial that failed has poisoned nothing.
            let (_shared, _alone) = if fault.alone {
                (None, Some(bench.turns.write().unwrap_or_else(|poisoned| poisoned.into_inner())))
            } else {
                (Some(bench.turns.read().unwrap_or_else(|poisoned| poisoned.into_inner())), None)
            };
            match fault.session.as_deref() {
                Some(scenario) => bench.carry(&fault, scenario),
                None => bench.ask(&fault, user, &verdict),
            }
        };
        Trial::test(name, run).with_kind("needs root").with_ignored_flag(true)
    }

    fn ask(&self, fault: &Fault, user: User, verdict: &str) -> Result<(), Failed> {
        let answers = tempfile::tempdir()?;
        fs::set_permissions(answers.path(), fs::Permissions::from_mode(0o777))?;
        let output = if fault.bare {
            self.bare(fault, answers.path())?
        } else {
            fault.inside_it(&mut self.asking(fault, user, answers.path()))?
        };
        let read = |name: &str| fs::read_to_string(answers.path().join(name)).unwrap_or_default();
        let (json, text, code) = (read("json"), read("text"), read("code"));
        let why = || {
            let (made, said) =
                (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            format!("json: {json}\ntext: {text}\ncode: {code}\n{made}\n{said}")
        };
        let told: Value = serde_json::from_str(&json).map_err(|e| format!("no answer: {e}\n{}", why()))?;
        check(told["verdict"] == verdict, || {
            format!("the verdict is {}, not {verdict}\n{}", told["verdict"], why())
        })?;
        let wanted = match told["severity"].as_str() {
            Some("fine" | "warning") => "0",
            Some("error") => "1",
            _ => "3",
        };
        check(code.trim() == wanted, || format!("the exit code is {code}, not {wanted}\n{}", why()))?;
        let wrong = validate::problems(&told, &schema());
        check(wrong.is_empty(), || format!("not of the schema: {}\n{}", wrong.join("; "), why()))?;
        check(told["question"] == if fault.phase == Phase::Bind { "listen" } else { "reach" }, why)?;
        if user == User::Root && !fault.once {
            for words in &fault.says {
                check(text.contains(words.as_str()), || format!("it does not say {words:?}\n{}", why()))?;
            }
        }
        Ok(())
    }

    /// Carries sessions through a route inside the fault until the log has the verdict.
    fn carry(&self, fault: &Fault, scenario: &str) -> Result<(), Failed> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/session.py");
        let mut command = fault.made();
        command.arg("python3").arg(script).arg(self.folder.path().join("loopgate"));
        let output = fault.inside_it(command.args([scenario, &fault.verdict]))?;
        let told = String::from_utf8_lossy(&output.stdout);
        let said = String::from_utf8_lossy(&output.stderr);
        check(output.status.success(), || format!("{told}{said}"))?;
        for words in &fault.says {
            check(told.contains(words.as_str()), || format!("it does not say {words:?}\n{told}"))?;
        }
        Ok(())
    }

    /// Runs `explain` twice, each time in a new fault.
    fn bare(&self, fault: &Fault, answers: &Path) -> Result<Output, Failed> {
        let ask = |more: &[&str]| {
            let mut command = fault.made();
            command.arg(self.folder.path().join("loopgate")).args(["explain", "127.0.0.1:62893"]);
            fault.inside_it(command.args(fault.question()).args(more))
        };
        let (json, text) = (ask(&["--json"])?, ask(&[])?);
        fs::write(answers.join("json"), &json.stdout)?;
        fs::write(answers.join("text"), &text.stdout)?;
        fs::write(answers.join("code"), json.status.code().unwrap_or(-1).to_string())?;
        Ok(json)
    }

    /// What asks twice inside the fault: for a program, then for a person.
    fn asking(&self, fault: &Fault, user: User, answers: &Path) -> Command {
        let drop_rights = match user {
            User::Root => "",
            User::Nobody => "setpriv --reuid=65534 --regid=65534 --clear-groups",
        };
        let person = if fault.once { "" } else { r#"$DROP "$LOOPGATE" explain "$a" "$@" >text"# };
        let ask = format!(
            r#"cd "$ANSWERS"; case $FAULT_ADDR in unix:*) a=$FAULT_ADDR;; *:*) a="[$FAULT_ADDR]:$FAULT_PORT";;
               *) a=$FAULT_ADDR:$FAULT_PORT;; esac
               $DROP "$LOOPGATE" explain "$a" "$@" --json >json; echo $? >code; {person}"#
        );
        let mut command = fault.made();
        command.args(["sh", "-c", &ask, "sh"]).args(fault.question());
        command
            .env("LOOPGATE", self.folder.path().join("loopgate"))
            .env("DROP", drop_rights)
            .env("ANSWERS", answers);
        command
    }
}

impl Fault {
    /// The command that creates the fault; the command to run in it follows.
    fn made(&self) -> Command {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/scripts").join(&self.script);
        // Whatever hangs is ended with its namespaces.
        let mut command = Command::new("timeout");
        command.args(["-k", "5", "300", "bash"]).arg(script).stdin(Stdio::null());
        command
    }

    /// Runs `command`, and repeats it if its script reports that the fault could not be created, because then nothing
    /// ran in it.
    ///
    /// An answer is never retried.
    fn inside_it(&self, command: &mut Command) -> io::Result<Output> {
        for _ in 1..TRIES {
            let output = command.output()?;
            if output.status.code() != Some(NOT_MADE) {
                return Ok(output);
            }
            let said = String::from_utf8_lossy(&output.stdout);
            eprintln!("{} is made again: {}", self.script, said.trim_end());
        }
        command.output()
    }

    /// The arguments of `explain`, without the address.
    fn question(&self) -> Vec<String> {
        let mut question = Vec::new();
        question.extend((self.phase == Phase::Bind).then(|| "--listen".to_owned()));
        question.extend(self.expect.iter().flat_map(|expect| ["--expect".to_owned(), expect.clone()]));
        question.extend(self.verdict.starts_with("udp-").then(|| "--udp".to_owned()));
        question
    }
}

fn check(holds: bool, why: impl FnOnce() -> String) -> Result<(), Failed> {
    if holds { Ok(()) } else { Err(why().into()) }
}
