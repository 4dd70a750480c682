//! Every configuration key, declared once: its name, form, bounds, default and purpose, its names in other programs,
//! the routes it is for, and whether a reload can change it.
//!
//! To add a key, declare it in the file of its table, and use the field of the same name where it takes effect. Then
//! `UPDATE=1 cargo test --test tidy --test schema` rewrites config.example.toml, the schema and the reference page.

/// A table of keys: a struct with a field for each, and the declarations of all of them.
macro_rules! table {
    (
        $(#[$attribute:meta])*
        $name:ident, $keys:ident, $section:ident: $doc:literal;
        $($key:ident: $kind:ty { $($part:ident: $value:expr),* $(,)? })*
    ) => {
        /// The declarations.
        pub(super) const $keys: &[Key] =
            &[$(Key { name: stringify!($key), $($part: $value,)* ..<$kind as Kind>::KEY }),*];

        /// The table.
        pub(in crate::config) static $section: Section = Section { doc: $doc, keys: &[$keys], needs: &[] };

        $(#[$attribute])*
        #[derive(Clone, Debug, Default)]
        pub(crate) struct $name {
            /// The place of the table; `None` if it is not written.
            pub(crate) place: Option<Place>,
            $(pub(crate) $key: <$kind as Kind>::Value,)*
        }

        impl $name {
            /// Reads every key.
            pub(in crate::config) fn read(table: &mut Table<'_, '_>) -> Self {
                let place = Some(table.place().clone());
                let mut keys = $keys.iter();
                // The keys come in the order of the declarations, which is that of the fields.
                $(let $key = keys.next().map(|key| <$kind as Kind>::read(table, key)).unwrap_or_default();)*
                $name { place, $($key),* }
            }

            /// Every key that is written, with its place.
            #[allow(dead_code, reason = "not every table is asked")]
            pub(crate) fn written(&self) -> impl Iterator<Item = (&'static Key, &Place)> {
                let places = [$(Placed::place(&self.$key)),*];
                $keys.iter().zip(places).filter_map(|(key, place)| Some((key, place?)))
            }
        }

        impl Placed for $name {
            fn place(&self) -> Option<&Place> {
                self.place.as_ref()
            }
        }

        impl Kind for $name {
            type Value = $name;
            const KEY: Key = Key::of(Form::Table(&$section), Range::Any);

            fn read(table: &mut Table<'_, '_>, key: &'static Key) -> Self::Value {
                let table = table.table(key.name, Some(&$section));
                table.map(|mut table| $name::read(&mut table)).unwrap_or_default()
            }
        }
    };
}

mod bandwidth;
mod connection_rate;
mod health;
mod process;
mod route;
mod settings;
mod tls;
mod tunnel;

#[cfg(test)]
use super::key::Reload;
use super::key::{Form, Key};

pub(super) use bandwidth::BANDWIDTH;
pub(super) use connection_rate::CONNECTION_RATE;
pub(super) use process::{ROUTES, TOP};
pub(super) use route::{ROUTE, TARGET};
pub(super) use tunnel::{TUNNEL_OF_NAME, TUNNELS};

pub(crate) use health::WrittenHealth;
pub(crate) use process::{WrittenLimits, WrittenLog};
pub(crate) use settings::Settings;
pub(crate) use tls::{WrittenTargetTls, WrittenTls};
pub(crate) use tunnel::{WrittenLink, WrittenTunnel};

/// The path of every key that a user writes, as `include` or `routes.NAME.listen`, except those that are tables, and those
/// that `[tunnels.NAME.defaults]` has as `[defaults]`.
pub fn keys() -> Vec<String> {
    paths(|key| key.by_hand)
}

/// The keys that only a restart can change.
#[cfg(test)]
pub(crate) fn kept_until_restart() -> Vec<String> {
    paths(|key| key.reload == Reload::Restart)
}

fn paths(wanted: impl Fn(&Key) -> bool) -> Vec<String> {
    let is_leaf = |key: &&Key| !matches!(key.form, Form::Table(_) | Form::Named(_));
    let mut paths: Vec<String> =
        TOP.keys().filter(is_leaf).filter(|key| wanted(key)).map(|key| key.name.to_owned()).collect();
    // Under a tunnel, the settings of routes stand as in the defaults.
    let tables = TOP.tables().into_iter().filter(|(path, _)| !path.starts_with("tunnels.NAME.defaults"));
    for (path, section) in tables {
        let leaves = section.keys().filter(is_leaf).filter(|key| wanted(key));
        paths.extend(leaves.map(|key| format!("{path}.{}", key.name)));
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::super::key::Range;
    use super::*;
    use crate::units::TimeSpan;

    #[test]
    fn every_bound_that_the_reference_names_can_be_written_and_holds() {
        let sections = TOP.tables();
        let keys = TOP.keys().chain(sections.iter().flat_map(|(_, section)| section.keys()));

        for key in keys {
            let bounds = match key.range {
                Range::UpTo(most) | Range::MoreThanZero(most) => vec![most],
                Range::Between(least, most) => vec![least, most],
                _ => Vec::new(),
            };
            for bound in bounds {
                assert!(bound.parse::<TimeSpan>().is_ok(), "{}: {bound}", key.name);
            }
        }
    }
}
