//! Logs: one line an event, on standard error.
//!
//! What is told of clients goes through [`super::mask`]; what anybody can cause at will, through [`super::Lid`].

use std::io::IsTerminal;
use std::panic::PanicHookInfo;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use super::{Lid, mask};
use crate::clock::Clock;

/// What is logged, in the form `debug` or `nearcast::scrape=debug,info`.
const VARIABLE: &str = "NEARCAST_LOG";

/// Starts logging, for people or, with `json`, for machines. Level `info` unless `NEARCAST_LOG` says otherwise.
/// A second call changes nothing.
pub fn init_logs(json: bool) {
    let wish = std::env::var(VARIABLE).ok();
    let (targets, complaint) = targets(wish.as_deref());
    let lines = if json {
        fmt::layer().json().flatten_event(true).with_writer(std::io::stderr).boxed()
    } else {
        fmt::layer().with_ansi(std::io::stderr().is_terminal()).with_writer(std::io::stderr).boxed()
    };
    let started = tracing_subscriber::registry().with(lines.with_filter(targets)).try_init().is_ok();
    if !started {
        return;
    }
    // A fault that a request can set off may be set off as often as somebody likes.
    let (lid, clock) = (Lid::default(), Clock::system());
    std::panic::set_hook(Box::new(move |panic| {
        if let Some(held_back) = lid.lift(clock.now()) {
            tell_of_panic(panic, held_back);
        }
    }));
    if let Some(complaint) = complaint {
        tracing::warn!("{VARIABLE} is not understood and ignored: {complaint}");
    }
}

/// A panic is a line like all others. What the runtime writes by itself has several lines and is no JSON.
fn tell_of_panic(panic: &PanicHookInfo<'_>, held_back: u64) {
    let at = panic.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    // Words made of what somebody sent may have his address in them.
    let message = mask::addresses(panic.payload_as_str().unwrap_or("no message"));
    tracing::error!(at, thread, panic = &*message, held_back, "panicked");
}

fn targets(wish: Option<&str>) -> (Targets, Option<String>) {
    let usual = Targets::new().with_default(LevelFilter::INFO);
    match wish.filter(|wish| !wish.is_empty()).map(str::parse::<Targets>) {
        None => (usual, None),
        Some(Ok(wish)) => (wish, None),
        Some(Err(error)) => (usual, Some(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn a_wish_that_is_not_understood_leaves_the_usual_level() {
        let (targets, complaint) = targets(Some("nearcast=loud"));
        assert!(targets.would_enable("nearcast", &Level::INFO));
        assert!(!targets.would_enable("nearcast", &Level::DEBUG));
        assert!(complaint.is_some());
    }

    #[test]
    fn a_wish_is_granted_by_module() {
        let (targets, complaint) = targets(Some("nearcast::scrape=debug,warn"));
        assert!(targets.would_enable("nearcast::scrape", &Level::DEBUG));
        assert!(!targets.would_enable("nearcast::http", &Level::INFO));
        assert_eq!(complaint, None);
    }
}
