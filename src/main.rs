//! Arguments become an exit code.

fn main() -> std::process::ExitCode {
    nearcast::cli::run()
}
