//! What holds of any text that is read as a configuration.

use loopgate::plan;

/// Panics where something does not hold of these bytes.
pub(crate) fn holds(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    match plan::parse("fuzz.toml", text, &[]) {
        Ok(plan) => {
            assert!(!plan.routes.is_empty(), "a plan without a route");
            assert_eq!(plan::parse("fuzz.toml", text, &[]), Ok(plan), "the same text is another plan");
        }
        Err(problems) => {
            let words = problems.to_string();
            assert!(words.contains("fuzz.toml"), "no problem says where it is: {words:?}");
            // A terminal would interpret characters that are not escaped.
            let obeyed = words.chars().find(|c| c.is_control() && *c != '\n');
            assert_eq!(obeyed, None, "{words:?}");
        }
    }
}
