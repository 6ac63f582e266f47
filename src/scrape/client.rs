//! Fetches a page, or says in few words why not.
//!
//! *Limits*: no redirect is followed and no proxy is used: an exporter is where the operator says it is, and a
//! page from elsewhere would be another machine's load. Addresses are judged when they are connected to (`access`). The
//! body is counted while it streams, after
//! decompression, so that a small answer cannot become a large page.

use std::sync::OnceLock;
use std::time::Duration;

use reqwest::header::{ACCEPT, HeaderMap, HeaderValue};
use reqwest::{Method, Response, StatusCode, Url};

use super::access::NotAllowed;
use super::credentials::Credentials;
use super::tls::Identification;
use super::{How, failure};
use crate::schedule::reading::ProbeFailure;

/// The classic text format. `OpenMetrics` is not asked for: its counters and `_created` lines tell nothing more.
const ACCEPTED: &str = "text/plain;version=0.0.4;q=1,*/*;q=0.1";

/// Longest time that an idle connection is kept, ms.
const MAX_IDLE_MS: u64 = 90_000;

/// Room made for a body before it comes, bytes: without a length, and at most however long it says it is.
const FIRST_CAPACITY: usize = 16 * 1024;
const MAX_CAPACITY: usize = 256 * 1024;

/// The HTTP side of all scrapes; keeps connections.
#[derive(Debug)]
pub(super) struct Client {
    how: How,
    /// For `http://`. Trusts no certificate, so that a machine without root certificates can scrape.
    plain: Built,
    /// For `https://`, built when the first such target is asked.
    secure: OnceLock<Built>,
    /// The same for each of the credentials, in their order: connections that were made with one's are not used for
    /// another's.
    identified: Vec<OnceLock<Built>>,
}

/// A client, or why there is none.
type Built = Result<reqwest::Client, String>;

/// Installs the process's TLS provider unless there is one. Every part that builds a TLS client or server calls it.
pub fn install_tls_provider() {
    // An error only says that somebody else installed one, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

// === impl Client ===

impl Client {
    pub(super) fn new(how: How) -> Self {
        install_tls_provider();
        let plain = build(&how, |builder| builder.tls_certs_only([]));
        let identified = how.access.credentials().iter().map(|_| OnceLock::new()).collect();
        Self { how, plain, secure: OnceLock::new(), identified }
    }

    /// Deadline of one scrape, ms.
    pub(super) fn timeout_ms(&self) -> u64 {
        self.how.settings.timeout_ms
    }

    /// The body behind a URL. The caller sets the deadline.
    pub(super) async fn get(&self, url: Url) -> Result<Vec<u8>, ProbeFailure> {
        self.ask(Method::GET, url).await
    }

    /// The same by another method.
    pub(super) async fn ask(&self, method: Method, url: Url) -> Result<Vec<u8>, ProbeFailure> {
        self.how.access.check(&url).map_err(|NotAllowed(ip)| ProbeFailure::NotAllowed(ip))?;
        let shown = self.how.access.credentials().iter().zip(&self.identified);
        let shown = shown.into_iter().find(|(credentials, _)| credentials.are_for(&url));
        let built = match shown {
            _ if url.scheme() != "https" => &self.plain,
            Some((Credentials { identification: Some(identification), .. }, client)) => {
                client.get_or_init(|| build_identified(&self.how, identification))
            }
            _ => self.secure.get_or_init(|| build(&self.how, |builder| builder)),
        };
        let client = built.as_ref().map_err(|error| ProbeFailure::Http(format!("our side: {error}")))?;
        let is_withheld = shown.is_none() && self.withholds(&url);
        let mut request = client.request(method, url);
        if let Some((credentials, _)) = shown {
            request = credentials.show(request);
        }
        let answer = request.send().await;
        let response = answer.map_err(|error| failure::of_request(&error, self.timeout_ms()))?;
        if is_withheld && matches!(response.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return Err(ProbeFailure::Http(format!(
                "status {}; its credentials go over https:// only (allow_http)",
                response.status().as_u16()
            )));
        }
        self.body(response).await
    }

    /// Whether a target would be shown something, if whoever is on the way could not read it.
    fn withholds(&self, url: &Url) -> bool {
        self.how.access.credentials().iter().any(|credentials| credentials.are_withheld_from(url))
    }

    /// Reads a body up to the limit.
    async fn body(&self, mut response: Response) -> Result<Vec<u8>, ProbeFailure> {
        let status = response.status();
        if status.is_redirection() {
            return Err(ProbeFailure::Http(format!(
                "status {}; redirects are not followed",
                status.as_u16()
            )));
        }
        if status != StatusCode::OK {
            return Err(ProbeFailure::Http(format!("status {}", status.as_u16())));
        }
        let limit = usize::try_from(self.how.settings.body_limit_bytes).unwrap_or(usize::MAX);
        let too_large = || ProbeFailure::TooLarge(self.how.settings.body_limit_bytes);
        let told = response.content_length().map(|length| usize::try_from(length).unwrap_or(usize::MAX));
        if told.is_some_and(|length| length > limit) {
            return Err(too_large());
        }
        let mut body = Vec::with_capacity(told.map_or(FIRST_CAPACITY, |length| length.min(MAX_CAPACITY)));
        while let Some(chunk) =
            response.chunk().await.map_err(|error| failure::of_body(&error, self.timeout_ms()))?
        {
            if body.len() + chunk.len() > limit {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// Builds a client for targets that are known by an authority of one's own.
fn build_identified(how: &How, identification: &Identification) -> Built {
    let config = identification.config().map_err(|error| error.to_string())?;
    build(how, |builder| builder.tls_backend_preconfigured(config))
}

/// Builds a client with the rules that all share.
fn build(how: &How, tls: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder) -> Built {
    let How { settings, access } = how;
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static(ACCEPTED));
    // Two thirds for the connection leave room for one lost SYN (sent again after 1 s) and still for the page.
    let connect_ms = settings.timeout_ms * 2 / 3;
    let idle_ms = settings.interval_ms.saturating_mul(2).min(MAX_IDLE_MS);
    let builder = reqwest::Client::builder()
        .user_agent(concat!("nearcast/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .dns_resolver(access.lookup())
        .gzip(true)
        .http1_only()
        .connect_timeout(Duration::from_millis(connect_ms))
        .pool_idle_timeout(Duration::from_millis(idle_ms))
        .pool_max_idle_per_host(1);
    tls(builder).build().map_err(|error| failure::root(&error).to_string())
}
