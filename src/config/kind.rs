//! The kinds of values that a key can have: how each is read, and the part of the declaration that follows from the
//! kind.

use std::fmt::Debug;
use std::marker::PhantomData;

use serde::Deserialize;
use toml::de::DeValue;

use super::decode::words;
use super::key::{Form, Key, Range};
use super::problem::{Place, Problem};
use super::table::Table;
use super::written::Written;
use crate::transport::BindPolicy;
use crate::units::{OrOff, Rate, TimeSpan};

/// A kind of value.
pub(crate) trait Kind {
    /// The value that is read; its default if nothing is written.
    type Value: Clone + Debug + Default + Placed;
    /// The part of the declaration that all keys of this kind share.
    const KEY: Key;
    /// Reads the value of `key`. A bad value adds a problem, and is then treated as not written.
    fn read(table: &mut Table<'_, '_>, key: &'static Key) -> Self::Value;
}

/// A value that may have been written somewhere.
pub(crate) trait Placed {
    /// Its place, if it was written.
    fn place(&self) -> Option<&Place>;
}

impl<T> Placed for Option<Written<T>> {
    fn place(&self) -> Option<&Place> {
        self.as_ref().map(|written| &written.place)
    }
}

impl<T> Placed for Option<Vec<Written<T>>> {
    fn place(&self) -> Option<&Place> {
        self.as_ref().and_then(|list| list.first()).map(|first| &first.place)
    }
}

/// A type that is read by its own `Deserialize`.
pub(crate) trait Readable: for<'de> Deserialize<'de> + Clone + Debug {}

impl<T: for<'de> Deserialize<'de> + Clone + Debug> Readable for T {}

/// A string that its type reads.
pub(crate) struct One<T>(PhantomData<T>);

impl<T: Readable> Kind for One<T> {
    type Value = Option<Written<T>>;
    const KEY: Key = Key::of(Form::Text, Range::Any);

    fn read(table: &mut Table<'_, '_>, key: &'static Key) -> Self::Value {
        table.value(key.name)
    }
}

/// The same, or "off".
pub(crate) struct OneOrOff<T>(PhantomData<T>);

impl<T: Readable> Kind for OneOrOff<T> {
    type Value = Option<Written<OrOff<T>>>;
    const KEY: Key = Key::of(Form::TextOrOff, Range::Any);

    fn read(table: &mut Table<'_, '_>, key: &'static Key) -> Self::Value {
        table.or_off(key.name, |table| table.value(key.name))
    }
}

/// One of the words of a type.
pub(crate) struct Word<T>(PhantomData<T>);

impl<T: Readable> Kind for Word<T> {
    type Value = Option<Written<T>>;
    const KEY: Key = Key::of(Form::Word(words::<T>), Range::Any);

    fn read(table: &mut Table<'_, '_>, key: &'static Key) -> Self::Value {
        table.word(key.name)
    }
}

/// `bind`, which in HAProxy and others is the address to listen on.
pub(crate) struct Bind;

impl Kind for Bind {
    type Value = Option<Written<BindPolicy>>;
    const KEY: Key = Key::of(Form::Word(words::<BindPolicy>), Range::Any);

    fn read(table: &mut Table<'_, '_>, key: &'static Key) -> Self::Value {
        let value = table.get(key.name)?;
        if is_address(value.get_ref()) {
            let what = "the address that a route listens on belongs in listen";
            table.problem(key.name, value, what, Some("write listen instead of bind"));
            return None;
        }
        table.word(key.name)
    }
}

/// Whether the value of `bind` is an address to listen on.
pub(super) fn is_address(value: &DeValue<'_>) -> bool {
    match value {
        DeValue::String(text) => text.contains([':', '.', '/']) || text.parse::<u16>().is_ok(),
        DeValue::Integer(_) | DeValue::Array(_) => true,
        _ => false,
    }
}

/// One value or a list of them.
pub(crate) struct List<T>(PhantomData<T>);

impl<T: Readable> Kind for List<T> {
    type Value = Option<Vec<Written<T>>>;
    const KEY: Key = Key::of(Form::Texts, Range::Any);

    fn read(table: &mut Table<'_, '_>, key: &'static Key) -> Self::Value {
        table.list(key.name)
    }
}

/// The same, or "off", which is an empty list.
pub(crate) struct ListOrOff<T>(PhantomData<T>);

impl<T: Readable> Kind for ListOrOff<T> {
    type Value = Option<Vec<Written<T>>>;
    const KEY: Key = Key::of(Form::TextsOrOff, Range::Any);

    fn read(table: &mut Table<'_, '_>, key: &'static Key) -> Self::Value {
        table.list_or_off(key.name, "write \"off\"")
    }
}

/// The same for `allow`, whose "off" in other words could also mean that no client is admitted.
pub(crate) struct AllowOrOff<T>(PhantomData<T>);

impl<T: Readable> Kind for AllowOrOff<T> {
    type Value = Option<Vec<Written<T>>>;
    const KEY: Key = Key::of(Form::TextsOrOff, Range::Any);

    fn read(table: &mut Table<'_, '_>, key: &'static Key) -> Self::Value {
        let help =
            "write \"off\" to admit every client that deny does not name; to admit none, leave the route out";
        table.list_or_off(key.name, help)
    }
}

/// A time within the key's range.
pub(crate) struct Time;

impl Kind for Time {
    type Value = Option<Written<TimeSpan>>;
    const KEY: Key = Key::of(Form::Time, Range::Any);

    fn read(table: &mut Table<'_, '_>, key: &'static Key) -> Self::Value {
        table.time(key)
    }
}

/// The same, or "off".
pub(crate) struct TimeOrOff;

impl Kind for TimeOrOff {
    type Value = Option<Written<OrOff<TimeSpan>>>;
    const KEY: Key = Key::of(Form::TimeOrOff, Range::Any);

    fn read(table: &mut Table<'_, '_>, key: &'static Key) -> Self::Value {
        table.time_or_off(key)
    }
}

/// A whole number of 1 or more.
pub(crate) struct Count;

impl Kind for Count {
    type Value = Option<Written<usize>>;
    const KEY: Key = Key::of(Form::Count, Range::OneOrMore);

    fn read(table: &mut Table<'_, '_>, key: &'static Key) -> Self::Value {
        table.count(key.name)
    }
}

/// The same, or "off".
pub(crate) struct CountOrOff;

impl Kind for CountOrOff {
    type Value = Option<Written<OrOff<usize>>>;
    const KEY: Key = Key::of(Form::CountOrOff, Range::OneOrMore);

    fn read(table: &mut Table<'_, '_>, key: &'static Key) -> Self::Value {
        table.or_off(key.name, |table| table.count(key.name))
    }
}

/// A whole number from 1 to `MOST`.
pub(crate) struct CountTo<const MOST: u32>;

impl<const MOST: u32> Kind for CountTo<MOST> {
    type Value = Option<Written<usize>>;
    const KEY: Key = Key::of(Form::CountTo(MOST), Range::Any);

    fn read(table: &mut Table<'_, '_>, key: &'static Key) -> Self::Value {
        let written = table.count(key.name)?;
        if usize::try_from(MOST).is_ok_and(|most| written.value > most) {
            let problem =
                Problem::new(written.place, table.key(key.name), format!("{} is too large", written.value));
            table.problems.push(problem.help(format!("write {MOST} or less")));
            return None;
        }
        Some(written)
    }
}

/// A whole number, zero included, or "off".
pub(crate) struct NumberOrOff;

impl Kind for NumberOrOff {
    type Value = Option<Written<OrOff<usize>>>;
    const KEY: Key = Key::of(Form::NumberOrOff, Range::Any);

    fn read(table: &mut Table<'_, '_>, key: &'static Key) -> Self::Value {
        if table
            .get(key.name)
            .is_some_and(|value| value.get_ref().as_integer().is_some_and(|it| it.as_str() == "0"))
        {
            let zero = table.value::<i64>(key.name)?;
            return Some(Written { value: OrOff(Some(0)), place: zero.place });
        }
        CountOrOff::read(table, key)
    }
}

/// True or false.
pub(crate) struct Truth;

impl Kind for Truth {
    type Value = Option<Written<bool>>;
    const KEY: Key = Key::of(Form::Truth, Range::Any);

    fn read(table: &mut Table<'_, '_>, key: &'static Key) -> Self::Value {
        table.truth(key.name)
    }
}

/// Bits a second, or "off".
pub(crate) struct RateOrOff;

impl Kind for RateOrOff {
    type Value = Option<Written<OrOff<Rate>>>;
    const KEY: Key = Key::of(Form::RateOrOff, Range::Any);

    fn read(table: &mut Table<'_, '_>, key: &'static Key) -> Self::Value {
        table.rate_or_off(key.name)
    }
}
