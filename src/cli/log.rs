//! Records and log lines on standard error, in one format, through one queue.

use std::fmt::{self, Write};
use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use humantime::format_rfc3339_micros;
use serde::Serialize;
use tracing::{Event, Level, Subscriber, field::Field, field::Visit};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::output::colour;
use crate::ledger::{Ledger, LineQueue, LogFormat, LogLevel, LogSettings, Record, Sink};
use crate::units::{shown_json, shown_lines};

/// Sets the process's log subscriber and creates the ledger, which writes to the same queue.
///
/// # Errors
/// If the writer thread cannot be started.
pub(super) fn start(settings: &LogSettings) -> io::Result<(LineQueue, Arc<Ledger>)> {
    let form = Form::of(settings);
    let queue = LineQueue::start(io::stderr(), move |dropped| {
        let message = format!("{dropped} lines dropped: the reader of this log is too slow");
        form.line(Level::WARN, Message { message, ..Message::default() })
    })?;
    let lines = queue.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level(settings.level))
        .with_writer(move || lines.writer())
        .event_format(form)
        .finish();
    // This fails only if an embedder has already set a subscriber, which then stays in place.
    let _ = tracing::subscriber::set_global_default(subscriber);
    let ledger = ledger(&queue, settings);
    Ok((queue, ledger))
}

/// A ledger that writes to the queue of a log that was started with the same settings.
pub(super) fn ledger(queue: &LineQueue, settings: &LogSettings) -> Arc<Ledger> {
    let is_written = settings.level >= LogLevel::Info;
    Ledger::new(Box::new(Records { queue: queue.clone(), form: Form::of(settings), is_written }))
}

fn level(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    }
}

#[derive(Clone, Copy)]
struct Form {
    format: LogFormat,
    colour: bool,
}

/// One line: the time, the level, and the message or record.
#[derive(Serialize)]
struct JsonLine<T> {
    time: String,
    level: &'static str,
    #[serde(flatten)]
    what: T,
}

/// Initial capacity of a line, in bytes: a usual record, with some room to spare.
const USUAL_LINE: usize = 256;

struct Records {
    queue: LineQueue,
    form: Form,
    is_written: bool,
}

impl Sink for Records {
    fn record(&self, record: &Record) {
        if !self.is_written {
            return;
        }
        // Format the line before the queue is locked: all workers write to it.
        let line = match self.form.format {
            LogFormat::Text => text_line(record),
            LogFormat::Json => json_line(JsonLine { time: now(), level: "info", what: record }),
        };
        self.queue.append(|bytes| bytes.extend_from_slice(line.as_bytes()));
    }

    fn wants_kernel_facts(&self) -> bool {
        self.is_written && self.form.format == LogFormat::Json
    }
}

fn text_line(record: &Record) -> String {
    let mut line = String::with_capacity(USUAL_LINE);
    write_now(&mut line);
    line.push_str(" INFO ");
    // Writing to memory does not fail.
    let _ = record.write_to(&mut line);
    line.push('\n');
    line
}

fn json_line(line: JsonLine<impl Serialize>) -> String {
    // Strings and numbers always serialise.
    let line = serde_json::to_string(&line).unwrap_or_default();
    shown_json(&line).into_owned() + "\n"
}

impl<S, N> FormatEvent<S, N> for Form
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut message = Message::default();
        event.record(&mut message);
        out.write_str(&self.line(*event.metadata().level(), message))
    }
}

impl Form {
    fn of(settings: &LogSettings) -> Form {
        Form { format: settings.format, colour: colour(&io::stderr()) }
    }

    /// A whole log line, for anything but a record.
    fn line(self, level: Level, message: Message) -> String {
        if let LogFormat::Json = self.format {
            return json_line(JsonLine { time: now(), level: severity(level), what: message });
        }
        let level = match (self.colour, level) {
            (true, Level::ERROR) => "\x1b[31mERROR\x1b[0m",
            (true, Level::WARN) => "\x1b[33mWARN\x1b[0m",
            (_, level) => level.as_str(),
        };
        format!("{} {level} {}\n", now(), shown_lines(&message.message))
    }
}

fn severity(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        _ => "debug",
    }
}

/// The message of an event, and its fields. The fields go into JSON only: the message contains them already.
#[derive(Default, Serialize)]
struct Message {
    message: String,
    #[serde(flatten)]
    fields: serde_json::Map<String, serde_json::Value>,
}

impl Visit for Message {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.insert(field.name().into(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.fields.insert(field.name().into(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.fields.insert(field.name().into(), value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        match field.name() {
            "message" => self.message = text,
            name => {
                self.fields.insert(name.into(), text.into());
            }
        }
    }
}

/// The time in RFC 3339, in UTC, with microseconds.
fn now() -> String {
    let mut text = String::with_capacity(32);
    write_now(&mut text);
    text
}

fn write_now(text: &mut String) {
    // A clock before 1970 is shown as that; writing to memory does not fail.
    let now = SystemTime::now().max(SystemTime::UNIX_EPOCH);
    let _ = write!(text, "{}", format_rfc3339_micros(now));
}
