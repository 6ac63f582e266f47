//! Sentences: causes and events in the words of a language.

use super::numbers::{count, decimals, lasting, percent, rate, until, whole};
use super::words::Words;
use crate::resolver::Cause;
use crate::state::timeline::{Event, What};

/// Stands for the node's name until the page puts a link there.
const NODE: char = '\u{1}';

/// Why a node is in its state.
pub(super) fn cause(words: &Words, cause: &Cause, now_unix_ms: u64) -> String {
    let resource = |resource: &str| words.t(&format!("r_{resource}")).to_owned();
    let error = |error: &str| words.t(&format!("e_{error}")).to_owned();
    let mbps = |mbps: f32| rate(f64::from(mbps));
    match cause {
        Cause::Egress { mbps: egress, booked_mbps, limit_mbps } => words.f(
            "why_egress",
            &[
                ("mbps", &mbps(*egress)),
                ("booked_mbps", &mbps(*booked_mbps)),
                ("limit_mbps", &mbps(*limit_mbps)),
            ],
        ),
        Cause::Over { resource, load, limit } => {
            let shown = |value: f64| if *resource == "udp_drops" { whole(value) } else { percent(value) };
            let key = format!("why_over_{resource}");
            words.f(&key, &[("load", &shown(*load)), ("limit", &shown(*limit))])
        }
        Cause::Uplink { pressure } => {
            words.f("why_uplink", &[("pressure", &decimals(f64::from(*pressure), 2))])
        }
        Cause::Booked { mbps: booked, resource: tightest } => {
            words.f("why_booked", &[("mbps", &mbps(*booked)), ("resource", &resource(tightest))])
        }
        Cause::Near { viewers, resource: tightest } => words
            .f("why_near", &[("viewers", &whole(f64::from(*viewers))), ("resource", &resource(tightest))]),
        Cause::Stale { target, error: label } => {
            words.f("why_stale", &[("target", target), ("error", &error(label))])
        }
        Cause::Down { target, error: label, failed } => words.f(
            "why_down",
            &[("target", target), ("error", &error(label)), ("failed", &whole(f64::from(*failed)))],
        ),
        Cause::Drain { reason, until_unix_s } => {
            let reason = reason.as_deref().unwrap_or(words.t("no_reason"));
            match until_unix_s {
                Some(end) => {
                    let end = until(end * 1_000, now_unix_ms);
                    words.f("why_drain", &[("until", &end), ("reason", reason)])
                }
                None => words.f("why_drain_open", &[("reason", reason)]),
            }
        }
        Cause::Capped { mbps: cap, capacity_mbps } => {
            words.f("why_capped", &[("mbps", &mbps(*cap)), ("capacity_mbps", &mbps(*capacity_mbps))])
        }
        Cause::Failing { target, error: label } => {
            words.f("why_failing", &[("target", target), ("error", &error(label))])
        }
        Cause::Starting => words.t("why_starting").to_owned(),
        Cause::Unmeasured => words.t("why_unmeasured").to_owned(),
    }
}

/// What happened, in the two parts that stand before and after the node's name.
pub(super) fn event(words: &Words, event: &Event, now_unix_ms: u64) -> (String, String) {
    let text = told(words, event, &NODE.to_string(), now_unix_ms);
    match text.split_once(NODE) {
        Some((before, after)) => (before.to_owned(), after.to_owned()),
        None => (text, String::new()),
    }
}

/// What happened, in one sentence.
pub(in crate::http) fn plain(words: &Words, event: &Event, now_unix_ms: u64) -> String {
    told(words, event, event.node.as_deref().unwrap_or_default(), now_unix_ms)
}

fn told(words: &Words, event: &Event, node: &str, now_unix_ms: u64) -> String {
    let lasted = event.for_s.map(lasting).unwrap_or_default();
    let key = format!("ev_{}{}", event.what.code(), if event.for_s.is_some() { "_was" } else { "" });
    let say = |key: &str, values: &[(&str, &str)]| {
        words.f(key, &[&[("id", node), ("for", &lasted)], values].concat())
    };
    match &event.what {
        What::Overloaded { resource, peak } => {
            let resource = words.t(&format!("r_{resource}")).to_owned();
            say(&key, &[("resource", &resource), ("peak", &decimals(*peak, 2))])
        }
        What::Stale { target, error } | What::Down { target, error } => {
            let error = words.t(&format!("e_{error}")).to_owned();
            say(&key, &[("target", host(target)), ("error", &error)])
        }
        What::Many { state, nodes } => {
            let state = words.t(&format!("st_{state}")).to_owned();
            say(&key, &[("state", &state), ("nodes", &count(*nodes))])
        }
        What::Drained { reason, until_unix_ms } => {
            let reason = reason.as_deref().unwrap_or(words.t("no_reason"));
            match (until_unix_ms, event.for_s) {
                (None, None) => say("ev_drained_open", &[("reason", reason)]),
                (end, _) => {
                    let end = end.map(|end| until(end, now_unix_ms)).unwrap_or_default();
                    say(&key, &[("reason", reason), ("until", &end)])
                }
            }
        }
        What::Capped { mbps, capacity_mbps } => {
            say(&key, &[("rate", &rate(*mbps)), ("capacity", &rate(*capacity_mbps))])
        }
        What::Degraded { domain, answers } => {
            let answers = count(usize::try_from(*answers).unwrap_or(usize::MAX));
            say(&key, &[("domain", domain), ("answers", &answers)])
        }
        What::Reloaded { added, removed, nodes } | What::Registered { added, removed, nodes } => {
            say(&key, &[("added", &count(*added)), ("removed", &count(*removed)), ("nodes", &count(*nodes))])
        }
        What::ReloadRefused { summary } => say(&key, &[("summary", summary)]),
        What::StaleFleet { stale, nodes } => {
            say(&key, &[("stale", &count(*stale)), ("nodes", &count(*nodes))])
        }
        What::Kappa { kappa } => say(&key, &[("kappa", &decimals(*kappa, 2))]),
        What::Started { nodes } => say(&key, &[("nodes", &count(*nodes))]),
        What::Undrained | What::DrainExpired | What::Removed => say(&key, &[]),
    }
}

/// Host and port of a URL.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default()
}
