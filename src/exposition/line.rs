//! Our own reading of one line: the half of the loss guard that knows the whole format.
//!
//! ```text
//! name [{label="value",…}] value [timestamp] [# {exemplar labels} value [timestamp]]
//! ```
//! Grammar: Prometheus "Exposition formats", text format 0.0.4; the exemplar is `OpenMetrics` and is read past.

use std::borrow::Cow;

use memchr::memchr2;

use super::{ExpositionError, Flaw, Labels};

/// More labels than any exporter writes; keeps the search for doubles short on hostile pages.
const MAX_LABELS: usize = 64;

/// Longest piece of a foreign line that is shown in a message, bytes.
const EXCERPT: usize = 60;

/// What a line says besides its labels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scanned<'a> {
    /// Metric name.
    pub(super) name: &'a str,
    /// Its value.
    pub(super) value: f64,
}

/// Without blanks before it, and blanks or a carriage return behind.
pub(super) fn trim(text: &[u8]) -> &[u8] {
    text.trim_ascii()
}

/// A wanted line as text.
pub(super) fn utf8(text: &[u8], number: usize) -> Result<&str, ExpositionError> {
    std::str::from_utf8(text).map_err(|_| ExpositionError::NotUtf8 { line: number })
}

/// Fails unless the line reads like a sample: a name at its front, a number at its end. For the first line of a
/// page, of whatever metric; labels that nobody wants may be as they like.
pub(super) fn prove(text: &[u8], number: usize) -> Result<(), ExpositionError> {
    if text.first() == Some(&b'{') {
        return Ok(());
    }
    let good = std::str::from_utf8(text).ok().is_some_and(|line| {
        let name_end = line.find(['{', ' ', '\t']).unwrap_or(line.len());
        let last = line.rsplit([' ', '\t', '}']).next().unwrap_or_default();
        is_metric_name(&line[..name_end]) && name_end < line.len() && last.parse::<f64>().is_ok()
    });
    if good {
        return Ok(());
    }
    let shown = String::from_utf8_lossy(&text[..text.len().min(EXCERPT)]);
    let excerpt = shown.escape_debug().to_string();
    Err(ExpositionError::NotExposition { line: number, excerpt })
}

/// Reads a trimmed line whose name ends at `name_end`; its labels go to `labels`, in order of their names.
pub(super) fn scan<'a>(text: &'a str, name_end: usize, labels: &mut Labels<'a>) -> Result<Scanned<'a>, Flaw> {
    labels.0.clear();
    let (name, rest) = text.split_at(name_end);
    let rest = skip_blanks(rest);
    let rest = match rest.strip_prefix('{') {
        Some(inside) => scan_labels(inside, labels)?,
        None => rest,
    };
    let value = scan_value(rest)?;
    labels.0.sort_unstable_by_key(|(key, _)| *key);
    if labels.0.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return Err(Flaw::LabelTwice);
    }
    Ok(Scanned { name, value })
}

/// Reads labels from behind `{` and returns what follows `}`.
fn scan_labels<'a>(mut rest: &'a str, labels: &mut Labels<'a>) -> Result<&'a str, Flaw> {
    loop {
        rest = skip_blanks(rest);
        if let Some(after) = rest.strip_prefix('}') {
            return Ok(after);
        }
        let (name, after) = split_label_name(rest)?;
        let after = skip_blanks(after).strip_prefix('=').ok_or(Flaw::UnquotedValue)?;
        let after = skip_blanks(after).strip_prefix('"').ok_or(Flaw::UnquotedValue)?;
        let (value, after) = scan_quoted(after)?;
        if labels.0.len() == MAX_LABELS {
            return Err(Flaw::TooManyLabels);
        }
        labels.0.push((name, value));
        rest = skip_blanks(after);
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None if rest.starts_with('}') => {}
            None => return Err(Flaw::UnclosedLabels),
        }
    }
}

/// Splits a label name off the front.
fn split_label_name(text: &str) -> Result<(&str, &str), Flaw> {
    if text.is_empty() {
        return Err(Flaw::UnclosedLabels);
    }
    let end = text.bytes().position(|b| !(b.is_ascii_alphanumeric() || b == b'_')).unwrap_or(text.len());
    if end == 0 || text.as_bytes()[0].is_ascii_digit() {
        return Err(Flaw::BadLabelName);
    }
    Ok(text.split_at(end))
}

/// Reads a label value from behind its opening quote and returns what follows the closing one. Borrows unless
/// there is an escape.
fn scan_quoted(text: &str) -> Result<(Cow<'_, str>, &str), Flaw> {
    let stop = memchr2(b'"', b'\\', text.as_bytes()).ok_or(Flaw::UnclosedLabels)?;
    if text.as_bytes()[stop] == b'"' {
        return Ok((Cow::Borrowed(&text[..stop]), &text[stop + 1..]));
    }
    let mut value = String::with_capacity(text.len().min(256));
    let mut rest = text;
    loop {
        let stop = memchr2(b'"', b'\\', rest.as_bytes()).ok_or(Flaw::UnclosedLabels)?;
        value.push_str(&rest[..stop]);
        if rest.as_bytes()[stop] == b'"' {
            return Ok((Cow::Owned(value), &rest[stop + 1..]));
        }
        value.push(match rest.as_bytes().get(stop + 1) {
            Some(b'\\') => '\\',
            Some(b'"') => '"',
            Some(b'n') => '\n',
            Some(_) => return Err(Flaw::BadEscape),
            None => return Err(Flaw::UnclosedLabels),
        });
        rest = &rest[stop + 2..];
    }
}

/// Reads the value and checks that what follows may follow.
fn scan_value(text: &str) -> Result<f64, Flaw> {
    let (token, rest) = split_token(text);
    if token.is_empty() {
        return Err(Flaw::NoValue);
    }
    let value = token.parse::<f64>().map_err(|_| Flaw::BadValue)?;
    let (next, rest) = split_token(rest);
    if next.is_empty() || next.starts_with('#') {
        return Ok(value);
    }
    // Milliseconds in the classic format, seconds with a fraction in OpenMetrics.
    if next.parse::<f64>().is_err() {
        return Err(Flaw::TrailingText);
    }
    let (behind, _) = split_token(rest);
    if behind.is_empty() || behind.starts_with('#') { Ok(value) } else { Err(Flaw::TrailingText) }
}

/// Splits the next word off the front.
fn split_token(text: &str) -> (&str, &str) {
    let text = skip_blanks(text);
    text.split_at(text.find([' ', '\t']).unwrap_or(text.len()))
}

/// Blanks are the space and the tab, nothing else.
fn skip_blanks(text: &str) -> &str {
    text.trim_start_matches([' ', '\t'])
}

/// Letters, digits, underscores and colons, no digit first.
fn is_metric_name(name: &str) -> bool {
    !name.is_empty()
        && !name.as_bytes()[0].is_ascii_digit()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':')
}
