//! argv → exit code.

fn main() {
    #[allow(clippy::disallowed_methods, reason = "the one place that ends the process")]
    std::process::exit(loopgate::cli::main().into())
}
