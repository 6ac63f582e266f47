//! Orders to media servers: who is connected, and sending somebody away.
//!
//! Where the API of SRS is not found (404), nginx-rtmp's page of statistics and its control module are tried ([`nginx`]).
//!
//! SRS's own HTTP API (`GET /api/v1/clients/?count=…`, `DELETE /api/v1/clients/{id}`; facts from SRS `srs_app_http_api.cpp`
//! and a recording of 7.0.18). It is asked as an exporter is: by the same client, with the same credentials by host, and
//! nowhere that `scrape.allowed_networks` does not open.

mod nginx;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::BoxFuture;
use reqwest::{Method, Url};
use serde::Deserialize;

use super::How;
use super::client::Client as HttpClient;
use crate::schedule::reading::ProbeFailure;
use crate::state::eviction::{Api, Client, Evicted, Hands};

/// Clients asked for at once. SRS lists in no order, so the youngest are found among all or not at all.
const MOST_CLIENTS: u32 = 10_000;
/// SRS does not know the client (any more).
const CLIENT_NOT_FOUND: i64 = 2049;

/// What stands between the parts of a client's id of nginx-rtmp, and in none of SRS.
const CLIENT_IDS: char = '/';

/// Speaks to media servers.
#[derive(Debug)]
pub struct Control(ArcSwap<HttpClient>);

#[derive(Deserialize)]
struct Answer {
    code: i64,
    #[serde(default)]
    clients: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    id: String,
    #[serde(default)]
    ip: String,
    #[serde(default)]
    publish: bool,
    #[serde(default)]
    alive: f64,
}

// === impl Control ===

impl Control {
    /// Asks in this way.
    #[must_use]
    pub fn new(how: How) -> Self {
        Self(ArcSwap::from_pointee(HttpClient::new(how)))
    }

    /// From now on in this one.
    pub fn take_over(&self, how: How) {
        self.0.store(Arc::new(HttpClient::new(how)));
    }
}

impl Hands for Control {
    fn clients(&self, api: Api) -> BoxFuture<'static, Result<Vec<Client>, String>> {
        let client = self.0.load_full();
        Box::pin(async move {
            let path = format!("/api/v1/clients/?start=0&count={MOST_CLIENTS}");
            match fetch(&client, Method::GET, url(&api, &path)?).await {
                Ok(body) => listed(&body),
                Err(ProbeFailure::Http(why)) if why == "status 404" => {
                    let page = fetch(&client, Method::GET, url(&api, "/stat")?).await.map_err(in_words)?;
                    let page = String::from_utf8_lossy(&page);
                    nginx::clients(&page).ok_or_else(|| "its /stat is not a page of nginx-rtmp".to_owned())
                }
                Err(failure) => Err(in_words(failure)),
            }
        })
    }

    fn evict(&self, api: Api, id: Box<str>) -> BoxFuture<'static, Result<Evicted, String>> {
        let client = self.0.load_full();
        Box::pin(async move {
            if id.contains(CLIENT_IDS) {
                let url =
                    nginx::order(&api.base, &id).ok_or_else(|| "its client has no such id".to_owned())?;
                // The answer is how many were dropped.
                let dropped = fetch(&client, Method::GET, url).await.map_err(in_words)?;
                return Ok(if dropped.trim_ascii() == b"0" { Evicted::Gone } else { Evicted::Kicked });
            }
            let url = url(&api, &format!("/api/v1/clients/{id}"))?;
            let body = fetch(&client, Method::DELETE, url).await.map_err(in_words)?;
            match answer(&body)?.code {
                0 => Ok(Evicted::Kicked),
                CLIENT_NOT_FOUND => Ok(Evicted::Gone),
                code => Err(format!("its API answers code {code}")),
            }
        })
    }
}

fn url(api: &Api, path: &str) -> Result<Url, String> {
    Url::parse(&format!("{}{path}", api.base)).map_err(|_| "its API has no URL".to_owned())
}

async fn fetch(client: &HttpClient, method: Method, url: Url) -> Result<Vec<u8>, ProbeFailure> {
    let timeout_ms = client.timeout_ms();
    let asked = tokio::time::timeout(Duration::from_millis(timeout_ms), client.ask(method, url)).await;
    asked.unwrap_or(Err(ProbeFailure::Timeout(timeout_ms)))
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn in_words(failure: ProbeFailure) -> String {
    failure.to_string()
}

fn answer(body: &[u8]) -> Result<Answer, String> {
    serde_json::from_slice(body).map_err(|error| format!("its API answers something else: {error}"))
}

fn listed(body: &[u8]) -> Result<Vec<Client>, String> {
    let answer = answer(body)?;
    match answer.code {
        0 => Ok(answer.clients.into_iter().filter_map(Listed::into_client).collect()),
        code => Err(format!("its API answers code {code}")),
    }
}

// === impl Listed ===

impl Listed {
    /// An id that a path could not carry as it is would be another order.
    fn into_client(self) -> Option<Client> {
        let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        let is_id = !self.id.is_empty() && self.id.len() <= 64 && self.id.bytes().all(fine);
        is_id.then(|| Client {
            id: self.id.into(),
            ip: self.ip.parse().ok(),
            publishes: self.publish,
            alive_s: self.alive,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPTURE: &str = include_str!("../../tests/fixtures/srs/api_edge1_clients.json");

    #[test]
    fn the_clients_of_a_real_server_are_read() {
        let answer: Answer = serde_json::from_str(CAPTURE).unwrap();
        let clients: Vec<Client> = answer.clients.into_iter().filter_map(Listed::into_client).collect();
        assert_eq!(clients.len(), 4);
        let expected =
            Client { id: "135y8m5q".into(), ip: "127.0.0.1".parse().ok(), publishes: false, alive_s: 45.31 };
        assert_eq!(clients[0], expected);
    }

    #[test]
    fn a_client_whose_id_would_be_another_path_is_passed_over() {
        for id in ["", "../../raw?rpc=reload", "a/b", "a?b", "a%2fb", &"x".repeat(65)] {
            let listed = Listed { id: id.to_owned(), ip: String::new(), publish: false, alive: 1.0 };
            assert_eq!(listed.into_client(), None, "{id}");
        }
    }
}
