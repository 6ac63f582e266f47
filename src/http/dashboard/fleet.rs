//! The fleet's page.

use askama::Template;
use axum::response::Response;
use http::{HeaderMap, StatusCode, Uri};

use super::map::{self, Mark};
use super::numbers::{age, count, decimals, percent, rfc3339, time, whole};
use super::table::{self, COLUMNS, PAGE_ROWS, Shown, View, state_word};
use super::words::Words;
use super::{Shell, page, sentences};
use crate::http::Front;
use crate::http::problem::Problem;
use crate::resolver::{Board, NEAR, Roster, SHOWN, Sum};
use crate::state::timeline::{Event, Kind};

/// Events on a page.
const EVENTS: usize = 60;
/// Bars of the histogram: a minute each.
const BARS: usize = 60;

/// One event, in words.
pub(super) struct Told {
    pub(super) id: u64,
    pub(super) time: String,
    pub(super) at: String,
    pub(super) kind: &'static str,
    pub(super) glyph: &'static str,
    pub(super) before: String,
    pub(super) node: String,
    pub(super) href: String,
    pub(super) after: String,
}

/// A bar of the histogram.
struct Bar {
    x: usize,
    height: usize,
    hot: usize,
}

/// A state and how many are in it.
struct Chip {
    state: &'static str,
    word: &'static str,
    count: String,
    href: String,
    is_on: bool,
}

/// The numbers on top.
struct Strip {
    room: String,
    used_width: String,
    booked_x: String,
    booked_width: String,
    watching: String,
    overloaded: String,
    is_over: bool,
    of_nodes: String,
    in_pops: String,
    near: String,
    degraded: String,
    is_degraded: bool,
    degraded_sub: String,
    kappa: String,
    kappa_sub: String,
    age: String,
    age_sub: String,
}

#[derive(Template)]
#[template(path = "fleet.html")]
struct FleetPage<'a> {
    s: Shell,
    w: &'static Words,
    strip: Strip,
    stale_fleet: bool,
    marks: Vec<Mark>,
    bars: Vec<Bar>,
    kinds: Vec<(&'static str, &'static str, String, bool)>,
    events: Vec<Told>,
    view: View,
    pools: Vec<&'a str>,
    pops: Vec<&'a str>,
    chips: Vec<Chip>,
    showing: String,
    columns: Vec<(&'static str, &'static str, bool, String, &'static str)>,
    rows: Vec<Shown<'a>>,
    paging: String,
    previous: String,
    next: String,
    clear: String,
}

#[derive(Template)]
#[template(path = "empty.html")]
struct EmptyPage {
    s: Shell,
    w: &'static Words,
    snippet: &'static str,
}

/// What a first configuration needs.
const SNIPPET: &str = r#"[[pools]]
name = "edges"

[[domains]]
name = "live.example.com"
pool = "edges"

[[nodes]]
id        = "sh-1"
pool      = "edges"
pop       = "shanghai"
addresses = ["203.0.113.10"]
bandwidth = "10Gbps"
exporters = [
  "http://10.0.0.1:9100/metrics",   # node_exporter
  "http://10.0.0.1:9256/metrics",   # process exporter
  "http://10.0.0.1:9972/metrics",   # SRS
]
processes = ["srs"]"#;

/// The page for a query.
pub(in crate::http) fn show(front: &Front, uri: &Uri, headers: &HeaderMap) -> Result<Response, Problem> {
    let (roster, board) = (front.resolver.roster(), front.resolver.board());
    let shell = Shell::new("fleet", "", board.at_unix_ms, uri, headers);
    let w = shell.w;
    if board.rows.is_empty() {
        return page(StatusCode::OK, &EmptyPage { s: shell, w, snippet: SNIPPET });
    }
    let shell = Shell { title: w.t("fleet").to_owned(), ..shell };
    let view = View::read(uri.query());
    let sum = Sum::of(&board);
    let selected = view.select(&roster, &board);
    let pages = selected.len().div_ceil(PAGE_ROWS).max(1);
    let view = View { page: view.page.min(pages), ..view };
    let from = (view.page - 1) * PAGE_ROWS;
    let on_page = selected.iter().skip(from).take(PAGE_ROWS);
    let hour_ago = board.at_unix_ms.saturating_sub(3_600_000);
    let all = front.resolver.timeline().latest(usize::MAX, |event| event.at_unix_ms > hour_ago);
    let of_kind = |event: &&Event| view.event.is_empty() || *view.event == *event.kind.as_str();
    let template = FleetPage {
        w,
        strip: strip(w, &roster, &board, &sum, front.feed.degraded_per_s()),
        stale_fleet: board.stale_fleet,
        marks: map::marks(&roster, &board),
        bars: histogram(&all, board.at_unix_ms),
        kinds: kinds(w, &view),
        events: all
            .iter()
            .filter(of_kind)
            .take(EVENTS)
            .map(|event| told(w, event, board.at_unix_ms))
            .collect(),
        pools: roster.pools.iter().map(|pool| &**pool).collect(),
        pops: roster.pops.iter().map(|pop| &*pop.id).collect(),
        chips: chips(w, &view, &sum),
        showing: w.f("showing", &[("a", &count(selected.len())), ("b", &count(board.rows.len()))]),
        columns: COLUMNS
            .map(|(key, word, number)| (key, w.t(word), number, view.sort_href(key), view.sorted(key)))
            .into(),
        rows: on_page.map(|at| table::shown(w, &roster, &board, *at)).collect(),
        paging: w.f("page", &[("a", &count(view.page)), ("b", &count(pages))]),
        previous: if view.page > 1 { view.href("page", &(view.page - 1).to_string()) } else { String::new() },
        next: if view.page < pages { view.href("page", &(view.page + 1).to_string()) } else { String::new() },
        clear: if view.is_filtered() { "/nodes".to_owned() } else { String::new() },
        view,
        s: shell,
    };
    page(StatusCode::OK, &template)
}

fn strip(w: &'static Words, roster: &Roster, board: &Board, sum: &Sum, degraded_per_s: f64) -> Strip {
    let hot: std::collections::BTreeSet<&str> = roster
        .nodes
        .iter()
        .zip(&board.rows)
        .filter(|(_, row)| row.state == "overloaded")
        .map(|(member, _)| &*roster.pops[member.pop].id)
        .collect();
    let mut pops: Vec<String> = hot.iter().take(2).map(|pop| (*pop).to_owned()).collect();
    if hot.len() > 2 {
        pops.push(format!("+{}", hot.len() - 2));
    }
    let (overloaded, near) = (sum.in_state("overloaded"), sum.in_state(NEAR));
    let share = degraded_per_s / sum.answers_per_s.max(degraded_per_s).max(0.001);
    let width = |share: f64| format!("{:.1}", (share * 1_000.0).clamp(0.0, 1_000.0));
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let room = sum.headroom as f64;
    let oldest = sum
        .oldest
        .map(|at| w.f("oldest", &[("id", &roster.nodes[at].id), ("s", &whole(f64::from(sum.oldest_s)))]));
    let silent = w.f("silent", &[("n", &count(sum.in_state("down") + sum.in_state("stale")))]);
    Strip {
        room: whole(room),
        used_width: width(sum.used),
        booked_x: width(sum.used),
        booked_width: width(sum.booked.min(1.0 - sum.used.min(1.0))),
        watching: w.f(
            "watching",
            &[("n", &whole(sum.viewers)), ("p", &percent(sum.used)), ("b", &decimals(sum.booked * 100.0, 1))],
        ),
        overloaded: count(overloaded),
        is_over: overloaded > 0,
        of_nodes: w.f("of_nodes", &[("n", &count(board.rows.len()))]),
        in_pops: if hot.is_empty() { String::new() } else { w.f("in_pops", &[("pops", &pops.join(", "))]) },
        near: if near == 0 { String::new() } else { w.f("near_limit", &[("n", &count(near))]) },
        degraded: decimals(degraded_per_s, 1),
        is_degraded: degraded_per_s >= 1.0,
        degraded_sub: w.f(
            "degraded_sub",
            &[
                (
                    "p",
                    &if share > 0.0 && share < 1e-4 {
                        "<0.01".to_owned()
                    } else {
                        decimals(share * 100.0, 2)
                    },
                ),
                ("n", &decimals(sum.answers_per_s, usize::from(sum.answers_per_s < 100.0))),
            ],
        ),
        kappa: decimals(f64::from(board.kappa), 2),
        kappa_sub: kappa_sub(w, board.replicas),
        age: sum.newest_s.map_or("–".to_owned(), |newest| age(f64::from(newest))),
        age_sub: oldest.map_or(silent.clone(), |oldest| format!("{oldest} · {silent}")),
    }
}

fn kappa_sub(w: &'static Words, replicas: Option<u32>) -> String {
    match replicas {
        None => w.t("kappa_learnt").to_owned(),
        Some(1) => w.t("kappa_expected_one").to_owned(),
        Some(replicas) => {
            let replicas = f64::from(replicas);
            w.f("kappa_expected", &[("n", &decimals(replicas, 2)), ("r", &whole(replicas))])
        }
    }
}

fn histogram(events: &[Event], now_unix_ms: u64) -> Vec<Bar> {
    let mut bars = [(0_usize, 0_usize); BARS];
    for event in events {
        let minutes = usize::try_from(now_unix_ms.saturating_sub(event.at_unix_ms) / 60_000).unwrap_or(BARS);
        let Some(bar) = (BARS - 1).checked_sub(minutes) else { continue };
        bars[bar].0 += 1;
        bars[bar].1 += usize::from(matches!(event.kind, Kind::Overload | Kind::Answers));
    }
    let high = bars.iter().map(|(all, _)| *all).max().unwrap_or(1).max(4);
    let height = |events: usize| (events * 28).div_ceil(high);
    let drawn = bars.iter().enumerate().filter(|(_, (all, _))| *all > 0);
    drawn.map(|(at, (all, hot))| Bar { x: at * 6, height: height(*all), hot: height(*hot) }).collect()
}

fn kinds(w: &'static Words, view: &View) -> Vec<(&'static str, &'static str, String, bool)> {
    let words = ["kind_overload", "kind_scrape", "kind_operator", "kind_answers", "kind_finding"];
    let all = ("", w.t("all"), view.href("event", ""), view.event.is_empty());
    let kinds = Kind::ALL.iter().zip(words).map(|(kind, word)| {
        let kind = kind.as_str();
        (kind, w.t(word), view.href("event", kind), *view.event == *kind)
    });
    std::iter::once(all).chain(kinds).collect()
}

fn chips(w: &'static Words, view: &View, sum: &Sum) -> Vec<Chip> {
    let shown = SHOWN.iter().filter(|state| **state != "unmeasured" || sum.in_state(state) > 0);
    shown
        .map(|state| {
            let is_on = *view.state == **state;
            Chip {
                state,
                word: state_word(w, state),
                count: count(sum.in_state(state)),
                href: view.href("state", if is_on { "" } else { state }),
                is_on,
            }
        })
        .collect()
}

/// An event in words.
pub(super) fn told(w: &'static Words, event: &Event, now_unix_ms: u64) -> Told {
    let (before, after) = sentences::event(w, event, now_unix_ms);
    let node = event.node.as_deref().unwrap_or_default();
    Told {
        id: event.id,
        time: time(event.at_unix_ms),
        at: rfc3339(event.at_unix_ms),
        kind: event.kind.as_str(),
        glyph: glyph(event),
        before,
        node: node.to_owned(),
        href: format!("/nodes/{}", super::shell::encoded(node)),
        after,
    }
}

/// The shape of an event: that of the state it tells of; what is over is hollow.
pub(super) fn glyph(event: &Event) -> &'static str {
    match (event.kind, event.for_s.is_some()) {
        (Kind::Overload | Kind::Scrape | Kind::Answers, true) => "starting",
        (Kind::Overload, false) => "overloaded",
        (Kind::Scrape, false) if event.what.code() == "stale" => "stale",
        (Kind::Scrape, false) => "down",
        (Kind::Answers, false) => "near",
        (Kind::Operator, _) => "operator",
        (Kind::Finding, _) => "finding",
    }
}
