//! One node's page.

use askama::Template;
use axum::response::Response;
use http::{HeaderMap, StatusCode, Uri};

use super::bars::{self, LANES, Lane};
use super::fleet::{Told, told};
use super::numbers::{age, count, decimals, lasting, percent, rate, rate_parts, time, whole};
use super::spark::{self, Spark};
use super::table::{self, Shown};
use super::words::Words;
use super::{Shell, failed_page, page};
use crate::http::Front;
use crate::http::problem::{Problem, Slug};
use crate::resolver::{NodeView, PreviewView, Row, Sources};
use crate::schedule::load::Resource;
use crate::state::history::{Hour, STEPS};
use crate::state::timeline::What;

/// Spans that a sparkline may have, minutes: a young process shows the shortest that holds all that it knows.
const SPANS_MIN: [usize; 3] = [10, 30, 60];
/// Steps of the history in a minute.
const STEPS_A_MINUTE: usize = STEPS / 60;
/// Nodes that are named as takers of a drained one's viewers.
const TAKERS: usize = 6;
/// Events on the page.
const EVENTS: usize = 30;

/// A sparkline with its words.
struct Curve {
    word: String,
    value: String,
    unit: &'static str,
    spark: Spark,
    limit: String,
    is_tight: bool,
}

/// A lane of the head.
struct Big {
    word: &'static str,
    lane: Lane,
    x: String,
    value: String,
    is_tight: bool,
    is_hot: bool,
}

/// An exporter.
struct Target<'a> {
    url: &'a str,
    is_web: bool,
    last: String,
    took: String,
    error: String,
    findings: &'a [String],
}

/// Who takes a drained node's viewers.
struct Taker<'a> {
    id: &'a str,
    pop: &'a str,
    share: String,
    away: String,
    now: String,
    after: String,
    is_warm: bool,
}

/// What draining it would do.
struct Preview<'a> {
    lead: String,
    takers: Vec<Taker<'a>>,
    more: String,
    verdict: String,
    is_good: bool,
}

/// Whose viewers it got.
struct Source {
    class: &'static str,
    word: String,
    share: String,
    count: String,
    x: String,
    width: String,
}

#[derive(Template)]
#[template(path = "node.html")]
struct NodePage<'a> {
    s: Shell,
    w: &'static Words,
    row: Shown<'a>,
    meta: String,
    reasons: &'a [String],
    bigs: Vec<Big>,
    curves: Vec<Curve>,
    since: String,
    targets: Vec<Target<'a>>,
    preview: Preview<'a>,
    drain: Option<(String, String)>,
    sources: Vec<Source>,
    answers: String,
    events: Vec<Told>,
    drain_word: String,
    undrain_word: String,
    drain_if: String,
}

#[derive(Template)]
#[template(path = "gone.html")]
struct GonePage {
    s: Shell,
    w: &'static Words,
    head: String,
    body: String,
    events: Vec<Told>,
}

/// The page of a node; of one that is no more, what became of it.
pub(in crate::http) fn show(
    front: &Front,
    id: &str,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let resolver = &front.resolver;
    let (roster, board) = (resolver.roster(), resolver.board());
    let shell = Shell::new("node", id, board.at_unix_ms, uri, headers);
    let w = shell.w;
    let events = resolver.timeline().latest(EVENTS, |event| event.node.as_deref() == Some(id));
    let told_events = events.iter().map(|event| told(w, event, board.at_unix_ms)).collect();
    let at = roster.nodes.iter().position(|member| &*member.id == id).filter(|at| *at < board.rows.len());
    let (Some(at), Some(node), Some(preview)) = (at, resolver.node(id), resolver.drain_preview(id)) else {
        let removed = events.iter().find(|event| event.what == What::Removed);
        let body = match removed {
            Some(event) => w.f("gone_removed", &[("t", &time(event.at_unix_ms))]),
            None => w.t("gone_never").to_owned(),
        };
        let head = w.f("gone_head", &[("id", id)]);
        return failed_page(Slug::UnknownNode, &GonePage { s: shell, w, head, body, events: told_events });
    };
    let row = &board.rows[at];
    let sources = resolver.sources(id);
    let hour = resolver.hour(id).unwrap_or_default();
    let template = NodePage {
        w,
        row: table::shown(w, &roster, &board, at),
        meta: meta(w, &node),
        reasons: &node.reasons,
        bigs: bigs(w, row),
        curves: curves(w, &node, row, &hour),
        since: w.f("minus_min", &[("n", &count(span_min(&hour)))]),
        targets: node.targets.iter().map(|target| of_target(w, target)).collect(),
        preview: of_preview(w, &node, &preview),
        drain: node.drain.as_ref().map(|order| {
            let reason = order.reason.clone().unwrap_or_else(|| w.t("no_reason").to_owned());
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative")]
            let for_s = order.for_s as u64;
            (reason, w.f("in_force", &[("for", &lasting(for_s))]))
        }),
        answers: w.f("per_min", &[("n", &count(usize::try_from(sources.answers).unwrap_or_default()))]),
        sources: of_sources(w, &sources),
        events: told_events,
        drain_word: w.f("drain_button", &[("id", id)]),
        undrain_word: w.f("undrain_button", &[("id", id)]),
        drain_if: w.f("drain_if", &[("id", id)]),
        s: shell,
    };
    page(StatusCode::OK, &template)
}

fn meta(w: &'static Words, node: &NodeView) -> String {
    let capacity = node.capacity_mbps.map(|mbps| {
        let source = node.capacity_source.unwrap_or_default();
        format!("{} {} ({source})", w.t("capacity"), rate(mbps))
    });
    let parts = [Some(node.pop.clone()), Some(node.pool.clone()), Some(node.role.to_owned())];
    let parts = parts.into_iter().chain([Some(node.addresses.join(", ")), capacity]).flatten();
    parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ")
}

fn bigs(w: &'static Words, row: &Row) -> Vec<Big> {
    const SCALE: f32 = 260.0 / 150.0;
    let words = ["r_system_cpu", "r_process_cpu", "r_bandwidth"];
    let lanes = bars::lanes(row, SCALE).into_iter().zip(LANES).zip(words).enumerate();
    lanes
        .map(|(at, ((lane, resource), word))| Big {
            word: w.t(word),
            x: lane.measured.clone(),
            lane,
            value: decimals(f64::from(row.measured[at] + row.booked[at]), 2),
            is_tight: resource == row.tightest,
            is_hot: resource == row.tightest && row.pressure.is_some_and(|x| x >= 1.0),
        })
        .collect()
}

fn curves(w: &'static Words, node: &NodeView, row: &Row, hour: &Hour) -> Vec<Curve> {
    let limit_of = |resource: Resource| {
        node.resources.iter().find(|view| view.resource == resource.as_str()).map(|view| view.limit)
    };
    let steps = span_min(hour) * STEPS_A_MINUTE;
    let mut curves = Vec::new();
    for resource in Resource::ALL {
        let series = &hour.pressure[resource.index()];
        let now = series.iter().rev().flatten().next().copied();
        let is_idle = matches!(resource, Resource::DiskBusy | Resource::DiskFull);
        if now.is_none() || (is_idle && series.iter().flatten().all(|x| *x < 0.5)) {
            continue;
        }
        let limit = limit_of(resource).unwrap_or(1.0);
        let pressure = node.resources.iter().find(|view| view.resource == resource.as_str());
        let now = pressure.map_or(now.unwrap_or_default(), |view| view.pressure);
        let (value, unit, limit) = match resource {
            Resource::Bandwidth => {
                let (value, unit) = rate_parts(f64::from(row.egress_mbps));
                (value, unit, rate(f64::from(row.limit_mbps)))
            }
            Resource::UdpDrops => (decimals(now * limit, 1), "/s", format!("{} /s", whole(limit))),
            _ => (percent(now * limit), "%", format!("{} %", percent(limit))),
        };
        curves.push(Curve {
            word: w.t(&format!("big_{}", resource.as_str())).to_owned(),
            value,
            unit,
            spark: spark::draw(series, steps, Some(1.0), 0.0),
            limit: w.f("limit_at", &[("v", &limit)]),
            is_tight: resource.as_str() == row.tightest,
        });
    }
    curves.push(Curve {
        word: w.t("big_answers").to_owned(),
        value: decimals(f64::from(row.answers_per_s), 1),
        unit: "/s",
        spark: spark::draw(&hour.answers, steps, None, 1.0),
        limit: String::new(),
        is_tight: false,
    });
    curves
}

/// How far back the sparklines go, minutes.
fn span_min(hour: &Hour) -> usize {
    let known = hour.answers.iter().position(Option::is_some).map_or(0, |first| hour.answers.len() - first);
    let fits = |minutes: &&usize| **minutes * STEPS_A_MINUTE >= known;
    SPANS_MIN.iter().find(fits).copied().unwrap_or(SPANS_MIN[2])
}

fn of_target<'a>(w: &'static Words, target: &'a crate::resolver::TargetView) -> Target<'a> {
    Target {
        url: &target.url,
        is_web: target.url.starts_with("http://") || target.url.starts_with("https://"),
        last: target.page_age_s.map_or("–".to_owned(), |seconds| format!("{} s", age(seconds))),
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of one request")]
        took: format!("{} ms", whole(target.took_ms as f64)),
        error: match (&target.error, target.failed) {
            (Some(error), failed) => format!("{error} (× {failed})"),
            (None, _) => w.t("none").to_owned(),
        },
        findings: &target.findings,
    }
}

fn of_preview<'a>(w: &'static Words, node: &NodeView, preview: &'a PreviewView) -> Preview<'a> {
    let takers: Vec<Taker<'a>> = preview
        .nodes
        .iter()
        .take(TAKERS)
        .map(|taker| Taker {
            id: &taker.id,
            pop: &taker.pop,
            share: percent(taker.share),
            away: taker.extra_km.map_or("–".to_owned(), |km| format!("{} km", whole(km))),
            now: taker.pressure_now.map_or("–".to_owned(), |x| decimals(x, 2)),
            after: taker.pressure_after.map_or("–".to_owned(), |x| decimals(x, 2)),
            is_warm: taker.pressure_after.is_some_and(|x| x >= 0.85),
        })
        .collect();
    let worst = preview
        .nodes
        .iter()
        .max_by(|a, b| a.pressure_after.unwrap_or_default().total_cmp(&b.pressure_after.unwrap_or_default()));
    let after = worst.and_then(|taker| taker.pressure_after).unwrap_or_default();
    let id = worst.map(|taker| &*taker.id).unwrap_or_default();
    let mut verdict = match after {
        after if after >= 1.0 => w.f("drain_over", &[("id", id)]),
        after if after >= 0.85 => w.f("drain_tight", &[("id", id)]),
        _ => w.t("drain_ok").to_owned(),
    };
    if preview.degraded_share > 0.0 {
        verdict.push(' ');
        verdict.push_str(&w.f("drain_degraded", &[("p", &percent(preview.degraded_share))]));
    }
    let viewers = whole(node.clients.unwrap_or_default());
    let answers = count(usize::try_from(preview.answers).unwrap_or_default());
    Preview {
        lead: match takers.is_empty() {
            true => w.t("drain_nobody").to_owned(),
            false => w.f("drain_text", &[("n", &viewers), ("a", &answers)]),
        },
        more: match preview.nodes.len().saturating_sub(TAKERS) {
            0 => String::new(),
            more => w.f("drain_takers", &[("n", &count(more))]),
        },
        takers,
        verdict,
        is_good: after < 0.85 && preview.degraded_share == 0.0,
    }
}

fn of_sources(w: &'static Words, sources: &Sources) -> Vec<Source> {
    /// PoPs that are named.
    const NAMED: usize = 3;
    let mut parts = vec![("r0", w.t("from_near").to_owned(), sources.nearest)];
    for (pop, count) in sources.farther.iter().take(NAMED) {
        parts.push(("r2", w.f("from_far", &[("pop", pop)]), *count));
    }
    let others = sources.farther.iter().skip(NAMED).map(|(_, count)| count).sum();
    parts.push(("r2", w.t("from_other").to_owned(), others));
    parts.push(("r3", w.t("from_nowhere").to_owned(), sources.nowhere));
    let mut x = 0.0;
    let drawn = parts.into_iter().filter(|(.., count)| *count > 0);
    drawn
        .map(|(class, word, part)| {
            #[expect(clippy::cast_precision_loss, reason = "answers of a minute")]
            let share = part as f64 / sources.answers.max(1) as f64;
            let source = Source {
                class,
                word,
                share: percent(share),
                count: count(usize::try_from(part).unwrap_or_default()),
                x: format!("{x:.1}"),
                width: format!("{:.1}", (share * 400.0 - 1.5).max(1.0)),
            };
            x += share * 400.0;
            source
        })
        .collect()
}
