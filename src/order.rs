//! `nearcast drain` and `nearcast undrain`: orders to a running service.
//!
//! A guest like [`crate::top`]: it asks the ops side as anybody may, and knows nothing of the house's insides.

use std::time::Duration;

use anyhow::Context;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::{StatusCode, Url};
use serde::Deserialize;
use serde_json::{Map, Value};

/// How long an order may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whom to give an order.
#[derive(Clone, Debug)]
pub struct Recipient {
    /// The ops side: `http://127.0.0.1:8081`.
    pub url: String,
    /// The token that it asks for.
    pub token: Option<String>,
    /// The node.
    pub node: String,
}

/// What is ordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// No new viewers.
    Drain {
        /// Why.
        reason: Option<String>,
        /// For so long, s.
        ttl_s: Option<u32>,
        /// So many clients a minute are sent away.
        evict_per_minute: Option<u32>,
    },
    /// As before.
    Undrain,
}

/// What is read of the answer.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Node {
    state: String,
    clients: Option<f64>,
}

/// What is read of a refusal.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    detail: String,
    invalid_params: Vec<InvalidParam>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct InvalidParam {
    name: String,
    reason: String,
}

/// Reads `30` or `30/min`.
///
/// # Errors
/// It is something else.
pub fn per_minute(text: &str) -> Result<u32, String> {
    let number = text.strip_suffix("/min").unwrap_or(text);
    let read = number.parse().ok().filter(|number| *number > 0);
    read.ok_or_else(|| "expected clients a minute, such as 30 or 30/min".to_owned())
}

/// Gives the order, and says what became of it.
///
/// # Errors
/// The service cannot be reached, or refuses.
pub async fn give(to: &Recipient, order: &Order) -> anyhow::Result<String> {
    let client = reqwest::Client::builder()
        .timeout(PATIENCE)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .context("cannot build an HTTP client")?;
    let url = order.url(to)?;
    let mut request =
        client.post(url).header(CONTENT_TYPE, "application/json").body(order.body().to_string());
    if let Some(token) = &to.token {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    let response = request.send().await.with_context(|| format!("cannot reach {}", to.url))?;
    let status = response.status();
    let body = response.bytes().await.with_context(|| format!("{} stopped in the middle", to.url))?;
    if status == StatusCode::UNAUTHORIZED {
        anyhow::bail!("{} asks for a token: --token-file", to.url);
    }
    if !status.is_success() {
        let refusal: Refusal = serde_json::from_slice(&body).unwrap_or_default();
        anyhow::bail!("{} refuses: {}", to.url, refusal.in_words(status));
    }
    let node = serde_json::from_slice(&body).with_context(|| format!("{} is no nearcast", to.url))?;
    Ok(order.done(&to.node, &node))
}

// === impl Order ===

impl Order {
    fn url(&self, to: &Recipient) -> anyhow::Result<Url> {
        let mut url = Url::parse(&to.url).with_context(|| format!("{} is no URL", to.url))?;
        let verb = if matches!(self, Self::Undrain) { "undrain" } else { "drain" };
        match url.path_segments_mut() {
            Ok(mut path) => _ = path.pop_if_empty().extend(["nodes", &to.node, verb]),
            Err(()) => anyhow::bail!("{} is no URL of a service", to.url),
        }
        Ok(url)
    }

    fn body(&self) -> Value {
        let mut members = Map::new();
        if let Self::Drain { reason, ttl_s, evict_per_minute } = self {
            let reason = reason.clone().map(Value::from);
            let (ttl_s, rate) = (ttl_s.map(Value::from), evict_per_minute.map(Value::from));
            for (name, value) in [("reason", reason), ("ttl_s", ttl_s), ("evict_per_minute", rate)] {
                members.extend(value.map(|value| (name.to_owned(), value)));
            }
        }
        Value::Object(members)
    }

    fn done(&self, id: &str, node: &Node) -> String {
        let clients = node.clients.map(|clients| format!(", {clients:.0} clients")).unwrap_or_default();
        let evicting = match self {
            Self::Drain { evict_per_minute: Some(rate), .. } => format!(", {rate} a minute are sent away"),
            _ => String::new(),
        };
        format!("{id} is {}{clients}{evicting}", node.state)
    }
}

// === impl Refusal ===

impl Refusal {
    fn in_words(&self, status: StatusCode) -> String {
        let faults = self.invalid_params.iter().map(|fault| format!("{} {}", fault.name, fault.reason));
        let faults: Vec<String> = faults.collect();
        match (faults.is_empty(), self.detail.is_empty()) {
            (false, _) => faults.join("; "),
            (true, false) => self.detail.clone(),
            (true, true) => status.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_says_what_was_said_and_no_more() {
        let to = Recipient { url: "http://127.0.0.1:8081/".into(), token: None, node: "a/../b?c".into() };
        let drain = Order::Drain { reason: None, ttl_s: Some(60), evict_per_minute: Some(30) };
        assert_eq!(drain.url(&to).unwrap().as_str(), "http://127.0.0.1:8081/nodes/a%2F..%2Fb%3Fc/drain");
        assert_eq!(drain.body().to_string(), r#"{"evict_per_minute":30,"ttl_s":60}"#);
        assert_eq!(Order::Undrain.body().to_string(), "{}");
        let node = Node { state: "draining".into(), clients: Some(312.0) };
        assert_eq!(drain.done("sh-1", &node), "sh-1 is draining, 312 clients, 30 a minute are sent away");
    }

    #[test]
    fn a_rate_may_say_its_unit() {
        assert_eq!((per_minute("30"), per_minute("30/min")), (Ok(30), Ok(30)));
        for text in ["", "0", "-1", "30/s", "many", "1.5"] {
            assert!(per_minute(text).is_err(), "{text}");
        }
    }
}
