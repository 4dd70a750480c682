//! `target`, and the keys with the same form: one target, or a list of them, each a string or a table.

use toml::Spanned;
use toml::de::DeValue;

use super::keys::TARGET;
use super::problem::Problem;
use super::table::Table;
use super::written::{Written, WrittenTarget};
use crate::balance::Part;

/// Every target that could be read, in the order written. Adds a problem for each of the others.
pub(super) fn targets<'t>(
    table: &mut Table<'t, '_>,
    key: &str,
    value: &'t Spanned<DeValue<'t>>,
) -> Vec<WrittenTarget> {
    let Some(list) = value.get_ref().as_array() else {
        return one(table, key, value).into_iter().collect();
    };
    if list.is_empty() {
        table.problem(key, value, "the list is empty", Some("write at least one target"));
    }
    list.iter().filter_map(|value| one(table, key, value)).collect()
}

fn one<'t>(table: &mut Table<'t, '_>, key: &str, value: &'t Spanned<DeValue<'t>>) -> Option<WrittenTarget> {
    let path = table.key(key);
    if !value.get_ref().is_table() {
        let address = table.read(key, value)?;
        return Some(WrittenTarget { path, ..address.into() });
    }
    let mut table = table.open_value("target", path.clone(), value, Some(&TARGET))?;
    if table.get("address").is_none() {
        table.missing("address", "127.0.0.1:3000");
    }
    let (weight, backup, drain) = (weight(&mut table), table.truth("backup"), table.truth("drain"));
    let most = table.or_off("max_connections", |table| table.count("max_connections"));
    Some(WrittenTarget { path, address: table.value("address")?, weight, backup, drain, most })
}

fn weight(table: &mut Table<'_, '_>) -> Option<Written<u32>> {
    let written = table.get("weight")?;
    if written.get_ref().as_integer().is_some_and(|it| it.as_str() == "0") {
        // This is what a weight of 0 means in other programs.
        let help = "write drain = true, which keeps new clients away and lets sessions continue";
        table.problem("weight", written, "a weight of 0 gives the target no clients", Some(help));
        return None;
    }
    let Written { value, place } = table.count("weight")?;
    match u32::try_from(value) {
        Ok(value @ ..=Part::MAX_WEIGHT) => Some(Written { value, place }),
        _ => {
            let problem = Problem::new(place, table.key("weight"), format!("{value} is too large"));
            table.problems.push(problem.help(format!("write {} or less", Part::MAX_WEIGHT)));
            None
        }
    }
}
