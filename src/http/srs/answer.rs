//! Answers in the shape of the caller: SRS reads an integer `code` in a 200, nginx-rtmp the status.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION};
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::call::Dialect;
use crate::http::problem::{Problem, Slug};

/// Why a media server is refused. Closed sets of codes for SRS, which logs them, and of words for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Refused {
    /// The call cannot be read.
    BadCall,
    /// The caller is none of ours.
    Stranger,
    /// There is no such hook.
    NoHook,
    /// Another origin has the stream.
    SecondOrigin,
    /// The node is over its threshold or leaving, and another one has room.
    Overloaded,
    /// The body is longer than any that is meant.
    TooLarge,
}

// === impl Refused ===

impl Refused {
    pub(in crate::http) fn as_str(self) -> &'static str {
        match self {
            Self::BadCall => "bad_call",
            Self::Stranger => "stranger",
            Self::NoHook => "no_hook",
            Self::SecondOrigin => "second_origin",
            Self::Overloaded => "overloaded",
            Self::TooLarge => "too_large",
        }
    }

    /// Like the status that the same refusal would have elsewhere; never 0, which would be leave to go on.
    fn code(self) -> u16 {
        match self {
            Self::BadCall => 400,
            Self::Stranger => 403,
            Self::NoHook => 404,
            Self::SecondOrigin => 409,
            Self::TooLarge => 413,
            Self::Overloaded => 503,
        }
    }

    /// The refusal on the wire, with its reason in words.
    pub(in crate::http) fn respond(self, dialect: Dialect, why: &str) -> Response {
        match dialect {
            Dialect::Srs => srs(&json!({ "code": self.code(), "msg": why })),
            Dialect::NginxRtmp => {
                let slug = match self {
                    Self::BadCall | Self::TooLarge => Slug::BadRequest,
                    Self::NoHook => Slug::NotFound,
                    Self::Stranger => Slug::BadToken,
                    Self::SecondOrigin | Self::Overloaded => Slug::SentAway,
                };
                Problem::new(slug, why.to_owned()).into_response()
            }
        }
    }
}

/// A 200 with this JSON.
pub(in crate::http) fn srs(value: &Value) -> Response {
    json_bytes(value.to_string().into())
}

/// The client may go on. nginx-rtmp looks at the status alone.
pub(in crate::http) fn go_on() -> Response {
    json_bytes(Bytes::from_static(b"{\"code\":0}"))
}

/// nginx-rtmp is to pull the stream from there.
pub(in crate::http) fn pull_from(url: &str) -> Response {
    match HeaderValue::try_from(url) {
        Ok(location) => (StatusCode::FOUND, [(LOCATION, location)]).into_response(),
        Err(_) => go_on(),
    }
}

fn json_bytes(body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
