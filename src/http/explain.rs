//! `GET /explain`: why a client is sent where it is sent. Books nothing.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, VARY};
use ipnet::IpNet;

use super::client_ip::Peer;
use super::problem::Problem;
use super::query::Params;
use super::resolve::Asked;
use super::{Front, dashboard};
use crate::resolver::{Explanation, Family, Question, SubnetView, scope};

/// The decision for the question of `/resolve`, with every candidate. An operator may ask for any `ip`.
pub(super) async fn show(
    State(front): State<Arc<Front>>,
    peer: Peer,
    request: Request,
) -> Result<Response, Problem> {
    let client = front.client(peer, request.headers());
    if dashboard::wants_html(request.headers()) {
        return dashboard::explain::show(&front, client, request.uri(), request.headers());
    }
    let explanation = explained(&front, request.uri().query(), client)?;
    Ok(([(CACHE_CONTROL, "no-store"), (VARY, "Accept")], Json(explanation)).into_response())
}

/// The explanation for a query; `client` is who asks.
///
/// `subnet=` stands for the client subnet of a DNS query (RFC 7871): the question is then the one that the DNS would
/// ask, and the answer says how much of the subnet it holds for. Who else is named is the resolver.
pub(super) fn explained(front: &Front, query: Option<&str>, client: IpAddr) -> Result<Explanation, Problem> {
    let (subnet, names_families) = read_subnet(query)?;
    let asked = Asked::read(query, true)?;
    let client = asked.ip.unwrap_or(client);
    let question = asked.question(client);
    let Some(subnet) = subnet else { return Ok(front.resolver.explain(&question)?) };
    // A prefix of no bits says nothing, so the resolver's own address counts.
    let says_something = subnet.prefix_len() > 0;
    let mut explanation = front.resolver.explain(&Question {
        client: if says_something { subnet.network() } else { client },
        family: if names_families { question.family } else { Family::V4 },
        ..question
    })?;
    let located = explanation.geo.network.prefix_len();
    let scope = if says_something { scope(subnet.network(), subnet.prefix_len(), located) } else { 0 };
    explanation.subnet = Some(SubnetView { network: subnet, scope });
    Ok(explanation)
}

/// The client subnet, where there is one, strictly as a DNS query can carry it; and whether families are named, too.
fn read_subnet(query: Option<&str>) -> Result<(Option<IpNet>, bool), Problem> {
    let mut params = Params::scan(query, &["subnet", "type"]);
    let names_families = params.has("type");
    let must =
        "must be a network with its prefix length, such as 203.0.113.0/24, no bit set behind the prefix";
    let subnet = params.read("subnet", must, |text| {
        let network: IpNet = text.parse().ok()?;
        (network == network.trunc()).then_some(network)
    });
    params.verdict()?;
    Ok((subnet, names_families))
}
