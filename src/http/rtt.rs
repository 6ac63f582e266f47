//! `POST /rtt`: what a player measured on its way to nodes.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;

use arrayvec::ArrayVec;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE,
};
use http::{HeaderValue, StatusCode};
use serde_json::{Map, Value};

use super::Front;
use super::client_ip::Peer;
use super::problem::{InvalidParam, MISSING, Problem, Slug};
use super::query::address;
use crate::resolver::{MOST_TIMES, ReportRefusal};

/// Longest body, bytes: sixteen IPv6 addresses and a token need a quarter of it.
const BODY_BYTES_MAX: usize = 4 * 1024;
/// Times that can be true, ms.
const TIME_MS: RangeInclusive<f64> = 0.1..=2_000.0;

/// One report.
pub(super) struct Report {
    pub(super) token: String,
    pub(super) times: ArrayVec<(IpAddr, f32), MOST_TIMES>,
}

/// Takes a report. Web players of any origin may read what became of it.
pub(super) async fn take(State(front): State<Arc<Front>>, peer: Peer, request: Request) -> Response {
    let mut response = match report(&front, peer, request).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(problem) => problem.into_response(),
    };
    response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

/// A browser asks whether it may report: yes, from anywhere.
pub(super) async fn preflight() -> impl IntoResponse {
    let headers = [
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (ACCESS_CONTROL_ALLOW_METHODS, "POST, OPTIONS"),
        (ACCESS_CONTROL_ALLOW_HEADERS, "*"),
        (ACCESS_CONTROL_MAX_AGE, "86400"),
    ];
    (StatusCode::NO_CONTENT, headers)
}

async fn report(front: &Front, peer: Peer, request: Request) -> Result<(), Problem> {
    if !front.resolver.takes_reports() {
        return Err(refused(ReportRefusal::Off));
    }
    let client = front.client(peer, request.headers());
    let body = to_bytes(request.into_body(), BODY_BYTES_MAX)
        .await
        .map_err(|_| invalid("body", "must be whole and have 4096 bytes at most"))?;
    let report = Report::read(&body)?;
    let unknown = front.resolver.report(client, &report.token, &report.times).map_err(refused)?;
    front.telemetry.rtt_reported(unknown);
    Ok(())
}

fn refused(refusal: ReportRefusal) -> Problem {
    let slug = match refusal {
        ReportRefusal::Off => Slug::NotFound,
        ReportRefusal::BadToken => Slug::BadToken,
    };
    Problem::new(slug, refusal.to_string())
}

fn invalid(name: &'static str, reason: &'static str) -> Problem {
    Problem::invalid(vec![InvalidParam::new(name, reason)])
}

// === impl Report ===

impl Report {
    /// Reads a body; every member that is wrong is named. Members that are not known are ignored.
    pub(super) fn read(body: &[u8]) -> Result<Self, Problem> {
        let body: Map<String, Value> =
            serde_json::from_slice(body).map_err(|_| invalid("body", "must be a JSON object"))?;
        let token = match body.get("token") {
            None => Err(MISSING),
            Some(token) => token.as_str().ok_or("must be a string"),
        };
        let times = match body.get("rtt_ms") {
            None => Err(MISSING),
            Some(times) => read_times(times),
        };
        match (token, times) {
            (Ok(token), Ok(times)) => Ok(Self { token: token.to_owned(), times }),
            (token, times) => {
                let faults = [("token", token.err()), ("rtt_ms", times.err())];
                let faults = faults.into_iter().filter_map(|(name, why)| Some(InvalidParam::new(name, why?)));
                Err(Problem::invalid(faults.collect()))
            }
        }
    }
}

fn read_times(times: &Value) -> Result<ArrayVec<(IpAddr, f32), MOST_TIMES>, &'static str> {
    let times = times.as_object().ok_or("must be an object of addresses and times")?;
    if times.len() > MOST_TIMES {
        return Err("must have 16 addresses at most");
    }
    let read = |(ip, ms): (&String, &Value)| {
        let ip = address(ip).ok_or("must name IPv4 or IPv6 addresses")?;
        let ms = ms.as_f64().filter(|ms| TIME_MS.contains(ms)).ok_or("must have times of 0.1 to 2000")?;
        #[expect(clippy::cast_possible_truncation, reason = "a time needs five digits")]
        Ok((ip, ms as f32))
    };
    times.iter().map(read).collect()
}
