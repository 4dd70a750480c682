//! `bandwidth = { up = "1mbit", down = "10mbit" }`: the keys of a bandwidth that is written as a table.

use toml::Spanned;
use toml::de::DeValue;

use crate::config::key::Given::InWords;
use crate::config::key::{Form, Key, Range, Section};
use crate::config::kind::{Kind, OneOrOff, Placed, RateOrOff};
use crate::config::problem::{Place, Problem};
use crate::config::table::Table;
use crate::config::written::Written;
use crate::limits::BandwidthRule;
use crate::units::{OrOff, Size};

table! {
    /// A bandwidth, written as a table.
    WrittenBandwidth, BANDWIDTH_KEYS, BANDWIDTH: "`bandwidth` and `bandwidth_per_connection` are a rate for both \
        directions, or a table: `{ up = \"1mbit\", down = \"10mbit\" }`.";

    up: RateOrOff {
        doc: "from clients to targets",
        default: InWords("`\"off\"`"),
        example: r#""1mbit""#,
        aliases: &["upload", "upload_rate", "uplink", "tx", "in", "client", "proxy_upload_rate"],
    }
    down: RateOrOff {
        doc: "from targets to clients",
        default: InWords("`\"off\"`"),
        example: r#""10mbit""#,
        aliases: &["download", "download_rate", "downlink", "rx", "out", "server", "proxy_download_rate"],
    }
    burst: OneOrOff<Size> {
        doc: "what may move at once after a pause, in each direction",
        takes: "size",
        default: InWords("`\"off\"`, a tenth of a second's worth, at least 16 KiB but no more than 20 s' worth"),
        example: r#""64KiB""#,
        aliases: &["buffer", "bucket", "limit_rate_after", "minburst", "maxburst"],
    }
}

/// More at once is no limit of any use.
const MAX_BURST: Size = Size(1 << 30);

/// A rate for both directions, a table, or "off".
pub(crate) struct BandwidthOrOff;

impl Kind for BandwidthOrOff {
    type Value = Option<Written<OrOff<BandwidthRule>>>;
    const KEY: Key = Key::of(Form::BandwidthOrOff(&BANDWIDTH), Range::Any);

    fn read(table: &mut Table<'_, '_>, key: &'static Key) -> Self::Value {
        match table.get(key.name) {
            Some(value) if value.get_ref().is_table() => directions(table, key, value),
            _ => {
                let Written { value: OrOff(rate), place } = table.rate_or_off(key.name)?;
                Some(Written { value: OrOff(rate.map(BandwidthRule::from)), place })
            }
        }
    }
}

/// The table; both directions `"off"` are the same as no table.
fn directions<'t>(
    table: &mut Table<'t, '_>,
    key: &'static Key,
    value: &'t Spanned<DeValue<'t>>,
) -> <BandwidthOrOff as Kind>::Value {
    let (path, place) = (table.key(key.name), table.at(value.span()));
    // A misspelt direction is told once, as an unknown key.
    let before = table.problems.len();
    let mut own = table.open_value(key.name, path.clone(), value, Some(&BANDWIDTH))?;
    let WrittenBandwidth { up, down, burst, .. } = WrittenBandwidth::read(&mut own);
    if own.problems.len() > before {
        return None;
    }
    let problems = own.problems;
    if up.is_none() && down.is_none() {
        let problem = Problem::new(place, path, "neither up nor down is written");
        problems
            .push(problem.help(format!("write a rate for one or both: {} = {{ up = \"1mbit\" }}", key.name)));
        return None;
    }
    let burst = burst.and_then(|it| Some(Written { value: it.value.0?, place: it.place }));
    if let Some(Written { value: burst, place }) =
        burst.as_ref().filter(|it| it.value.0 == 0 || it.value > MAX_BURST)
    {
        let (what, help) = match burst.0 {
            0 => ("lets nothing move", "write \"1B\" or more, or \"off\""),
            _ => ("is too large", "write \"1GiB\" or less, or \"off\""),
        };
        problems
            .push(Problem::new(place.clone(), format!("{path}.burst"), format!("{burst} {what}")).help(help));
        return None;
    }
    let off = |rate: Option<Written<OrOff<_>>>| rate.and_then(|written| written.value.0);
    let rule = BandwidthRule { up: off(up), down: off(down), burst: burst.map(|burst| burst.value) };
    let is_off = rule.up.is_none() && rule.down.is_none();
    Some(Written { value: OrOff((!is_off).then_some(rule)), place })
}
