//! A test that runs alone in a network namespace: it starts itself again there.

use std::env;
use std::process::Command;

const INSIDE: &str = "LOOPGATE_TEST_INSIDE";

/// Runs `test`, whose path is `name`, in a network namespace of its own with its loopback up. Needs root.
pub(crate) fn alone(name: &str, test: impl FnOnce()) {
    let ready = r#"ip link set lo up && exec "$@""#;
    again(&["unshare", "--net", "--", "sh", "-c", ready, "sh"], name, test);
}

fn again(before: &[&str], name: &str, test: impl FnOnce()) {
    if env::var_os(INSIDE).is_some() {
        return test();
    }
    let me = env::current_exe().unwrap();
    let output = Command::new(before[0])
        .args(&before[1..])
        .arg(me)
        .args(["--exact", name, "--include-ignored", "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("1 passed"), "{name} is not the path of the test:\n{said}");
}
