//! argv → exit code.

/// What a session holds is a few blocks that glibc would put far apart.
#[global_allocator]
static HEAP: loopgate::cli::Blocks = loopgate::cli::Blocks::new();

fn main() {
    HEAP.adopt();
    #[allow(clippy::disallowed_methods, reason = "the one place that ends the process")]
    std::process::exit(loopgate::cli::main().into())
}
