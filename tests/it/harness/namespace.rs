//! Runs a test alone in a network namespace, by starting the test binary again there.

use std::env;
use std::process::Command;

const INSIDE: &str = "LOOPGATE_TEST_INSIDE";

/// Runs `test`, whose path is `name`, in a new network namespace with its loopback up. Needs root.
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
    let output_text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output_text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(output_text.contains("1 passed"), "{name} is not the path of the test:\n{output_text}");
}
