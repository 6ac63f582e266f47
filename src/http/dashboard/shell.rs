//! The shell: what all pages have around them.

use http::header::COOKIE;
use http::{HeaderMap, Uri};

use super::numbers;
use super::words::{Lang, Words};

/// The cookie that remembers light or dark.
const THEME_COOKIE: &str = "nearcast_theme";

/// What the frame of a page needs.
pub(in crate::http) struct Shell {
    pub(in crate::http) w: &'static Words,
    pub(in crate::http) title: String,
    /// `fleet`, `explain`, `node`, `login`: which navigation entry is lit, and what the module does.
    pub(in crate::http) page: &'static str,
    pub(in crate::http) lang: &'static str,
    pub(in crate::http) theme: &'static str,
    /// This page in the other language.
    pub(in crate::http) other_lang: String,
    /// Somebody can log out here.
    pub(in crate::http) session: bool,
    /// The module is not wanted.
    pub(in crate::http) plain: bool,
    pub(in crate::http) now_unix_ms: u64,
}

// === impl Shell ===

impl Shell {
    pub(in crate::http) fn new(
        page: &'static str,
        title: &str,
        now_unix_ms: u64,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Self {
        let lang = Lang::of(headers);
        let theme = match cookie(headers, THEME_COOKIE) {
            Some("dark") => "dark",
            Some("light") => "light",
            _ => "",
        };
        let here = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        let other = if lang == Lang::En { "zh" } else { "en" };
        Self {
            w: lang.words(),
            title: title.to_owned(),
            page,
            lang: lang.tag(),
            theme,
            other_lang: format!("/dashboard/lang?to={other}&next={}", encoded(here)),
            session: cookie(headers, super::super::access::SESSION_COOKIE).is_some(),
            plain: false,
            now_unix_ms,
        }
    }

    /// A page that stands still.
    pub(in crate::http) fn plain(mut self) -> Self {
        self.plain = true;
        self
    }

    pub(in crate::http) fn titled(mut self, title: &str) -> Self {
        title.clone_into(&mut self.title);
        self
    }

    pub(in crate::http) fn words(&self) -> &'static Words {
        self.w
    }

    pub(in crate::http) fn is_english(&self) -> bool {
        self.w.lang == Lang::En
    }

    pub(in crate::http) fn clock(&self) -> String {
        numbers::time(self.now_unix_ms)
    }
}

/// The value of a cookie.
pub(in crate::http) fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find_map(|(known, value)| (known == name).then_some(value))
}

/// For a path segment or the value of a parameter.
pub(in crate::http) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// Where to go on: a path of ours, never another host.
pub(in crate::http) fn local(next: &str) -> &str {
    let is_path = next.starts_with('/') && !next.starts_with("//") && !next.contains('\\');
    if is_path && next.bytes().all(|byte| byte.is_ascii_graphic()) { next } else { "/nodes" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_to_another_host() {
        for next in ["//example.org", "/\\example.org", "https://example.org", "example.org", "", "/a\r\nb"] {
            assert_eq!(local(next), "/nodes", "{next}");
        }
        assert_eq!(local("/nodes?pool=a%20b"), "/nodes?pool=a%20b");
        assert_eq!(encoded("a b/<ü>"), "a%20b%2F%3C%C3%BC%3E");
    }
}
