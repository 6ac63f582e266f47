//! The words of the pages, in two languages. One file for each; the module in the browser gets the same ones.

use std::collections::HashMap;
use std::sync::LazyLock;

use http::HeaderMap;
use http::header::ACCEPT_LANGUAGE;

use super::shell::cookie;

/// The cookie that remembers a language that somebody chose.
pub(in crate::http) const LANG_COOKIE: &str = "nearcast_lang";

static ENGLISH: LazyLock<Words> = LazyLock::new(|| Words::read(Lang::En, include_str!("assets/en.txt")));
static CHINESE: LazyLock<Words> = LazyLock::new(|| Words::read(Lang::Zh, include_str!("assets/zh.txt")));

/// A language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Lang {
    En,
    Zh,
}

/// All words of one language.
#[derive(Debug)]
pub(in crate::http) struct Words {
    pub(in crate::http) lang: Lang,
    texts: HashMap<&'static str, &'static str>,
}

// === impl Lang ===

impl Lang {
    /// The language of a code, such as `zh-CN`.
    pub(in crate::http) fn of_code(code: &str) -> Option<Self> {
        match code.split('-').next() {
            Some(code) if code.eq_ignore_ascii_case("en") => Some(Self::En),
            Some(code) if code.eq_ignore_ascii_case("zh") => Some(Self::Zh),
            _ => None,
        }
    }

    /// The language to answer in: the one that was chosen, else the first that the browser names.
    pub(in crate::http) fn of(headers: &HeaderMap) -> Self {
        if let Some(lang) = cookie(headers, LANG_COOKIE).and_then(Self::of_code) {
            return lang;
        }
        let line = headers.get(ACCEPT_LANGUAGE).and_then(|line| line.to_str().ok()).unwrap_or_default();
        let mut best = (0.0, Self::En);
        for item in line.split(',') {
            let (code, weight) = item.split_once(";q=").unwrap_or((item, "1"));
            let weight: f32 = weight.trim().parse().unwrap_or(0.0);
            match Self::of_code(code.trim()) {
                Some(lang) if weight > best.0 => best = (weight, lang),
                _ => {}
            }
        }
        best.1
    }

    /// As it stands in `lang=` attributes.
    pub(in crate::http) fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Zh => "zh-CN",
        }
    }

    /// Its words.
    pub(in crate::http) fn words(self) -> &'static Words {
        match self {
            Self::En => &ENGLISH,
            Self::Zh => &CHINESE,
        }
    }
}

// === impl Words ===

impl Words {
    fn read(lang: Lang, file: &'static str) -> Self {
        let lines = file.lines().filter(|line| !line.starts_with('#'));
        let pairs = lines.filter_map(|line| line.split_once('='));
        Self { lang, texts: pairs.map(|(key, text)| (key.trim(), text.trim())).collect() }
    }

    /// A text as it stands; the key where there is none, so that its absence shows.
    pub(in crate::http) fn t<'k>(&self, key: &'k str) -> &'k str {
        self.texts.get(key).copied().unwrap_or(key)
    }

    /// A text, filled in.
    pub(in crate::http) fn f(&self, key: &str, values: &[(&str, &str)]) -> String {
        let mut text = String::with_capacity(96);
        let mut rest = self.t(key);
        while let Some((before, after)) = rest.split_once('{') {
            let Some((name, after)) = after.split_once('}') else { break };
            text.push_str(before);
            text.push_str(values.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value));
            rest = after;
        }
        text.push_str(rest);
        text
    }

    /// All words as an ES module.
    pub(super) fn module(&self) -> String {
        let sorted: std::collections::BTreeMap<_, _> = self.texts.iter().collect();
        format!("export default {};\n", serde_json::to_string(&sorted).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn lang(accept: &str) -> Lang {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_LANGUAGE, accept.parse().unwrap());
        Lang::of(&headers)
    }

    #[test]
    fn both_languages_have_the_same_keys_and_the_same_blanks() {
        assert_eq!(
            ENGLISH.texts.keys().collect::<BTreeSet<_>>(),
            CHINESE.texts.keys().collect::<BTreeSet<_>>()
        );
        let blanks = |text: &str| -> BTreeSet<String> {
            text.split('{').skip(1).map(|part| part.split('}').next().unwrap().to_owned()).collect()
        };
        for (key, text) in &ENGLISH.texts {
            assert_eq!(blanks(text), blanks(CHINESE.t(key)), "{key}");
        }
    }

    #[test]
    fn the_language_is_the_one_that_the_browser_prefers() {
        assert_eq!(lang("zh-CN,zh;q=0.9,en;q=0.8"), Lang::Zh);
        assert_eq!(lang("de-DE,de;q=0.9,en;q=0.8,zh;q=0.7"), Lang::En);
        assert_eq!(lang("fr"), Lang::En);
        let mut headers = HeaderMap::new();
        headers.insert(http::header::COOKIE, "a=b; nearcast_lang=zh".parse().unwrap());
        assert_eq!(Lang::of(&headers), Lang::Zh);
    }

    #[test]
    fn blanks_are_filled_once_and_values_are_not_read_again() {
        assert_eq!(ENGLISH.f("showing", &[("a", "{b}"), ("b", "7")]), "{b} of 7");
    }
}
