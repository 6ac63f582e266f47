//! The board as pages get it: arrays in the order that `store.js` knows, so that a thousand rows a second stay small.

use std::fmt::Write;

use serde::Serialize;

use crate::resolver::{Board, Flows, Member, Roster, Row, SHOWN, Sum};
use crate::state::timeline::Event;

/// The resources that can be tightest; rows name them by place.
pub(super) const RESOURCES: [&str; 8] =
    ["bandwidth", "system_cpu", "process_cpu", "memory", "disk_busy", "disk_full", "udp_drops", "pop_uplink"];

/// The fleet in numbers, once a second.
#[derive(Serialize)]
pub(super) struct FleetNow<'a> {
    pub(super) at_unix_ms: u64,
    #[serde(flatten)]
    pub(super) sum: &'a Sum,
    pub(super) degraded_per_s: f64,
    pub(super) kappa: f32,
    pub(super) replicas: Option<u32>,
    pub(super) stale_fleet: bool,
}

/// An event with its sentence in English, for who reads no codes.
#[derive(Serialize)]
pub(in crate::http) struct Worded<'a> {
    #[serde(flatten)]
    pub(in crate::http) event: &'a Event,
    pub(in crate::http) text: String,
}

/// Everything that a page needs to begin with, but for the braces around it.
pub(super) fn whole(roster: &Roster, board: &Board) -> String {
    let mut text = String::with_capacity(256 * board.rows.len() + 4_096);
    let names = serde_json::json!({
        "generation": board.generation,
        "states": SHOWN,
        "resources": RESOURCES,
        "pools": roster.pools,
        "pops": roster.pops,
    });
    let names = names.to_string();
    text.push_str(names.strip_prefix('{').and_then(|names| names.strip_suffix('}')).unwrap_or_default());
    text.push_str(",\"nodes\":[");
    for (at, member) in roster.nodes.iter().enumerate() {
        comma(&mut text, at);
        node(&mut text, member);
    }
    text.push_str("],\"rows\":");
    rows(&mut text, board.rows.iter().enumerate());
    text
}

/// `[id, pop, pool, address]`.
fn node(text: &mut String, member: &Member) {
    text.push('[');
    string(text, &member.id);
    let _ = write!(text, ",{},{},", member.pop, member.pool);
    string(text, &member.address);
    text.push(']');
}

/// `[[n, state, pressure, tightest, measured ×3, booked ×3, headroom, clients, egress, limit, capacity, booked,
/// answers, age, why], …]`.
pub(super) fn rows<'a>(text: &mut String, rows: impl Iterator<Item = (usize, &'a Row)>) {
    text.push('[');
    for (at, (n, row)) in rows.enumerate() {
        comma(text, at);
        one(text, n, row);
    }
    text.push(']');
}

fn one(text: &mut String, n: usize, row: &Row) {
    let state = SHOWN.iter().position(|shown| *shown == row.state).unwrap_or_default();
    let tightest = RESOURCES.iter().position(|resource| *resource == row.tightest).unwrap_or_default();
    let _ = write!(text, "[{n},{state},");
    match row.pressure {
        Some(pressure) => number(text, pressure, 3),
        None => text.push_str("null"),
    }
    let _ = write!(text, ",{tightest}");
    for share in row.measured.iter().chain(&row.booked) {
        text.push(',');
        number(text, *share, 3);
    }
    let _ = write!(text, ",{},", row.headroom);
    number(text, row.clients, 0);
    for mbps in [row.egress_mbps, row.limit_mbps, row.capacity_mbps, row.booked_mbps] {
        text.push(',');
        number(text, mbps, 1);
    }
    text.push(',');
    number(text, row.answers_per_s, 1);
    text.push(',');
    match row.age_s {
        Some(age_s) => number(text, age_s, 1),
        None => text.push_str("null"),
    }
    text.push(',');
    match &row.why {
        Some(why) => text.push_str(&serde_json::to_string(why).unwrap_or_else(|_| "null".to_owned())),
        None => text.push_str("null"),
    }
    text.push(']');
}

fn comma(text: &mut String, at: usize) {
    if at > 0 {
        text.push(',');
    }
}

/// Rounded, and without zeros that say nothing.
fn number(text: &mut String, value: f32, decimals: i32) {
    if !value.is_finite() {
        return text.push('0');
    }
    let scale = 10.0_f32.powi(decimals);
    let _ = write!(text, "{}", (value * scale).round() / scale);
}

fn string(text: &mut String, value: &str) {
    text.push_str(&serde_json::to_string(value).unwrap_or_default());
}

/// Where viewers go.
pub(super) fn flows(flows: &Flows) -> String {
    serde_json::to_string(flows).unwrap_or_default()
}

/// One message of the stream.
pub(super) fn message(text: &mut String, event: &str, data: &str) {
    let _ = write!(text, "event: {event}\ndata: {data}\n\n");
}
