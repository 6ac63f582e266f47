//! What can be wrong with a page.

/// Why a page gives no samples. A page is taken whole or not at all: a load with a hole in it looks like a low load.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpositionError {
    /// An error page or a login form.
    #[error("page is HTML, not exposition text")]
    Html,
    /// An API's answer; SRS answers so on its API port while its exporter is disabled.
    #[error("page is JSON, not exposition text")]
    Json,
    /// A NUL byte: compressed or some other file.
    #[error("page is binary, not exposition text")]
    Binary,
    /// The first line that should be a sample is none.
    #[error("page is not exposition text: line {line} is \"{excerpt}\"")]
    NotExposition {
        /// Line number, from 1.
        line: usize,
        /// Its beginning, escaped.
        excerpt: String,
    },
    /// The last line has no line feed, so nobody knows whether its last digit is there.
    #[error("page ends in the middle of a line")]
    Truncated,
    /// A wanted line is not UTF-8.
    #[error("line {line} is not UTF-8")]
    NotUtf8 {
        /// Line number, from 1.
        line: usize,
    },
    /// A wanted line breaks the format.
    #[error("line {line}: {name}: {flaw}")]
    Malformed {
        /// Line number, from 1.
        line: usize,
        /// Metric name.
        name: Box<str>,
        /// What is wrong with it.
        flaw: Flaw,
    },
    /// A wanted line is legal, but the parsing crate lost or changed something of it.
    #[error("line {line}: {series} cannot be represented: {loss}")]
    Unrepresentable {
        /// Line number, from 1.
        line: usize,
        /// The series as on the page.
        series: Box<str>,
        /// What did not come back.
        loss: Box<str>,
    },
    /// The same name and labels twice: which value is true?
    #[error("line {line}: {series} comes twice")]
    Duplicate {
        /// Number of the later line, from 1.
        line: usize,
        /// The series.
        series: Box<str>,
    },
    /// More than [`super::MAX_SAMPLES`] wanted lines.
    #[error("page has more than {} wanted lines", super::MAX_SAMPLES)]
    TooManySamples,
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// `{` without its `}`.
    #[error("labels do not end")]
    UnclosedLabels,
    /// Not a letter or underscore, then letters, digits, underscores.
    #[error("label name is not one")]
    BadLabelName,
    /// No `="` after a label's name.
    #[error("label value is not quoted")]
    UnquotedValue,
    /// Something else than `\\`, `\"` and `\n`.
    #[error("unknown escape in a label value")]
    BadEscape,
    /// One label name twice.
    #[error("label comes twice")]
    LabelTwice,
    /// More than 64 labels.
    #[error("more than 64 labels")]
    TooManyLabels,
    /// Nothing after name and labels.
    #[error("no value")]
    NoValue,
    /// Not a decimal number, NaN or infinity.
    #[error("value is not a number")]
    BadValue,
    /// Neither a timestamp nor an exemplar after the value.
    #[error("text after the value")]
    TrailingText,
}
