//! Explain's page: why a client gets the answer that it gets, taken apart.

use std::net::IpAddr;

use askama::Template;
use axum::response::Response;
use http::{HeaderMap, StatusCode, Uri};
use serde::Serialize;

use super::numbers::{decimals, rate, whole};
use super::sentences;
use super::shell::encoded;
use super::words::Words;
use super::{Shell, failed_page, page};
use crate::http::Front;
use crate::http::explain::explained;
use crate::http::problem::Problem;
use crate::http::query::Params;
use crate::resolver::{CandidateView, Explanation, Roster};

/// Candidates that are shown with their score.
const SCORED: usize = 10;
/// Nodes that are shown as left out.
const LEFT_OUT: usize = 8;
/// Width of a score bar.
const WIDTH: f64 = 400.0;

/// A candidate and its score, taken apart.
struct Scored<'a> {
    rank: String,
    is_pick: bool,
    is_alt: bool,
    title: &'static str,
    id: &'a str,
    href: String,
    pop: &'a str,
    /// Widths: distance, congestion, affinity, price and provider; and where each begins.
    widths: [String; 4],
    starts: [String; 4],
    parts: String,
    label: String,
    score: String,
}

/// A node that could not be chosen.
struct Out<'a> {
    state: &'a str,
    id: &'a str,
    href: String,
    distance: String,
    why: String,
}

/// What the map draws.
#[derive(Serialize)]
struct Drawn<'a> {
    place: String,
    latitude: f64,
    longitude: f64,
    candidates: Vec<DrawnCandidate<'a>>,
    excluded: Vec<&'a str>,
}

#[derive(Serialize)]
struct DrawnCandidate<'a> {
    pop: &'a str,
    rank: Option<usize>,
}

/// The answer.
struct Answered<'a> {
    verdict: String,
    skipped: String,
    meta: String,
    scored: Vec<Scored<'a>>,
    more: String,
    out: Vec<Out<'a>>,
    curl: String,
    drawn: String,
    has_extra: bool,
}

#[derive(Template)]
#[template(path = "explain.html")]
struct ExplainPage<'a> {
    s: Shell,
    w: &'static Words,
    ip: String,
    domain: String,
    stream: String,
    domains: Vec<&'a str>,
    answered: Option<Answered<'a>>,
    refused: String,
}

/// The page for a query; without one, the form.
pub(in crate::http) fn show(
    front: &Front,
    client: IpAddr,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let roster = front.resolver.roster();
    let shell = Shell::new("explain", "", front.resolver.unix_ms(), uri, headers);
    let w = shell.w;
    let mut params = Params::scan(uri.query(), &["ip", "domain", "stream"]);
    let mut text = |name| params.text(name, 1..=512).map(std::borrow::Cow::into_owned).unwrap_or_default();
    let (ip, domain, stream) = (text("ip"), text("domain"), text("stream"));
    // A form sends its empty fields too; for the question they are absent.
    let query: Vec<&str> = uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty() && !pair.ends_with('='))
        .collect();
    let query = query.join("&");
    let explained = match domain.is_empty() {
        true => None,
        false => Some(explained(front, Some(&query), client)),
    };
    let failed = explained.as_ref().and_then(|explained| explained.as_ref().err()).map(Problem::slug);
    let host =
        headers.get(http::header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("127.0.0.1:8081");
    let template = ExplainPage {
        refused: match &explained {
            Some(Err(problem)) => problem.in_words(),
            _ => String::new(),
        },
        answered: match &explained {
            Some(Ok(explanation)) => Some(answered(w, front, &roster, explanation, host, &query)),
            _ => None,
        },
        s: Shell { title: w.t("explain").to_owned(), ..shell },
        w,
        ip,
        domain: if domain.is_empty() {
            roster.domains.first().map(ToString::to_string).unwrap_or_default()
        } else {
            domain
        },
        stream,
        domains: roster.domains.iter().map(|domain| &**domain).collect(),
    };
    match failed {
        Some(slug) => failed_page(slug, &template),
        None => page(StatusCode::OK, &template),
    }
}

fn answered<'a>(
    w: &'static Words,
    front: &Front,
    roster: &Roster,
    explanation: &'a Explanation,
    host: &str,
    query: &str,
) -> Answered<'a> {
    let candidates = &explanation.candidates;
    let fit =
        |candidate: &&CandidateView| candidate.excluded_because.is_none() && candidate.score_km.is_some();
    let mut fitting: Vec<&CandidateView> = candidates.iter().filter(fit).collect();
    let score = |candidate: &CandidateView| candidate.score_km.unwrap_or(f64::MAX);
    fitting.sort_by(|a, b| (b.rank == Some(1)).cmp(&(a.rank == Some(1))).then(score(a).total_cmp(&score(b))));
    // The fallbacks belong to the answer, however far they are.
    let (mut shown, rest): (Vec<_>, Vec<_>) = fitting
        .iter()
        .copied()
        .enumerate()
        .partition(|(at, candidate)| *at < SCORED || candidate.rank.is_some());
    let highest = shown.iter().map(|(_, candidate)| score(candidate)).fold(1.0, f64::max);
    let mut left_out: Vec<&CandidateView> =
        candidates.iter().filter(|candidate| candidate.excluded_because.is_some()).collect();
    left_out.sort_by(|a, b| a.distance_km.unwrap_or(f64::MAX).total_cmp(&b.distance_km.unwrap_or(f64::MAX)));
    let out = reasons(w, front, roster, &left_out);
    Answered {
        verdict: verdict(w, explanation, &fitting),
        skipped: skipped(w, explanation, &out),
        meta: meta(w, explanation),
        more: match rest.len() {
            0 => String::new(),
            more => w.f("more_candidates", &[("n", &super::numbers::count(more))]),
        },
        drawn: drawn(explanation, &shown, &left_out),
        has_extra: shown.iter().any(|(_, candidate)| extra(candidate) > 0.0),
        scored: shown.drain(..).map(|(_, candidate)| scored(w, candidate, highest)).collect(),
        out: out
            .into_iter()
            .map(|(candidate, why)| Out {
                state: candidate.state,
                id: &candidate.id,
                href: format!("/nodes/{}", encoded(&candidate.id)),
                distance: candidate.distance_km.map(|km| format!("{} km", whole(km))).unwrap_or_default(),
                why,
            })
            .collect(),
        curl: format!("curl 'http://{host}/explain?{query}'"),
    }
}

fn verdict(w: &'static Words, explanation: &Explanation, fitting: &[&CandidateView]) -> String {
    let space = if w.lang == super::words::Lang::En { " " } else { "" };
    let winner = explanation.candidates.iter().find(|candidate| candidate.rank == Some(1));
    let Some(winner) = winner else { return String::new() };
    let mut text = w.f("v_head", &[("id", &winner.id), ("pop", &winner.pop)]);
    text.push_str(space);
    if explanation.degraded {
        return text + w.t("v_degraded");
    }
    let (Some(distance), Some(score)) = (winner.rtt_km.or(winner.distance_km), winner.score_km) else {
        return text + w.t("v_nowhere");
    };
    let (d, s) = (whole(distance), whole(score));
    let next = fitting.iter().find(|candidate| candidate.pop != winner.pop);
    let gap = next.and_then(|next| Some((next, next.score_km? - score))).filter(|(_, gap)| *gap >= 0.0);
    text + &match gap {
        Some((next, gap)) => w.f("v_near", &[("d", &d), ("s", &s), ("gap", &whole(gap)), ("next", &next.id)]),
        None => w.f("v_near_alone", &[("d", &d), ("s", &s)]),
    }
}

/// The nearest node that was left out though it is nearer than the winner, and why.
fn skipped(w: &'static Words, explanation: &Explanation, out: &[(&CandidateView, String)]) -> String {
    let winner = explanation.candidates.iter().find(|candidate| candidate.rank == Some(1));
    let winner_km = winner.and_then(|winner| winner.distance_km).unwrap_or(0.0);
    let nearer = out.first().filter(|(out, _)| out.distance_km.is_some_and(|km| km <= winner_km));
    nearer.map_or(String::new(), |(out, why)| w.f("v_skip", &[("id", &out.id), ("why", why)]))
}

/// Why nodes were left out, in the page's language where the node's state says it, else in the decision's words.
fn reasons<'a>(
    w: &'static Words,
    front: &Front,
    roster: &Roster,
    left_out: &[&'a CandidateView],
) -> Vec<(&'a CandidateView, String)> {
    let board = front.resolver.board();
    let cause = |candidate: &CandidateView| {
        let at = roster.nodes.iter().position(|member| *member.id == *candidate.id)?;
        let row =
            board.rows.get(at).filter(|row| row.state != "healthy" && row.state != crate::resolver::NEAR)?;
        Some(sentences::cause(w, row.why.as_ref()?, board.at_unix_ms))
    };
    let shown = left_out.iter().take(LEFT_OUT);
    shown
        .map(|candidate| {
            let why = cause(candidate).or_else(|| candidate.excluded_because.clone());
            (*candidate, why.unwrap_or_default())
        })
        .collect()
}

fn meta(w: &'static Words, explanation: &Explanation) -> String {
    let geo = &explanation.geo;
    let place = match (&geo.city, geo.country_name) {
        (Some(city), Some(country)) => format!("{city}, {country}"),
        (Some(city), None) => city.to_string(),
        (None, Some(country)) => country.to_owned(),
        (None, None) => w.t("nowhere").to_owned(),
    };
    let precision = w.f("precision", &[("p", geo.precision.as_str())]);
    w.f(
        "v_meta",
        &[
            ("place", &format!("{} · {place} ({precision})", explanation.client_ip)),
            ("policy", explanation.policy),
            ("reason", explanation.reason),
            ("ttl", &whole(f64::from(explanation.ttl_s))),
            ("bitrate", &rate(explanation.bitrate_mbps)),
        ],
    )
}

fn extra(candidate: &CandidateView) -> f64 {
    candidate.price_km.unwrap_or(0.0) + candidate.isp_km.unwrap_or(0.0)
}

fn scored<'a>(w: &'static Words, candidate: &'a CandidateView, highest: f64) -> Scored<'a> {
    let distance = candidate.rtt_km.or(candidate.distance_km).unwrap_or(0.0);
    let parts = [
        distance,
        candidate.congestion_km.unwrap_or(0.0),
        candidate.affinity_km.unwrap_or(0.0),
        extra(candidate),
    ];
    let mut at = 0.0;
    let starts = parts.map(|part| {
        let start = at;
        at += part;
        format!("{:.1}", start / highest * WIDTH)
    });
    let sum: Vec<String> = parts
        .iter()
        .enumerate()
        .filter(|(at, part)| *at < 3 || **part > 0.0)
        .map(|(_, part)| whole(*part))
        .collect();
    let names = ["distance", "congestion", "affinity", "extra"];
    let label = names.iter().zip(parts).map(|(name, part)| format!("{} {} km", w.t(name), whole(part)));
    let pressure = decimals(candidate.pressure, 2);
    let measured =
        if candidate.rtt_km.is_some() { format!(" · {}", w.t("measured")) } else { String::new() };
    Scored {
        rank: candidate.rank.map_or("·".to_owned(), |rank| rank.to_string()),
        is_pick: candidate.rank.is_some(),
        is_alt: candidate.rank.is_some_and(|rank| rank > 1),
        title: w.t(match candidate.rank {
            Some(1) => "answer",
            Some(_) => "fallback",
            None => "not_picked",
        }),
        id: &candidate.id,
        href: format!("/nodes/{}", encoded(&candidate.id)),
        pop: &candidate.pop,
        widths: parts.map(|part| format!("{:.1}", part / highest * WIDTH)),
        starts,
        parts: format!("{} km · {} {pressure}{measured}", sum.join(" + "), w.t("pressure").to_lowercase()),
        label: label.collect::<Vec<_>>().join(", "),
        score: whole(candidate.score_km.unwrap_or(0.0)),
    }
}

/// The same for the map, as JSON that no `</script>` can end.
fn drawn(
    explanation: &Explanation,
    shown: &[(usize, &CandidateView)],
    left_out: &[&CandidateView],
) -> String {
    let geo = &explanation.geo;
    let (Some(latitude), Some(longitude)) = (geo.latitude, geo.longitude) else { return String::new() };
    let drawn = Drawn {
        place: geo.city.as_deref().or(geo.country_name).unwrap_or_default().to_owned(),
        latitude,
        longitude,
        candidates: shown
            .iter()
            .map(|(_, candidate)| DrawnCandidate { pop: &candidate.pop, rank: candidate.rank })
            .collect(),
        excluded: left_out.iter().take(LEFT_OUT).map(|candidate| &*candidate.pop).collect(),
    };
    serde_json::to_string(&drawn).unwrap_or_default().replace('<', "\\u003c")
}
