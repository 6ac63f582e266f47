//! What is wrong with a configuration, and where.
//!
//! A mistake is kept with the line it stands on and not with the whole file, so that errors outlive the text and
//! an admin surface can hand them on as plain fields. Rendering follows rustc: message, `file:line:column`, the
//! line, a caret under the offending text.

use std::fmt;
use std::path::Path;

use annotate_snippets::{Annotation, AnnotationKind, Element, Level, Origin, Renderer, Snippet};

use super::report::{Finding, Span, masked};

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Line of the offending text, from 1; also 1 where the mistake is the whole file's.
    pub line: usize,
    /// Column of its first character, from 1, in characters (not bytes).
    pub column: usize,
    /// What is wrong, in words; starts with the key where there is one. One line, no full stop.
    pub message: String,
    /// The offending text, at most to the end of its line; empty where something is missing.
    pub text: String,
    /// The place to draw; `None`: the whole file.
    place: Option<Place>,
    /// Where the other half of a contradiction stands.
    related: Option<(Place, &'static str)>,
}

/// All mistakes of a configuration, in the order of the file. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors {
    file: String,
    errors: Vec<ConfigError>,
}

/// A stretch of one line.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    /// From 1.
    line: usize,
    /// The whole line, without its end.
    source: String,
    /// Bytes of `source`.
    span: Span,
}

// === impl ConfigErrors ===

impl ConfigErrors {
    /// The file could not be read.
    pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> Self {
        let file = path.display().to_string();
        Self { errors: vec![ConfigError::of_the_file(format!("cannot read it: {error}"))], file }
    }

    /// The file is no text.
    pub(super) fn not_utf8(path: &Path, error: &std::string::FromUtf8Error) -> Self {
        let good = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let line = memchr::memchr_iter(b'\n', good).count() + 1;
        let message = format!("line {line} is not UTF-8, which TOML has to be");
        Self { errors: vec![ConfigError::of_the_file(message)], file: path.display().to_string() }
    }

    /// Finds line and column of every finding and brings them in the order of the file.
    pub(super) fn new(text: &str, file: &str, mut findings: Vec<Finding>) -> Self {
        // What is missing from the whole file has no place: it comes first, as its line 1 says.
        findings.sort_by_key(|finding| finding.span.as_ref().map_or((0, 0), |span| (span.start, span.end)));
        let lines = Lines::of(text);
        Self { file: file.to_owned(), errors: findings.into_iter().map(|found| lines.error(found)).collect() }
    }

    /// The mistakes, in the order of the file.
    #[must_use]
    pub fn errors(&self) -> &[ConfigError] {
        &self.errors
    }

    /// The file's name as it stands in messages.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// "1 error in nearcast.toml".
    #[must_use]
    pub fn summary(&self) -> String {
        let count = self.errors.len();
        format!("{count} error{} in {}", if count == 1 { "" } else { "s" }, self.file)
    }
}

/// Every mistake with its line and a caret under the text, then the count.
impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for error in &self.errors {
            writeln!(f, "{}\n", error.render(&self.file))?;
        }
        f.write_str(&self.summary())
    }
}

impl std::error::Error for ConfigErrors {}

// === impl ConfigError ===

impl ConfigError {
    fn of_the_file(message: String) -> Self {
        Self { line: 1, column: 1, message, text: String::new(), place: None, related: None }
    }

    /// As rustc would say it.
    fn render(&self, file: &str) -> String {
        let title = Level::ERROR.primary_title(&self.message);
        let Some(place) = &self.place else {
            return Renderer::plain().render(&[title.element(Element::from(Origin::path(file)))]);
        };
        let snippet = place.snippet(file, place.annotation(AnnotationKind::Primary));
        let group = match &self.related {
            None => title.element(snippet),
            Some((other, label)) => {
                let annotation = other.annotation(AnnotationKind::Context).label(*label);
                if other.line == place.line {
                    title.element(snippet.annotation(annotation))
                } else {
                    title.element(snippet).element(other.snippet(file, annotation))
                }
            }
        };
        Renderer::plain().render(&[group])
    }
}

/// One line, for a log.
impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(_) => write!(f, "line {}, column {}: {}", self.line, self.column, self.message),
            None => f.write_str(&self.message),
        }
    }
}

// === impl Place ===

impl Place {
    fn annotation<'s>(&self, kind: AnnotationKind) -> Annotation<'s> {
        kind.span(self.span.clone())
    }

    fn snippet<'s>(&'s self, file: &'s str, annotation: Annotation<'s>) -> Snippet<'s, Annotation<'s>> {
        Snippet::source(&self.source).line_start(self.line).path(file).annotation(annotation)
    }
}

/// A text and where its lines begin: thousands of errors in a large file must not each walk it again.
struct Lines<'t> {
    text: &'t str,
    /// Byte offset of every line, ascending; the first is 0.
    starts: Vec<usize>,
}

// === impl Lines ===

impl<'t> Lines<'t> {
    fn of(text: &'t str) -> Self {
        let after_newline = memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1);
        Self { text, starts: std::iter::once(0).chain(after_newline).collect() }
    }

    fn error(&self, finding: Finding) -> ConfigError {
        let Some(place) = finding.span.map(|span| self.place(&span)) else {
            return ConfigError::of_the_file(finding.message);
        };
        ConfigError {
            line: place.line,
            column: place.source.get(..place.span.start).map_or(0, |before| before.chars().count()) + 1,
            message: finding.message,
            text: place.source.get(place.span.clone()).unwrap_or_default().to_owned(),
            place: Some(place),
            related: finding.related.map(|(span, label)| (self.place(&span), label)),
        }
    }

    /// The line where `span` begins; what lies on later lines is cut off.
    fn place(&self, span: &Span) -> Place {
        let at = self.text.floor_char_boundary(span.start);
        let line = self.starts.partition_point(|start| *start <= at);
        let start = self.starts.get(line.saturating_sub(1)).copied().unwrap_or_default();
        let end = self.starts.get(line).copied().unwrap_or(self.text.len());
        let source = self.text.get(start..end).unwrap_or_default().trim_end_matches(['\n', '\r']);
        let from = (at - start).min(source.len());
        let to = source.floor_char_boundary(span.end.saturating_sub(start)).clamp(from, source.len());
        Place { line, source: masked(source).into_owned(), span: from..to }
    }
}
