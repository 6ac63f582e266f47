//! Signed questions and signed answers, for domains that have keys.
//!
//! *Questions*: `sign=` holds the hexadecimal HMAC-SHA256 of all other parameters in canonical form, `exp=` among them,
//! Unix time (s) at most [`LONGEST_LIFE_S`] ahead. So a link cannot be altered, nor used for long; who only watches
//! cannot make another.
//!
//! *Answers*: `X-Nearcast-Signature: t=…,key=…,v1=…`, where `v1` is the HMAC of `t`, the whole query (its `sign`
//! included) and the body. So an answer that was changed on the way, or is of another question, or of an earlier time,
//! is known for one without TLS. A player that puts something of its own into the query (any parameter that we do not
//! know) knows that the answer was made for it alone.
//!
//! *Canonical form*, as of AWS Signature Version 4: names and values percent-encoded but for `A-Z a-z 0-9 - . _ ~`,
//! joined by `=`, sorted by name and then value, joined by `&`. Encoding, because a value may hold a `&`.
//!
//! *Keys*: a domain has up to four; the first signs, each is accepted, so that one follows another without a gap. A key
//! is told in answers by the start of a MAC, which betrays nothing of it. All comparisons take the same time.

use std::collections::HashMap;
use std::fmt::Write as _;

use http::{HeaderName, HeaderValue};
use ring::hmac;

use super::problem::{Problem, Slug};
use super::query::{self, Params};

/// Most that `exp` may be ahead of our clock, s.
pub const LONGEST_LIFE_S: u64 = 600;
/// Shortest key, bytes.
const SHORTEST_KEY: usize = 16;
/// What answers' MACs begin with. No canonical query has a line end in it, so neither MAC passes for the other.
const ANSWER: &str = "nearcast answer v1\n";
/// What keys are told by.
const KEY_ID: &[u8] = b"nearcast key id v1\n";

/// The header of an answer's signature.
pub(super) static X_NEARCAST_SIGNATURE: HeaderName = HeaderName::from_static("x-nearcast-signature");

/// A key of a domain.
#[derive(Clone)]
pub struct SigningKey {
    key: hmac::Key,
    /// Eight hexadecimal digits.
    id: Box<str>,
}

/// What one domain signs and checks with.
#[derive(Clone)]
pub struct Signer {
    /// The first signs; never empty.
    keys: Vec<SigningKey>,
    /// Whether questions have to be signed.
    required: bool,
}

/// Those of all domains that have any.
#[derive(Default)]
pub struct Signers(HashMap<Box<str>, Signer>);

// === impl SigningKey ===

impl SigningKey {
    /// The key of a file; white space around it does not count. `None`: too short.
    #[must_use]
    pub fn new(file: &[u8]) -> Option<Self> {
        let secret = file.trim_ascii();
        if secret.len() < SHORTEST_KEY {
            return None;
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let mac = hmac::sign(&key, KEY_ID);
        Some(Self { id: hex(&mac.as_ref()[..4]).into(), key })
    }

    /// A query with `exp` and `sign` in it, good until `exp_s`, Unix time. Without a leading `?`.
    #[must_use]
    pub fn sign_query(&self, query: &str, exp_s: u64) -> String {
        let joint = if query.is_empty() { "" } else { "&" };
        let query = format!("{query}{joint}exp={exp_s}");
        let mac = hmac::sign(&self.key, canonical(&query, Some("sign")).as_bytes());
        format!("{query}&sign={}", hex(mac.as_ref()))
    }
}

// === impl Signer ===

impl Signer {
    /// A signer with these keys, the one that signs first; `None`: there are none.
    #[must_use]
    pub fn new(keys: Vec<SigningKey>, required: bool) -> Option<Self> {
        (!keys.is_empty()).then_some(Self { keys, required })
    }

    /// Whether who cannot sign is not answered at all.
    pub(super) fn is_required(&self) -> bool {
        self.required
    }

    /// Whether a question may be answered.
    pub(super) fn check(&self, query: Option<&str>, now_s: u64) -> Result<(), Problem> {
        let mut params = Params::scan(query, &["sign", "exp"]);
        let (sign, exp) = (params.take("sign"), params.take("exp"));
        params.verdict()?;
        let refuse = |why| Err(Problem::new(Slug::BadSignature, why));
        let Some(sign) = sign else {
            return if self.required {
                refuse("this domain asks for a signature: sign= and exp=")
            } else {
                Ok(())
            };
        };
        let Some(exp_s) = exp.and_then(|exp| exp.parse::<u64>().ok()) else {
            return refuse("exp= is missing, or no Unix time");
        };
        let message = canonical(query.unwrap_or_default(), Some("sign"));
        let mac = unhex(&sign);
        let is_ours = |key: &SigningKey| hmac::verify(&key.key, message.as_bytes(), &mac).is_ok();
        // Before the times, or these would tell a forger that the rest is right.
        if !self.keys.iter().any(is_ours) {
            return refuse("sign= is not the signature of this question by a key in force");
        }
        if exp_s <= now_s {
            return refuse("the signature has expired");
        }
        if exp_s - now_s > LONGEST_LIFE_S {
            return refuse("exp= is more than 600 s ahead");
        }
        Ok(())
    }

    /// The signature of an answer.
    pub(super) fn answer(&self, query: Option<&str>, body: &[u8], now_s: u64) -> HeaderValue {
        let key = &self.keys[0];
        let mut mac = hmac::Context::with_key(&key.key);
        mac.update(ANSWER.as_bytes());
        mac.update(format!("{now_s}\n").as_bytes());
        mac.update(canonical(query.unwrap_or_default(), None).as_bytes());
        mac.update(b"\n");
        mac.update(body);
        let value = format!("t={now_s},key={},v1={}", key.id, hex(mac.sign().as_ref()));
        // Digits and letters are always a header value.
        HeaderValue::try_from(value).unwrap_or(HeaderValue::from_static(""))
    }
}

// === impl Signers ===

impl Signers {
    /// A domain's, if it has keys.
    #[must_use]
    pub fn of(&self, domain: &str) -> Option<&Signer> {
        // Mostly there are none at all, and this is asked for every question.
        if self.0.is_empty() { None } else { self.0.get(domain) }
    }
}

impl FromIterator<(Box<str>, Signer)> for Signers {
    fn from_iter<I: IntoIterator<Item = (Box<str>, Signer)>>(signers: I) -> Self {
        Self(signers.into_iter().collect())
    }
}

/// A query in canonical form, without one parameter. What is not valid percent-encoding stands for itself: it was
/// refused where it matters.
fn canonical(query: &str, without: Option<&str>) -> String {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decoded = |text| query::decode(text).unwrap_or(std::borrow::Cow::Borrowed(text));
        let name = decoded(name);
        if Some(&*name) != without {
            pairs.push((encode(&name), encode(&decoded(value))));
        }
    }
    pairs.sort();
    let pairs: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

fn hex(bytes: &[u8]) -> String {
    let mut digits = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

/// What hexadecimal digits, small or large, stand for; nothing if they are none, which no MAC is.
fn unhex(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks(2);
    let byte = |pair: &[u8]| match pair {
        [high, low] => {
            let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            Some(16 * digit(*high)? + digit(*low)?)
        }
        _ => None,
    };
    pairs.map(byte).collect::<Option<_>>().unwrap_or_default()
}

#[cfg(test)]
mod tests;
