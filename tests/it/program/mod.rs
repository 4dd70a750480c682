//! The program: how it starts, reloads, logs and stops; and the declarations behind a reload.

mod crowds;
mod declare;
mod few_threads;
mod include;
mod kill;
mod log;
mod no_proc;
mod odd_files;
mod reload;
mod reload_answer;
mod reload_files;
mod sandbox;
mod secrets;
mod signals;
mod sources;
mod start;
mod stop;
mod strangers;
mod widening;
