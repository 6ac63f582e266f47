//! The HTTP front: wire questions in, wire answers out.
//!
//! Two sides, two listeners, never mixed. The **player side** is public and answers `/resolve`; the **ops side**
//! is for operators and answers everything about the fleet. [`ROUTES`] is the whole table: both routers are
//! built from it and `tests/openapi.rs` holds `openapi.yaml` against it, so the contract cannot drift.
//!
//! `/resolve` has a fast lane ([`lane`]) in front of its router: the same function, called without route
//! matching, boxed futures or layers, which cost 0.5–1.2 µs each and together more than the decision itself.
//! What layers give the other routes, the lane does inline.

pub mod access;
mod board;
mod body;
mod boundary;
pub mod client_ip;
mod dashboard;
mod dialect;
pub mod dns_query;
mod drain;
mod events;
mod explain;
mod failure;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod geo;
mod index;
pub mod lane;
pub mod limit;
mod login;
mod media;
mod metrics;
mod nodes;
mod openapi;
mod play;
mod probes;
pub mod problem;
mod query;
pub mod reload;
mod request_id;
mod resolve;
mod rtt;
pub mod serve;
pub mod sign;
pub mod srs;
mod streams;
pub mod tls;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::{ArcSwap, ArcSwapOption};
use axum::Router;
use axum::routing::{MethodFilter, MethodRouter, on};
use tokio_util::sync::CancellationToken;

use self::access::OpsToken;
use self::client_ip::{ClientRule, Peer};
use self::dialect::{alibaba, dnspod};
use self::dns_query::Names;
use self::limit::Limiter;
use self::play::Redirects;
use self::reload::Reload;
use self::sign::Signers;
use self::srs::caller::Callers;
use crate::config;
use crate::resolver::Resolver;
use crate::telemetry::{Lid, Telemetry};

/// Everything a surface may ask. One per process, shared by both sides and all workers.
pub struct Front {
    resolver: Arc<Resolver>,
    telemetry: Arc<Telemetry>,
    /// Whom we believe about client addresses; swapped by [`Front::retrust`].
    rule: ArcSwap<ClientRule>,
    /// What operators have to show; `None`: nothing.
    ops_token: ArcSwapOption<OpsToken>,
    /// The stream that all open pages share.
    feed: dashboard::feed::Feed,
    /// What `POST /-/reload` calls; `None`: there is nothing to reload.
    reload: ArcSwapOption<Reload>,
    /// What domains sign and check with.
    signers: ArcSwap<Signers>,
    /// How players are redirected.
    redirects: ArcSwap<Redirects>,
    /// Which media servers are answered; `None`: none.
    callers: ArcSwapOption<Callers>,
    /// Which other services' HTTP-DNS is understood.
    dialects: ArcSwap<config::Dialects>,
    /// Who answers DNS queries; `None`: nobody.
    names: ArcSwapOption<Names>,
    /// How often one client may ask.
    limiter: Limiter,
    /// How many may be connected, and for how long; swapped by [`Front::limit`].
    limits: ArcSwap<config::Limits>,
    /// This process is about to end.
    stops: AtomicBool,
    /// Over the log lines of connections that could not be accepted.
    accept_lid: Lid,
    /// Over those of heartbeats that are refused.
    heartbeats: Lid,
    /// Over the log lines of each kind of failure.
    lids: [Lid; problem::Slug::ALL.len()],
    /// Over those of refused hooks.
    hook_lid: Lid,
}

/// Which listener a route belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// `server.listen`: public.
    Player,
    /// `server.admin_listen`: operators only.
    Ops,
}

/// One line of the route table.
pub struct Route {
    /// The listener it belongs to.
    pub side: Side,
    /// The method, in capitals. GET answers HEAD too.
    pub method: &'static str,
    /// The path, in the form that axum and OpenAPI share: `/nodes/{id}`.
    pub path: &'static str,
    filter: MethodFilter,
    surface: fn(MethodFilter) -> MethodRouter<Arc<Front>>,
}

/// Every route of both sides.
#[rustfmt::skip]
pub static ROUTES: &[Route] = &[
    Route::player("GET",     "/",             |get| on(get, index::show)),
    Route::player("GET",     "/resolve",      |get| on(get, resolve::show)),
    Route::player("OPTIONS", "/resolve",      |options| on(options, resolve::preflight)),
    Route::player("GET",     "/dns-query",    |get| on(get, dns_query::show)),
    Route::player("POST",    "/dns-query",    |post| on(post, dns_query::take)),
    Route::player("OPTIONS", "/dns-query",    |options| on(options, dns_query::preflight)),
    Route::player("GET",     dnspod::ROUTE,   |get| on(get, dnspod::show)),
    Route::player("POST",    dnspod::ROUTE,   |post| on(post, dnspod::take)),
    Route::player("OPTIONS", dnspod::ROUTE,   |options| on(options, dnspod::preflight)),
    Route::player("GET",     alibaba::ROUTE,          |get| on(get, alibaba::show)),
    Route::player("OPTIONS", alibaba::ROUTE,          |options| on(options, alibaba::preflight)),
    Route::player("GET",     alibaba::ROUTE_OF_MANY,  |get| on(get, alibaba::show_many)),
    Route::player("OPTIONS", alibaba::ROUTE_OF_MANY,  |options| on(options, alibaba::preflight)),
    Route::player("GET",     alibaba::ROUTE_SIGNED,   |get| on(get, alibaba::refuse)),
    Route::player("GET",     alibaba::ROUTE_OF_MANY_SIGNED,  |get| on(get, alibaba::refuse)),
    Route::player("GET",     play::ROUTE,     |get| on(get, play::show)),
    Route::player("GET",     play::ROUTE_OF_CALLER,  |get| on(get, play::show)),
    Route::player("GET",     play::ROUTE_OF_NODE,    |get| on(get, play::show)),
    Route::player("OPTIONS", play::ROUTE,     |options| on(options, play::preflight)),
    Route::player("POST",    "/rtt",          |post| on(post, rtt::take)),
    Route::player("OPTIONS", "/rtt",          |options| on(options, rtt::preflight)),
    Route::player("POST",    "/api/v1/servers",                   |post| on(post, srs::servers::take)),
    Route::player("POST",    "/t/{token}/api/v1/servers",         |post| on(post, srs::servers::take)),
    Route::player("POST",    "/t/{token}/{node}/api/v1/servers",  |post| on(post, srs::servers::take)),
    Route::player("POST",    "/api/v1/srs/register",              |post| on(post, srs::servers::take)),
    Route::player("POST",    "/t/{token}/api/v1/srs/register",    |post| on(post, srs::servers::take)),
    Route::player("POST",    "/t/{token}/{node}/api/v1/srs/register", |post| on(post, srs::servers::take)),
    Route::player("POST",    "/hooks/{hook}",                     |post| on(post, srs::hooks::take)),
    Route::player("POST",    "/t/{token}/hooks/{hook}",           |post| on(post, srs::hooks::take)),
    Route::player("POST",    "/t/{token}/{node}/hooks/{hook}",    |post| on(post, srs::hooks::take)),
    Route::player("GET",     "/api/v1/clusters",                  |get| on(get, srs::clusters::show)),
    Route::player("POST",    "/api/v1/clusters",                  |post| on(post, srs::clusters::show)),
    Route::player("GET",     "/t/{token}/api/v1/clusters",        |get| on(get, srs::clusters::show)),
    Route::player("POST",    "/t/{token}/api/v1/clusters",        |post| on(post, srs::clusters::show)),
    Route::player("GET",     "/t/{token}/{node}/api/v1/clusters", |get| on(get, srs::clusters::show)),
    Route::player("POST",    "/t/{token}/{node}/api/v1/clusters", |post| on(post, srs::clusters::show)),
    Route::player("GET",     "/livez",        |get| on(get, probes::live)),
    Route::player("GET",     "/readyz",       |get| on(get, probes::ready)),

    Route::ops(   "GET",     "/",             |get| on(get, index::to_nodes)),
    Route::ops(   "GET",     "/nodes",        |get| on(get, nodes::list)),
    Route::ops(   "GET",     "/nodes/events", |get| on(get, events::stream)),
    Route::ops(   "GET",     "/nodes/{id}",   |get| on(get, nodes::show)),
    Route::ops(   "POST",    "/nodes/{id}/drain",         |post| on(post, drain::drain)),
    Route::ops(   "POST",    "/nodes/{id}/undrain",       |post| on(post, drain::undrain)),
    Route::ops(   "GET",     "/nodes/{id}/drain-preview", |get| on(get, drain::preview)),
    Route::ops(   "POST",    "/-/reload",     |post| on(post, reload::reload)),
    Route::ops(   "GET",     "/events",       |get| on(get, events::list)),
    Route::ops(   "GET",     "/board",        |get| on(get, board::show)),
    Route::ops(   "GET",     "/dashboard/files/{name}",   |get| on(get, board::asset)),
    Route::ops(   "GET",     "/dashboard/lang",           |get| on(get, board::language)),
    Route::ops(   "GET",     "/login",        |get| on(get, login::show)),
    Route::ops(   "POST",    "/login",        |post| on(post, login::begin)),
    Route::ops(   "POST",    "/logout",       |post| on(post, login::end)),
    Route::ops(   "GET",     "/streams",      |get| on(get, streams::list)),
    Route::ops(   "GET",     "/explain",      |get| on(get, explain::show)),
    Route::ops(   "GET",     "/geo",          |get| on(get, geo::show)),
    Route::ops(   "GET",     "/metrics",      |get| on(get, metrics::show)),
    Route::ops(   "GET",     "/livez",        |get| on(get, probes::live)),
    Route::ops(   "GET",     "/readyz",       |get| on(get, probes::ready_in_detail)),
    Route::ops(   "GET",     "/openapi.yaml", |get| on(get, openapi::show)),
];

/// Tells open pages what changes, until `cancel`; then their streams end.
pub async fn feed(front: Arc<Front>, cancel: CancellationToken) {
    dashboard::feed::run(front, cancel).await;
}

/// The router of one side, complete: routes, fallbacks, boundary.
///
/// Requests must carry a [`Peer`] extension; the accept loops of [`serve`] put it there.
pub fn router(side: Side, front: &Arc<Front>) -> Router {
    let mut router = Router::new();
    for route in ROUTES.iter().filter(|route| route.side == side) {
        router = router.route(route.path, (route.surface)(route.filter));
    }
    let mut router = router.fallback(boundary::no_route).method_not_allowed_fallback(boundary::wrong_method);
    if side == Side::Ops {
        router = router.layer(axum::middleware::from_fn_with_state(Arc::clone(front), access::guard));
    }
    boundary::guard(router, front).with_state(Arc::clone(front))
}

// === impl Front ===

impl Front {
    /// Joins what the surfaces ask.
    #[must_use]
    pub fn new(
        resolver: Arc<Resolver>,
        telemetry: Arc<Telemetry>,
        server: &config::Server,
        limits: config::Limits,
    ) -> Self {
        Self {
            feed: dashboard::feed::Feed::new(resolver.unix_ms()),
            resolver,
            telemetry,
            rule: ArcSwap::from_pointee(ClientRule::new(server)),
            ops_token: ArcSwapOption::empty(),
            reload: ArcSwapOption::empty(),
            signers: ArcSwap::default(),
            redirects: ArcSwap::default(),
            callers: ArcSwapOption::empty(),
            dialects: ArcSwap::default(),
            names: ArcSwapOption::empty(),
            limiter: Limiter::new(&limits),
            limits: ArcSwap::from_pointee(limits),
            stops: AtomicBool::new(false),
            accept_lid: Lid::default(),
            heartbeats: Lid::default(),
            lids: Default::default(),
            hook_lid: Lid::default(),
        }
    }

    /// From now on these domains' questions are checked, and their answers signed.
    pub fn sign_by(&self, signers: Signers) {
        self.signers.store(Arc::new(signers));
    }

    /// From now on players of these domains are redirected as they say.
    pub fn redirect_by(&self, domains: &[config::Domain]) {
        self.redirects.store(Arc::new(Redirects::new(domains)));
    }

    /// From now on these dialects are understood.
    pub fn understand(&self, dialects: config::Dialects) {
        self.dialects.store(Arc::new(dialects));
    }

    /// From now on these limits count, for connections that are open, too.
    pub fn limit(&self, limits: config::Limits) {
        self.limiter.limit(&limits);
        self.limits.store(Arc::new(limits));
    }

    /// From now on operators have to show this token; `None`: none.
    pub fn guard_ops(&self, token: Option<OpsToken>) {
        self.ops_token.store(token.map(Arc::new));
    }

    /// From now on operators may reload, by this.
    pub fn reload_by(&self, reload: Reload) {
        self.reload.store(Some(Arc::new(reload)));
    }

    /// From now on DNS queries are answered, by this.
    pub fn answer_names_by(&self, names: Names) {
        self.names.store(Some(Arc::new(names)));
    }

    /// From now on `/readyz` says no: this process is about to end.
    pub fn stop_being_ready(&self) {
        self.stops.store(true, Ordering::Relaxed);
    }

    /// Whether it is.
    fn stops(&self) -> bool {
        self.stops.load(Ordering::Relaxed)
    }

    /// Takes over a reloaded configuration's trusted proxies. Connections already open keep the verdict on
    /// their peer until they close; the header to read is the new one at once.
    pub fn retrust(&self, server: &config::Server) {
        self.rule.store(Arc::new(ClientRule::new(server)));
    }

    /// Who is at the other end of a connection.
    #[must_use]
    pub fn peer(&self, address: std::net::SocketAddr) -> Peer {
        self.rule.load().peer(address)
    }

    /// The address of the client behind a peer: the peer itself unless it is trusted to name another.
    #[must_use]
    pub fn client(&self, peer: Peer, headers: &http::HeaderMap) -> std::net::IpAddr {
        if peer.trusted { self.rule.load().client(peer.ip, headers) } else { peer.ip }
    }

    /// A client's address as it may stand in the log.
    fn shown(&self, client: std::net::IpAddr) -> String {
        self.rule.load().shown(client)
    }
}

// === impl Route ===

impl Route {
    const fn player(
        method: &'static str,
        path: &'static str,
        surface: fn(MethodFilter) -> MethodRouter<Arc<Front>>,
    ) -> Self {
        Self { side: Side::Player, method, path, filter: filter(method), surface }
    }

    const fn ops(
        method: &'static str,
        path: &'static str,
        surface: fn(MethodFilter) -> MethodRouter<Arc<Front>>,
    ) -> Self {
        Self { side: Side::Ops, method, path, filter: filter(method), surface }
    }
}

/// The filter of a method. A word that is none of these fails the build, since the table is a constant.
const fn filter(method: &str) -> MethodFilter {
    match method.as_bytes() {
        b"GET" => MethodFilter::GET,
        b"POST" => MethodFilter::POST,
        b"OPTIONS" => MethodFilter::OPTIONS,
        _ => panic!("a method that the table does not know"),
    }
}
