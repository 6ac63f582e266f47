//! Where mistakes are collected while a file is read, and how texts of the file appear in messages.

use std::borrow::Cow;
use std::cell::RefCell;
use std::ops::Range;

/// Bytes of the file.
pub(super) type Span = Range<usize>;

/// One mistake, before lines are counted.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    /// The offending text; `None`: something the whole file lacks.
    pub(super) span: Option<Span>,
    /// What is wrong, in words.
    pub(super) message: String,
    /// Where the other half of a contradiction stands, and what it is.
    pub(super) related: Option<(Span, &'static str)>,
}

/// Collects mistakes while the file is read.
#[derive(Debug, Default)]
pub(super) struct Report {
    // A cell, because sections within sections all report while their parents are still being read.
    findings: RefCell<Vec<Finding>>,
    /// Where lines end, ascending.
    ends: Vec<usize>,
}

// === impl Report ===

impl Report {
    /// A report on this text.
    pub(super) fn of(text: &str) -> Self {
        Self { ends: memchr::memchr_iter(b'\n', text.as_bytes()).collect(), ..Self::default() }
    }

    /// The line on which something begins, from 1.
    pub(super) fn line(&self, span: &Span) -> usize {
        self.ends.partition_point(|end| *end < span.start) + 1
    }

    /// A mistake at a place.
    pub(super) fn error(&self, span: &Span, message: impl Into<String>) {
        self.push(Finding { span: Some(span.clone()), message: message.into(), related: None });
    }

    /// A mistake that takes two: `related` is the place of the other half and what it is.
    pub(super) fn clash(&self, span: &Span, message: impl Into<String>, related: (&Span, &'static str)) {
        let related = Some((related.0.clone(), related.1));
        self.push(Finding { span: Some(span.clone()), message: message.into(), related });
    }

    /// A mistake of the whole file.
    pub(super) fn error_of_the_file(&self, message: impl Into<String>) {
        self.push(Finding { span: None, message: message.into(), related: None });
    }

    /// Everything found.
    pub(super) fn into_findings(self) -> Vec<Finding> {
        self.findings.into_inner()
    }

    fn push(&self, finding: Finding) {
        self.findings.borrow_mut().push(finding);
    }
}

/// What the parser found, the first of each line: the others follow from it more often than not.
pub(super) fn syntax_findings(text: &str, errors: &[toml::de::Error]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = errors
        .iter()
        .map(|error| Finding { span: error.span(), message: syntax_message(error.message()), related: None })
        .collect();
    findings.sort_by_key(|finding| finding.span.as_ref().map_or(0, |span| span.start));
    findings.dedup_by(|later, earlier| match (&earlier.span, &later.span) {
        (Some(earlier), Some(later)) => {
            !text.get(earlier.start..later.start).unwrap_or_default().contains('\n')
        }
        _ => false,
    });
    findings
}

fn syntax_message(message: &str) -> String {
    // What the parser says of `policy = nearest` and `listen = 0.0.0.0:80`, the commonest slips.
    let bare_text = ["invalid boolean", "invalid float, expected nothing", "string values must be quoted"];
    let hint =
        if bare_text.iter().any(|start| message.starts_with(start)) { " (a text needs quotes)" } else { "" };
    format!("not TOML: {message}{hint}")
}

/// A text with the `user:password@` of every URL in it starred out: errors end up in logs. As many bytes as before,
/// so that places stay what they are.
pub(super) fn masked(text: &str) -> Cow<'_, str> {
    let mut shown = Cow::Borrowed(text);
    for (at, separator) in text.match_indices("://") {
        let start = at + separator.len();
        let authority = text.get(start..).unwrap_or_default();
        let authority = authority.split(['/', '"', '\'', '?', '#', ' ']).next().unwrap_or_default();
        if let Some(end) = authority.rfind('@').filter(|end| *end > 0) {
            shown.to_mut().replace_range(start..start + end, &"*".repeat(end));
        }
    }
    shown
}

/// A text from the file for use in a message: in back quotes, without control characters and passwords, not too
/// long.
pub(super) fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut shown: String = masked(text).escape_debug().take(LONGEST + 1).collect();
    if let Some((cut, _)) = shown.char_indices().nth(LONGEST) {
        shown.truncate(cut);
        shown.push('…');
    }
    format!("`{shown}`")
}
