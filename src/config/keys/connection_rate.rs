//! `connection_rate = { rate = "100/s", burst = 20 }`: the keys of a connection rate that is written as a table.

use toml::Spanned;
use toml::de::DeValue;

use crate::config::key::Given::{InWords, Required};
use crate::config::key::{Form, Key, Range, Section};
use crate::config::kind::{Count, Kind, OneOrOff, Placed};
use crate::config::problem::{Place, Problem};
use crate::config::table::Table;
use crate::config::written::Written;
use crate::limits::Allowance;
use crate::units::{Frequency, OrOff};

table! {
    /// A connection rate, written as a table.
    WrittenConnectionRate, CONNECTION_RATE_KEYS, CONNECTION_RATE: "`connection_rate` and `connection_rate_per_client` \
        are a rate, or a table: `{ rate = \"100/s\", burst = 20 }`.";

    rate: OneOrOff<Frequency> {
        doc: "new sessions or flows, in the long run",
        form: Form::FrequencyOrOff,
        default: Required(""),
        example: r#""100/s""#,
        aliases: &["connections", "frequency", "limit"],
    }
    burst: Count {
        doc: "how many at once after a pause; `1` lets them in evenly alone",
        default: InWords("the count of `rate`"),
        example: "20",
        aliases: &["nodelay", "max", "size", "bucket"],
    }
}

/// More at once than any machine takes.
const MAX_BURST: usize = 1_000_000;

/// A rate, a table, or "off".
pub(crate) struct AllowanceOrOff;

impl Kind for AllowanceOrOff {
    type Value = Option<Written<OrOff<Allowance>>>;
    const KEY: Key = Key::of(Form::AllowanceOrOff(&CONNECTION_RATE), Range::Any);

    fn read(table: &mut Table<'_, '_>, key: &'static Key) -> Self::Value {
        match table.get(key.name) {
            Some(value) if value.get_ref().is_table() => with_burst(table, key, value),
            _ => {
                let Written { value: OrOff(rate), place } = OneOrOff::<Frequency>::read(table, key)?;
                Some(Written { value: OrOff(rate.map(Allowance::from)), place })
            }
        }
    }
}

/// The table; a rate of `"off"` is the same as no table.
fn with_burst<'t>(
    table: &mut Table<'t, '_>,
    key: &'static Key,
    value: &'t Spanned<DeValue<'t>>,
) -> <AllowanceOrOff as Kind>::Value {
    let (path, place) = (table.key(key.name), table.at(value.span()));
    let mut own = table.open_value(key.name, path.clone(), value, Some(&CONNECTION_RATE))?;
    let before = own.problems.len();
    let WrittenConnectionRate { rate, burst, .. } = WrittenConnectionRate::read(&mut own);
    if own.problems.len() > before {
        return None;
    }
    let Some(Written { value: OrOff(rate), .. }) = rate else {
        own.missing("rate", "100/s");
        return None;
    };
    if let Some(burst) = burst.as_ref().filter(|burst| burst.value > MAX_BURST) {
        let problem = Problem::new(
            burst.place.clone(),
            format!("{path}.burst"),
            format!("{} is too large", burst.value),
        );
        own.problems.push(problem.help(format!("write {MAX_BURST} or less")));
        return None;
    }
    let burst = burst.and_then(|burst| u32::try_from(burst.value).ok());
    let allowance = |frequency: Frequency| Allowance { frequency, burst: burst.unwrap_or(frequency.count) };
    Some(Written { value: OrOff(rate.map(allowance)), place })
}
