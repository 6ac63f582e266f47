//! A small HTTP client for assertions, and a patient one for things that take a scrape or two.

use std::future::Future;
use std::sync::Once;
use std::time::Duration;

use reqwest::header::HeaderMap;
use serde_json::Value;

/// How often [`eventually`] looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Deadline of one request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

// === impl Reply ===

impl Reply {
    /// The body as JSON; says what came instead if it is none.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}) in {self:#?}"))
    }

    /// A header as text, empty if it is absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// A client that follows no redirect and asks no proxy.
pub(crate) fn client() -> reqwest::Client {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        // An error means that another part of this process has installed one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    let builder = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    builder.timeout(REQUEST_TIMEOUT).build().unwrap()
}

/// `GET` with the answer read to its end; an error is one of the transport.
pub(crate) async fn get(url: &str) -> Result<Reply, reqwest::Error> {
    get_with(url, &[]).await
}

/// The same with headers of the caller's.
pub(crate) async fn get_with(url: &str, headers: &[(&str, &str)]) -> Result<Reply, reqwest::Error> {
    let mut request = client().get(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    whole(request.send().await?).await
}

/// `POST` with a JSON body and headers of the caller's.
pub(crate) async fn post_json(
    url: &str,
    body: impl Into<reqwest::Body>,
    headers: &[(&str, &str)],
) -> Result<Reply, reqwest::Error> {
    let mut request = client().post(url).header("content-type", "application/json").body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    whole(request.send().await?).await
}

/// `POST` without a body.
pub(crate) async fn post(url: &str) -> Result<Reply, reqwest::Error> {
    whole(client().post(url).send().await?).await
}

async fn whole(response: reqwest::Response) -> Result<Reply, reqwest::Error> {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Ok(Reply { status, headers, body: response.text().await? })
}

/// Looks until `look` says `Ok`, and returns that; after `limit` panics with the last `Err`, which says how
/// things stood.
pub(crate) async fn eventually<T, F>(what: &str, limit: Duration, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, String>>,
{
    let deadline = tokio::time::Instant::now() + limit;
    loop {
        match look().await {
            Ok(found) => return found,
            Err(stand) if tokio::time::Instant::now() >= deadline => {
                panic!("not within {} s: {what}\nlast seen: {stand}", limit.as_secs())
            }
            Err(_) => tokio::time::sleep(LOOK_AGAIN).await,
        }
    }
}

/// Looks for a while, and panics with the first `Err`: what must not happen has no moment to wait for.
pub(crate) async fn stays_so<F>(what: &str, time: Duration, mut look: impl FnMut() -> F)
where
    F: Future<Output = Result<(), String>>,
{
    let end = tokio::time::Instant::now() + time;
    while tokio::time::Instant::now() < end {
        if let Err(stand) = look().await {
            panic!("no longer so: {what}\nseen: {stand}");
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}
