//! Errors on the wire: RFC 9457 problem details, and nothing else.
//!
//! [`Slug`] is the closed set of what can go wrong; `openapi.yaml` lists the same set and a test compares the
//! two. A client decides by `code`, a person reads `detail`, an operator finds the log line by
//! `instance`, which is the request's name.

use std::borrow::Cow;
use std::fmt;

use axum::body::Body;
use axum::response::IntoResponse;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;
use serde::Serialize;

use super::reload::Mistake;
use super::request_id::{RequestId, X_REQUEST_ID};
use crate::resolver::Refusal;

/// The media type of every error.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// What went wrong: `type` is `urn:nearcast:problem:<slug>`, `code` the slug itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Slug {
    /// The request cannot be read at all.
    BadRequest,
    /// A required parameter is absent.
    MissingParameter,
    /// A parameter is malformed, out of range or given twice.
    InvalidParameter,
    /// Nothing is served under this path.
    NotFound,
    /// No `[[domains]]` entry has this name.
    UnknownDomain,
    /// No node has this id.
    UnknownNode,
    /// The pool has no address of the family asked for.
    NoAddress,
    /// No node of the pool has a port for that.
    NoPort,
    /// The domain takes no publishers.
    NoOrigins,
    /// Nobody publishes the stream that a server asks for, or its origins are down.
    NoStream,
    /// A page of another host asks for a change.
    CrossOrigin,
    /// The ops side asks for a token, and this is not it.
    Unauthorized,
    /// The token of a report has expired, is of another network or not ours.
    BadToken,
    /// A media server's client is to go to another node.
    SentAway,
    /// The question has to be signed, and is not, or not by a key in force.
    BadSignature,
    /// The path is served, but not by this method.
    MethodNotAllowed,
    /// The body is not JSON by its own account.
    UnsupportedMediaType,
    /// The body passes what its surface takes.
    ContentTooLarge,
    /// The request's URI passes 8 KiB.
    UriTooLong,
    /// This client asks more often than `[limits]` lets one.
    TooManyRequests,
    /// The configuration, or a file that it names, cannot be taken over.
    InvalidConfiguration,
    /// A defect of ours.
    Internal,
    /// No node of the pool is in service.
    NoNodeAvailable,
    /// Every node is overloaded and the pool says `on_overload = "refuse"`.
    Overloaded,
    /// Not ready to be asked yet.
    NotReady,
    /// Requests wait too long for their turn; this one would have, too.
    Busy,
    /// Nodes keep sending the client back here.
    RedirectLoop,
}

/// One parameter that is wrong, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InvalidParam {
    /// The parameter's name.
    pub name: &'static str,
    /// What it must be.
    pub reason: Cow<'static, str>,
}

/// An error on its way to the wire.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    slug: Slug,
    detail: Cow<'static, str>,
    invalid_params: Vec<InvalidParam>,
    retry_after_s: Option<u32>,
    readiness: Option<Box<serde_json::Value>>,
    mistakes: Vec<Mistake>,
    /// For the log only: what exactly went wrong on our side.
    cause: Option<Box<str>>,
}

/// Marks an answer that tells of a problem in words of its own, so that the boundary counts it and leaves it alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told(pub(super) Slug);

/// The body, in the order in which a person wants to read it.
#[derive(Serialize)]
struct Wire<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    instance: String,
    code: &'static str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    invalid_params: &'a [InvalidParam],
    #[serde(skip_serializing_if = "Option::is_none")]
    readiness: Option<&'a serde_json::Value>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    mistakes: &'a [Mistake],
}

// === impl Slug ===

impl Slug {
    /// The closed set.
    pub const ALL: [Self; 27] = [
        Self::BadRequest,
        Self::MissingParameter,
        Self::InvalidParameter,
        Self::NotFound,
        Self::UnknownDomain,
        Self::UnknownNode,
        Self::NoAddress,
        Self::NoPort,
        Self::NoOrigins,
        Self::NoStream,
        Self::CrossOrigin,
        Self::Unauthorized,
        Self::BadToken,
        Self::SentAway,
        Self::BadSignature,
        Self::MethodNotAllowed,
        Self::UnsupportedMediaType,
        Self::ContentTooLarge,
        Self::UriTooLong,
        Self::TooManyRequests,
        Self::InvalidConfiguration,
        Self::Internal,
        Self::NoNodeAvailable,
        Self::Overloaded,
        Self::NotReady,
        Self::Busy,
        Self::RedirectLoop,
    ];

    /// The word on the wire and in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.parts().0
    }

    /// The status it goes with.
    #[must_use]
    pub fn status(self) -> StatusCode {
        self.parts().1
    }

    /// The same few words every time; what is special goes into `detail`.
    #[must_use]
    pub fn title(self) -> &'static str {
        self.parts().2
    }

    fn parts(self) -> (&'static str, StatusCode, &'static str) {
        match self {
            Self::BadRequest => ("bad-request", StatusCode::BAD_REQUEST, "Request cannot be read"),
            Self::MissingParameter => {
                ("missing-parameter", StatusCode::BAD_REQUEST, "Required parameter is missing")
            }
            Self::InvalidParameter => ("invalid-parameter", StatusCode::BAD_REQUEST, "Parameter is invalid"),
            Self::NotFound => ("not-found", StatusCode::NOT_FOUND, "Nothing is served here"),
            Self::UnknownDomain => ("unknown-domain", StatusCode::NOT_FOUND, "Domain is not configured"),
            Self::UnknownNode => ("unknown-node", StatusCode::NOT_FOUND, "Node does not exist"),
            Self::NoAddress => ("no-address", StatusCode::NOT_FOUND, "No address of this family"),
            Self::NoPort => ("no-port", StatusCode::NOT_FOUND, "No node has a port for this"),
            Self::NoOrigins => ("no-origins", StatusCode::NOT_FOUND, "Domain takes no publishers"),
            Self::NoStream => ("no-stream", StatusCode::NOT_FOUND, "Nobody has the stream"),
            Self::CrossOrigin => {
                ("cross-origin", StatusCode::FORBIDDEN, "Request comes from another host's page")
            }
            Self::UnsupportedMediaType => {
                ("unsupported-media-type", StatusCode::UNSUPPORTED_MEDIA_TYPE, "Media type is not supported")
            }
            Self::Unauthorized => ("unauthorized", StatusCode::UNAUTHORIZED, "Token is missing or wrong"),
            Self::BadToken => ("bad-token", StatusCode::FORBIDDEN, "Token is not accepted"),
            Self::SentAway => ("sent-away", StatusCode::FORBIDDEN, "Client is to go to another node"),
            Self::BadSignature => ("bad-signature", StatusCode::FORBIDDEN, "Signature is not accepted"),
            Self::MethodNotAllowed => {
                ("method-not-allowed", StatusCode::METHOD_NOT_ALLOWED, "Method is not allowed")
            }
            Self::ContentTooLarge => {
                ("content-too-large", StatusCode::PAYLOAD_TOO_LARGE, "Body is too large")
            }
            Self::UriTooLong => ("uri-too-long", StatusCode::URI_TOO_LONG, "URI is too long"),
            Self::TooManyRequests => {
                ("too-many-requests", StatusCode::TOO_MANY_REQUESTS, "Client asks too often")
            }
            Self::InvalidConfiguration => {
                ("invalid-configuration", StatusCode::UNPROCESSABLE_ENTITY, "Configuration is refused")
            }
            Self::Internal => ("internal", StatusCode::INTERNAL_SERVER_ERROR, "Internal error"),
            Self::NoNodeAvailable => {
                ("no-node-available", StatusCode::SERVICE_UNAVAILABLE, "No node is in service")
            }
            Self::Overloaded => ("overloaded", StatusCode::SERVICE_UNAVAILABLE, "Every node is overloaded"),
            Self::NotReady => ("not-ready", StatusCode::SERVICE_UNAVAILABLE, "Not ready yet"),
            Self::Busy => ("busy", StatusCode::SERVICE_UNAVAILABLE, "Too many requests at once"),
            Self::RedirectLoop => ("redirect-loop", StatusCode::SERVICE_UNAVAILABLE, "Redirected too often"),
        }
    }

    /// The nearest word for a status that somebody else chose.
    pub(super) fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::NotFound,
            StatusCode::METHOD_NOT_ALLOWED => Self::MethodNotAllowed,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::UnsupportedMediaType,
            StatusCode::PAYLOAD_TOO_LARGE => Self::ContentTooLarge,
            StatusCode::URI_TOO_LONG => Self::UriTooLong,
            status if status.is_client_error() => Self::BadRequest,
            _ => Self::Internal,
        }
    }
}

// === impl InvalidParam ===

impl InvalidParam {
    /// Says what a parameter must be.
    pub fn new(name: &'static str, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { name, reason: reason.into() }
    }
}

// === impl Problem ===

impl Problem {
    /// A problem with its explanation.
    pub fn new(slug: Slug, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            slug,
            detail: detail.into(),
            invalid_params: Vec::new(),
            retry_after_s: None,
            readiness: None,
            mistakes: Vec::new(),
            cause: None,
        }
    }

    /// One or more parameters are wrong; all of them are named.
    #[must_use]
    pub fn invalid(params: Vec<InvalidParam>) -> Self {
        let names: Vec<&str> = params.iter().map(|param| param.name).collect();
        let only_missing = params.iter().all(|param| param.reason == MISSING);
        let (slug, word) = if only_missing {
            (Slug::MissingParameter, "missing")
        } else {
            (Slug::InvalidParameter, "not acceptable")
        };
        let detail = format!("parameter {}: {word}; see invalid_params", names.join(", "));
        Self { invalid_params: params, ..Self::new(slug, detail) }
    }

    /// A defect of ours. What exactly goes to the log, not to the client.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(
            Slug::Internal,
            "the request failed through no fault of yours; the log knows it by its instance",
        )
    }

    /// What exactly went wrong, for the log.
    pub(super) fn because(mut self, cause: impl fmt::Display) -> Self {
        self.cause = Some(cause.to_string().into());
        self
    }

    /// When to come back.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// What is not ready, in full.
    pub(super) fn with_readiness(mut self, readiness: serde_json::Value) -> Self {
        self.readiness = Some(readiness.into());
        self
    }

    /// Everything that is wrong with the configuration.
    pub(super) fn with_mistakes(mut self, mistakes: Vec<Mistake>) -> Self {
        self.mistakes = mistakes;
        self
    }

    /// What went wrong.
    #[must_use]
    pub fn slug(&self) -> Slug {
        self.slug
    }

    /// The parameters that are wrong.
    pub(super) fn params(&self) -> &[InvalidParam] {
        &self.invalid_params
    }

    /// When to come back, s; `None`: that would not help.
    pub(super) fn retry_after_s(&self) -> Option<u32> {
        self.retry_after_s
    }

    /// What the log is told: the cause, or what the client is told too.
    pub(super) fn reason(&self) -> &str {
        self.cause.as_deref().unwrap_or(&self.detail)
    }

    /// All of it, for a page.
    pub(super) fn in_words(&self) -> String {
        let params = self.invalid_params.iter().map(|param| format!("{} {}", param.name, param.reason));
        let params: Vec<String> = params.collect();
        if params.is_empty() { self.detail.to_string() } else { params.join("; ") }
    }

    /// The whole response to the request of this name.
    pub(super) fn respond(&self, id: &RequestId) -> Response<Full<Bytes>> {
        let wire = Wire {
            r#type: format!("urn:nearcast:problem:{}", self.slug.as_str()),
            title: self.slug.title(),
            status: self.slug.status().as_u16(),
            detail: &self.detail,
            instance: format!("urn:nearcast:request:{id}"),
            code: self.slug.as_str(),
            invalid_params: &self.invalid_params,
            readiness: self.readiness.as_deref(),
            mistakes: &self.mistakes,
        };
        // Strings and numbers always serialise; an empty body with the right status is the honest rest.
        let body = serde_json::to_vec(&wire).unwrap_or_default();
        let mut response = Response::new(Full::new(Bytes::from(body)));
        *response.status_mut() = self.slug.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(&X_REQUEST_ID, id.header());
        if let Some(seconds) = self.retry_after_s {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// The reason of a parameter that is required and absent.
pub(super) const MISSING: &str = "is required";

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::UnknownDomain => {
                Self::new(Slug::UnknownDomain, "no [[domains]] entry of the configuration has this name")
            }
            Refusal::AllOverloaded { retry_after_s } => {
                Self::new(Slug::Overloaded, "every node of the pool is overloaded, and the pool refuses then")
                    .retry_after(retry_after_s)
            }
            Refusal::NoAddress => {
                Self::new(Slug::NoAddress, "the pool has no address of the family asked for")
            }
            Refusal::NoPort => {
                Self::new(Slug::NoPort, "no node of the pool has a port for this: media.http, or media.https")
            }
            Refusal::NoOrigins => {
                Self::new(Slug::NoOrigins, "the [[domains]] entry of this name says no origins to publish to")
            }
            Refusal::NoNode { retry_after_s } => {
                Self::new(Slug::NoNodeAvailable, "no node of the pool is in service")
                    .retry_after(retry_after_s)
            }
        }
    }
}

/// Without words yet: they hold the name of the request, which the boundary knows and a surface need not.
impl IntoResponse for Problem {
    fn into_response(self) -> axum::response::Response {
        let mut response = axum::response::Response::new(Body::empty());
        *response.status_mut() = self.slug.status();
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(problem: &Problem) -> serde_json::Value {
        use futures_util::FutureExt;
        use http_body_util::BodyExt;
        let body = problem
            .respond(&RequestId::new())
            .into_body()
            .collect()
            .now_or_never()
            .unwrap()
            .unwrap()
            .to_bytes();
        serde_json::from_slice(&body).unwrap()
    }

    #[test]
    fn every_problem_has_a_word_of_its_own_and_an_error_status() {
        let words: std::collections::HashSet<_> = Slug::ALL.iter().map(|slug| slug.as_str()).collect();
        assert_eq!(words.len(), Slug::ALL.len());
        for slug in Slug::ALL {
            assert!(slug.status().is_client_error() || slug.status().is_server_error());
            assert!(slug.as_str().bytes().all(|b| b.is_ascii_lowercase() || b == b'-'));
        }
    }

    #[test]
    fn a_problem_names_every_wrong_parameter() {
        let problem = Problem::invalid(vec![
            InvalidParam::new("n", "must be 1 to 8"),
            InvalidParam::new("domain", MISSING),
        ]);
        let body = body(&problem);
        assert_eq!(body["type"], "urn:nearcast:problem:invalid-parameter");
        assert_eq!(body["status"], 400);
        assert_eq!(body["code"], "invalid-parameter");
        assert_eq!(body["invalid_params"][0]["name"], "n");
        assert_eq!(body["invalid_params"][1]["reason"], "is required");
    }

    #[test]
    fn only_missing_parameters_are_called_missing() {
        let problem = Problem::invalid(vec![InvalidParam::new("domain", MISSING)]);
        assert_eq!(problem.slug(), Slug::MissingParameter);
    }

    #[test]
    fn refusals_that_pass_say_when_to_come_back() {
        for (refusal, slug, retry) in [
            (Refusal::UnknownDomain, Slug::UnknownDomain, None),
            (Refusal::AllOverloaded { retry_after_s: 7 }, Slug::Overloaded, Some("7")),
            (Refusal::NoAddress, Slug::NoAddress, None),
            (Refusal::NoPort, Slug::NoPort, None),
            (Refusal::NoOrigins, Slug::NoOrigins, None),
            (Refusal::NoNode { retry_after_s: 9 }, Slug::NoNodeAvailable, Some("9")),
        ] {
            let problem = Problem::from(refusal);
            assert_eq!(problem.slug(), slug);
            let response = problem.respond(&RequestId::new());
            assert_eq!(response.headers().get(RETRY_AFTER).map(|v| v.to_str().unwrap()), retry);
            assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
            assert_eq!(response.headers()[CONTENT_TYPE], MEDIA_TYPE);
        }
    }

    #[test]
    fn the_cause_is_for_the_log_and_the_instance_is_the_requests_name() {
        let problem = Problem::internal().because("a secret of ours");
        assert_eq!(problem.reason(), "a secret of ours");
        assert!(!body(&problem).to_string().contains("secret"));
        let id = RequestId::new();
        let response = problem.respond(&id);
        assert_eq!(response.headers()[&X_REQUEST_ID], id.to_string());
        assert_ne!(body(&problem)["instance"], body(&problem)["instance"]);
    }
}
