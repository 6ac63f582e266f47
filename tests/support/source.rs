//! Which paths a Rust source text names: a small reader for `tests/architecture.rs`.
//!
//! Not a compiler: it drops comments and string contents, expands `use` trees, follows `crate`, `self`,
//! `super` and the file's own `use` aliases, and tells which code is `#[cfg(test)]`. That is enough to find
//! every import that somebody writes without trying to hide it. Paths made by macros stay unseen.

use std::collections::HashMap;

/// One path that a source text names, `crate`, `self`, `super` and aliases followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    /// Segments, outermost first: `["std", "time", "Instant"]`. A glob import ends in `*`.
    pub(crate) path: Vec<String>,
    /// Line of the first segment, from 1.
    pub(crate) line: usize,
    /// It stands under `#[cfg(test)]` or `#[test]`.
    pub(crate) in_test: bool,
}

/// What one source text says about modules.
#[derive(Debug, Default)]
pub(crate) struct Source {
    /// Every path it names.
    pub(crate) named: Vec<Named>,
    /// Modules it declares as `#[cfg(test)] mod name;`: their files are test code.
    pub(crate) test_modules: Vec<String>,
}

/// How many aliases of aliases are followed.
const MAX_ALIASES: usize = 4;

#[derive(Clone, Debug, PartialEq)]
struct Token {
    text: String,
    line: usize,
    in_test: bool,
}

/// Module path of a file under `src`: `src/http/resolve.rs` is `["crate", "http", "resolve"]`.
pub(crate) fn module_of(path: &str) -> Vec<String> {
    let inner = path.strip_prefix("src/").unwrap_or(path).trim_end_matches(".rs");
    let mut module = vec!["crate".to_owned()];
    if inner != "lib" && inner != "main" {
        module.extend(inner.split('/').map(str::to_owned));
    }
    module
}

/// Reads a text.
pub(crate) fn read(path: &str, text: &str) -> Source {
    let mut tokens = tokens(text);
    let test_modules = mark_tests(&mut tokens);
    let mut reader =
        Reader { tokens: &tokens, scopes: vec![(module_of(path), 0)], depth: 0, found: Vec::new() };
    reader.run();
    let aliases = reader.aliases();
    let named = reader.found.iter().map(|found| found.resolved(&aliases)).collect();
    Source { named, test_modules }
}

/// Identifiers, `::` and single punctuation marks; literals and comments fall away.
fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let (mut at, mut line, mut out) = (0, 1, Vec::new());
    while at < chars.len() {
        let start = at;
        let push = match chars[at] {
            '/' if chars.get(at + 1) == Some(&'/') => {
                at = find(&chars, at, |c| c == '\n');
                None
            }
            '/' if chars.get(at + 1) == Some(&'*') => {
                at = block_comment_end(&chars, at);
                None
            }
            '"' => {
                at = string_end(&chars, at + 1);
                None
            }
            '\'' => {
                at = quote_end(&chars, at);
                None
            }
            c if c.is_alphabetic() || c == '_' => {
                at = find(&chars, at, |c| !c.is_alphanumeric() && c != '_');
                match raw_literal_end(&chars, start, at) {
                    Some(end) => {
                        at = end;
                        None
                    }
                    None => Some(chars[start..at].iter().collect()),
                }
            }
            ':' if chars.get(at + 1) == Some(&':') => {
                at += 2;
                Some("::".to_owned())
            }
            c => {
                at += 1;
                (!c.is_whitespace()).then(|| c.to_string())
            }
        };
        out.extend(push.map(|text| Token { text, line, in_test: false }));
        line += chars[start..at].iter().filter(|c| **c == '\n').count();
    }
    out
}

fn find(chars: &[char], from: usize, stop: impl Fn(char) -> bool) -> usize {
    (from..chars.len()).find(|at| stop(chars[*at])).unwrap_or(chars.len())
}

/// Block comments nest in Rust.
fn block_comment_end(chars: &[char], from: usize) -> usize {
    let (mut depth, mut at) = (0, from);
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    chars.len()
}

fn string_end(chars: &[char], from: usize) -> usize {
    let mut at = from;
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

/// End of a character literal, or of the quote of a lifetime or label.
fn quote_end(chars: &[char], from: usize) -> usize {
    if chars.get(from + 1) == Some(&'\\') {
        return (find(chars, from + 3, |c| c == '\'') + 1).min(chars.len());
    }
    if chars.get(from + 2) == Some(&'\'') { from + 3 } else { from + 1 }
}

/// `r"…"`, `r#"…"#`, `b"…"`, `br#"…"#`, `c"…"`: the word before the quote belongs to the literal.
fn raw_literal_end(chars: &[char], start: usize, word_end: usize) -> Option<usize> {
    let word: String = chars[start..word_end].iter().collect();
    let raw = matches!(word.as_str(), "r" | "br" | "cr");
    if !raw && !matches!(word.as_str(), "b" | "c") {
        return None;
    }
    let quote = if raw { find(chars, word_end, |c| c != '#') } else { word_end };
    match chars.get(quote) {
        Some('\'') if word == "b" => Some(quote_end(chars, quote)),
        Some('"') if !raw => Some(string_end(chars, quote + 1)),
        Some('"') => {
            let hashes = quote - word_end;
            let closes = |at: usize| {
                chars[at] == '"'
                    && chars[at + 1..].iter().take_while(|c| **c == '#').take(hashes).count() == hashes
            };
            (quote + 1..chars.len()).find(|at| closes(*at)).map(|at| at + 1 + hashes)
        }
        _ => None,
    }
}

/// Marks all tokens of items under `#[cfg(test)]` and `#[test]`; returns the modules declared so.
fn mark_tests(tokens: &mut [Token]) -> Vec<String> {
    let (mut modules, mut at) = (Vec::new(), 0);
    while at < tokens.len() {
        if !is_test_attribute(&tokens[at..]) {
            at += 1;
            continue;
        }
        let end = item_end(tokens, at);
        let words: Vec<&str> = tokens[at..end].iter().map(|token| token.text.as_str()).collect();
        if let [.., "mod", name, ";"] = words.as_slice() {
            modules.push((*name).to_owned());
        }
        tokens[at..end].iter_mut().for_each(|token| token.in_test = true);
        at = end;
    }
    modules
}

/// `#[test]`, `#[some::test…]`, `#[cfg(test)]` and `#[cfg(all(test, …))]`, but not `cfg(not(test))`.
fn is_test_attribute(tokens: &[Token]) -> bool {
    let words: Vec<&str> = tokens.iter().take_while(|t| t.text != "]").map(|t| t.text.as_str()).collect();
    match words.as_slice() {
        ["#", "[", "cfg", "(", rest @ ..] => {
            rest.contains(&"test") && !rest.contains(&"not") && !rest.contains(&"any")
        }
        ["#", "[", rest @ ..] => match rest.iter().position(|word| *word == "(") {
            Some(open) => rest[..open].last() == Some(&"test"),
            None => rest.last() == Some(&"test"),
        },
        _ => false,
    }
}

/// One past the item that begins (with its attributes) at `from`: past its `;` or its closing brace.
fn item_end(tokens: &[Token], from: usize) -> usize {
    let mut depth = 0_i32;
    for (at, token) in tokens.iter().enumerate().skip(from) {
        match token.text.as_str() {
            "{" | "(" | "[" => depth += 1,
            ")" | "]" => depth -= 1,
            "}" => {
                depth -= 1;
                if depth <= 0 {
                    return at + 1;
                }
            }
            ";" if depth == 0 => return at + 1,
            _ => {}
        }
    }
    tokens.len()
}

/// A path as written, before aliases are followed.
#[derive(Debug)]
struct Found {
    path: Vec<String>,
    /// The name a `use` gives it.
    alias: Option<String>,
    line: usize,
    in_test: bool,
}

/// Walks the tokens and knows in which module it is.
struct Reader<'a> {
    tokens: &'a [Token],
    /// Enclosing modules, each with the brace depth at which it opened.
    scopes: Vec<(Vec<String>, usize)>,
    depth: usize,
    found: Vec<Found>,
}

// === impl Found ===

impl Found {
    /// `Instant::now` after `use std::time::Instant` is `std::time::Instant::now`.
    fn resolved(&self, aliases: &HashMap<String, Vec<String>>) -> Named {
        let mut path = self.path.clone();
        for _ in 0..MAX_ALIASES {
            let Some(full) = path.first().and_then(|first| aliases.get(first)) else { break };
            if self.alias.as_ref() == path.first() || full.first() == path.first() {
                break;
            }
            path.splice(0..1, full.iter().cloned());
        }
        Named { path, line: self.line, in_test: self.in_test }
    }
}

// === impl Reader ===

impl Reader<'_> {
    fn text(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| token.text.as_str())
    }

    fn run(&mut self) {
        let mut at = 0;
        while at < self.tokens.len() {
            match self.text(at) {
                "use" => at = self.use_tree(at + 1, &[]),
                "mod" if self.text(at + 2) == "{" => {
                    let mut module = self.scopes.last().map(|scope| scope.0.clone()).unwrap_or_default();
                    module.push(self.text(at + 1).to_owned());
                    self.scopes.push((module, self.depth));
                    at += 2;
                }
                "{" => (self.depth, at) = (self.depth + 1, at + 1),
                "}" => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.scopes.len() > 1 && self.scopes.last().is_some_and(|scope| scope.1 == self.depth)
                    {
                        self.scopes.pop();
                    }
                    at += 1;
                }
                word if is_name(word) && self.text(at + 1) == "::" => at = self.plain_path(at),
                _ => at += 1,
            }
        }
    }

    /// A path in the middle of code.
    fn plain_path(&mut self, from: usize) -> usize {
        let (mut at, mut path) = (from, vec![self.text(from).to_owned()]);
        while self.text(at + 1) == "::" && is_name(self.text(at + 2)) {
            path.push(self.text(at + 2).to_owned());
            at += 2;
        }
        let after_dot = from > 0 && self.text(from - 1) == ".";
        if !after_dot {
            self.note(&path, None, from);
        }
        at + 1
    }

    /// One branch of a `use` tree after `prefix`; returns where the branch ends.
    fn use_tree(&mut self, from: usize, prefix: &[String]) -> usize {
        let (mut at, mut path) = (from, prefix.to_vec());
        loop {
            match self.text(at) {
                "{" => {
                    at += 1;
                    while !matches!(self.text(at), "}" | "") {
                        at = match self.text(at) {
                            "," => at + 1,
                            _ => self.use_tree(at, &path).max(at + 1),
                        };
                    }
                    return at + 1;
                }
                "::" => at += 1,
                "*" => {
                    path.push("*".to_owned());
                    self.note(&path, Some("*"), from);
                    return at + 1;
                }
                "as" => {
                    let alias = self.text(at + 1).to_owned();
                    self.note(&path, Some(&alias), from);
                    return at + 2;
                }
                word if is_name(word) => {
                    path.push(word.to_owned());
                    at += 1;
                }
                _ => {
                    let inner_self = path.last().is_some_and(|last| last == "self") && path.len() > 1;
                    path.truncate(path.len() - usize::from(inner_self));
                    let alias = path.last().cloned().unwrap_or_default();
                    self.note(&path, Some(&alias), from);
                    return at;
                }
            }
        }
    }

    fn note(&mut self, path: &[String], alias: Option<&str>, at: usize) {
        let Some(token) = self.tokens.get(at) else { return };
        let module = self.scopes.last().map(|scope| scope.0.clone()).unwrap_or_default();
        self.found.push(Found {
            path: absolute(&module, path),
            alias: alias.map(str::to_owned),
            line: token.line,
            in_test: token.in_test,
        });
    }

    fn aliases(&self) -> HashMap<String, Vec<String>> {
        let named = self.found.iter().filter_map(|found| Some((found.alias.clone()?, found.path.clone())));
        named.filter(|(alias, _)| alias != "*" && alias != "_").collect()
    }
}

fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Follows `self` and `super` from a module; `crate` and the crate's own name both begin with `crate`.
fn absolute(module: &[String], path: &[String]) -> Vec<String> {
    let mut base = module.to_vec();
    for (at, segment) in path.iter().enumerate() {
        match segment.as_str() {
            "nearcast" | "crate" if at == 0 => base = vec!["crate".to_owned()],
            "self" => {}
            "super" => base.truncate(base.len().saturating_sub(1).max(1)),
            _ if at == 0 => return path.to_vec(),
            _ => return base.into_iter().chain(path[at..].iter().cloned()).collect(),
        }
    }
    base
}
