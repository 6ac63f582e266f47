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

use super::dashboard::cookie;
use super::problem::{Problem, Slug};
use super::{Front, dashboard, login};

/// Shortest token, characters.
const SHORTEST: usize = 16;
/// Longest token, characters: a request head has more in it.
const LONGEST: usize = 1_024;
/// What is signed with both tokens.
const PURPOSE: &[u8] = b"nearcast ops v1\n";
/// What is signed with a token's MAC for a session.
const SESSION_PURPOSE: &[u8] = b"nearcast session v1\n";
/// What a supervisor, and a browser on its way in, may ask without a token.
const OPEN: [&str; 4] = ["/livez", "/readyz", "/login", "/dashboard/lang"];
/// Files that pages load; they hold no secrets, and the login page needs some.
const OPEN_FILES: &str = "/dashboard/files/";
/// How long a session lasts, s.
pub(super) const SESSION_S: u64 = 12 * 3_600;
/// The cookie of a session.
pub(super) const SESSION_COOKIE: &str = "nearcast_session";

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
        scheme.eq_ignore_ascii_case("bearer") && self.is(token.trim().as_bytes())
    }

    /// Whether it is this one.
    pub(super) fn is(&self, token: &[u8]) -> bool {
        hmac::verify(&key(token), PURPOSE, self.0.as_ref()).is_ok()
    }

    /// The value of a session's cookie: its end in Unix seconds and a MAC over it. It says nothing of the token.
    pub(super) fn session(&self, now_unix_s: u64) -> String {
        let end = (now_unix_s + SESSION_S).to_string();
        let mac = hmac::sign(&key(self.0.as_ref()), &signed(&end));
        let mac: String = mac.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{end}.{mac}")
    }

    /// Whether a request has a session that is not over.
    fn has_session(&self, headers: &HeaderMap, now_unix_s: u64) -> bool {
        let Some((end, mac)) = cookie(headers, SESSION_COOKIE).and_then(|value| value.split_once('.')) else {
            return false;
        };
        let is_over = end.parse::<u64>().map_or(true, |end| end <= now_unix_s);
        !is_over
            && bytes(mac).is_some_and(|mac| hmac::verify(&key(self.0.as_ref()), &signed(end), &mac).is_ok())
    }
}

fn signed(end: &str) -> Vec<u8> {
    [SESSION_PURPOSE, end.as_bytes()].concat()
}

/// Bytes from their hexadecimal form.
fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digit = |at: usize| hex.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    if hex.len() % 2 == 1 { None } else { (0..hex.len()).step_by(2).map(digit).collect() }
}

fn key(token: &[u8]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, token)
}

/// Lets a request of the ops side through, or asks for the token.
pub(super) async fn guard(State(front): State<Arc<Front>>, request: Request, next: Next) -> Response {
    let token = front.ops_token.load();
    let (path, headers) = (request.uri().path(), request.headers());
    let passes = match &*token {
        None => true,
        Some(_) if OPEN.contains(&path) || path.starts_with(OPEN_FILES) => true,
        Some(token) => {
            token.is_shown(headers) || token.has_session(headers, front.resolver.unix_ms() / 1_000)
        }
    };
    drop(token);
    if passes {
        return next.run(request).await;
    }
    if request.method().is_safe() && dashboard::wants_html(headers) {
        return login::wanted(&front, &request).into_response();
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
    fn a_session_lasts_its_time_and_cannot_be_made_or_made_longer() {
        let token = OpsToken::new(GOOD.as_bytes()).unwrap();
        let shows = |value: &str, now: u64| {
            let mut headers = HeaderMap::new();
            headers.insert(http::header::COOKIE, format!("a=b; {SESSION_COOKIE}={value}").parse().unwrap());
            token.has_session(&headers, now)
        };
        let session = token.session(1_000);
        assert!(!session.contains(GOOD));
        assert!(shows(&session, 1_001) && shows(&session, 999 + SESSION_S));
        assert!(!shows(&session, 1_000 + SESSION_S), "over");
        let (end, mac) = session.split_once('.').unwrap();
        let later = format!("{}.{mac}", end.parse::<u64>().unwrap() + 1);
        let other = OpsToken::new(b"fedcba9876543210").unwrap().session(1_000);
        for forged in [
            &*later,
            &*other,
            &session[..session.len() - 2],
            end,
            "",
            ".",
            "9999999999.",
            "9999999999.zz",
            "9999999999.€",
        ] {
            assert!(!shows(forged, 1_001), "{forged}");
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
