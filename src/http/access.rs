//! Who may use the ops side: whoever shows the bearer token, if one is configured.
//!
//! `/livez` and `/readyz` are for supervisors, which carry no secrets, and tell counts only. All else asks, `/metrics`
//! too: it names every node. What is compared are MACs of the two tokens, so that a near miss takes as long as a far
//! one and their lengths do not show.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue};
use ring::hmac;

use super::Front;
use super::problem::{Problem, Slug};

/// Shortest token, characters.
const SHORTEST: usize = 16;
/// Longest token, characters: a request head has more in it.
const LONGEST: usize = 1_024;
/// What is signed with both tokens.
const PURPOSE: &[u8] = b"nearcast ops v1\n";
/// What a supervisor may ask without a token.
const OPEN: [&str; 2] = ["/livez", "/readyz"];

/// What operators have to show.
#[derive(Clone)]
pub struct OpsToken(hmac::Tag);

/// Why a text is no token. It is not repeated: it is nearly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Somebody could guess it.
    #[error("has fewer than {SHORTEST} characters")]
    Short,
    /// No request could carry it.
    #[error("has more than {LONGEST} characters")]
    Long,
    /// A header could not carry it.
    #[error("has something in it that is no visible ASCII character; it is one line without spaces")]
    Unprintable,
}

// === impl OpsToken ===

impl OpsToken {
    /// The token of a file; white space around it does not count.
    ///
    /// # Errors
    /// It is too short, too long, or nothing that a header can carry.
    pub fn new(file: &[u8]) -> Result<Self, TokenError> {
        let token = file.trim_ascii();
        match token.len() {
            ..SHORTEST => Err(TokenError::Short),
            length if length > LONGEST => Err(TokenError::Long),
            _ if !token.iter().all(u8::is_ascii_graphic) => Err(TokenError::Unprintable),
            _ => Ok(Self(hmac::sign(&key(token), PURPOSE))),
        }
    }

    /// Whether a request shows it, in exactly one `Authorization` header.
    pub(super) fn is_shown(&self, headers: &HeaderMap) -> bool {
        let mut shown = headers.get_all(AUTHORIZATION).iter();
        let (Some(shown), None) = (shown.next(), shown.next()) else { return false };
        let Some((scheme, token)) = shown.to_str().ok().and_then(|shown| shown.split_once(' ')) else {
            return false;
        };
        scheme.eq_ignore_ascii_case("bearer")
            && hmac::verify(&key(token.trim().as_bytes()), PURPOSE, self.0.as_ref()).is_ok()
    }
}

fn key(token: &[u8]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, token)
}

/// Lets a request of the ops side through, or asks for the token.
pub(super) async fn guard(State(front): State<Arc<Front>>, request: Request, next: Next) -> Response {
    let token = front.ops_token.load();
    let passes = match &*token {
        None => true,
        Some(token) => OPEN.contains(&request.uri().path()) || token.is_shown(request.headers()),
    };
    drop(token);
    if passes {
        return next.run(request).await;
    }
    let (challenge, detail) = match request.headers().contains_key(AUTHORIZATION) {
        false => {
            ("Bearer realm=\"nearcast\"", "this side asks for a bearer token; see server.admin_token_file")
        }
        true => {
            ("Bearer realm=\"nearcast\", error=\"invalid_token\"", "the bearer token is not the one in force")
        }
    };
    let mut response = Problem::new(Slug::Unauthorized, detail).into_response();
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "0123456789abcdef";

    fn shown(lines: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(AUTHORIZATION, line.parse().unwrap());
        }
        OpsToken::new(format!("{GOOD}\n").as_bytes()).unwrap().is_shown(&headers)
    }

    #[test]
    fn only_the_whole_token_as_a_bearer_shown_once_counts() {
        assert!(shown(&[&format!("Bearer {GOOD}")]) && shown(&[&format!("bearer  {GOOD}")]));
        for lines in [
            &[][..],
            &["Bearer 0123456789abcdeF"],
            &["Bearer 0123456789abcde"],
            &["Bearer 0123456789abcdef0"],
            &["Bearer"],
            &["Bearer "],
            &["Basic 0123456789abcdef"],
            &["0123456789abcdef"],
            &["Bearer 0123456789abcdef", "Bearer 0123456789abcdef"],
        ] {
            assert!(!shown(lines), "{lines:?}");
        }
    }

    #[test]
    fn a_token_that_cannot_serve_is_refused_and_not_repeated() {
        let refusal = |token: &str| OpsToken::new(token.as_bytes()).err();
        assert_eq!(refusal("  short\n"), Some(TokenError::Short));
        assert_eq!(refusal(&"a".repeat(LONGEST + 1)), Some(TokenError::Long));
        assert_eq!(refusal("two lines are\nno token"), Some(TokenError::Unprintable));
        assert_eq!(refusal(GOOD), None);
    }
}
