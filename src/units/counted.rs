//! A number of things in words.

/// `0 routes`, `1 route`, `2 routes`
pub(crate) fn counted(number: usize, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

#[test]
fn one_thing_has_no_s() {
    assert_eq!([0, 1, 2].map(|number| counted(number, "route")), ["0 routes", "1 route", "2 routes"]);
}
