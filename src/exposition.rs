//! Wanted samples out of a metrics page (Prometheus text format 0.0.4), or a named error.
//!
//! *What it decides*: which lines of a page are ours, and whether every one of them was understood.
//!
//! *Why so*: a `node_exporter` page has 500 series and we want about thirty. The `prometheus-parse` crate takes a
//! millisecond for the whole page, which at 10,000 nodes is two cores and at any size is a pause in which no
//! player is answered. So the page is walked once with memchr, wanted lines are selected by name and labels, and
//! only those go to the crate. The crate also loses some legal lines without a word (a label value with a
//! comma, `=`, `}`, a quote or a backslash; empty braces). A load that silently misses one of its processes would
//! send viewers to an overloaded node, so a scanner of our own reads each selected line as well and
//! `exposition/guard.rs` compares: either the same sample came back, or the page is refused with the line's
//! number. Lines that are not wanted cost nothing and can do no harm.
//!
//! *Limits*: exemplars, timestamps and types are read past, not kept. [`MAX_SAMPLES`] bounds the work per page.
//!
//! *Pure*: no tokio, no file system, no clock, nothing of ours outside this room.

mod error;
mod guard;
mod line;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use memchr::{memchr, memchr_iter, memchr3};

pub use self::error::{ExpositionError, Flaw};

/// Most wanted lines that one page may have. A machine with 512 CPUs has about 1,600; 10,000 lines cost the crate
/// about 20 ms, which is as long as one page may hold up a worker.
pub const MAX_SAMPLES: usize = 10_000;

/// One series of a page with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample<'a> {
    /// Metric name.
    pub name: &'a str,
    /// Its labels, in order of their names.
    pub labels: Labels<'a>,
    /// As on the page: may be NaN, infinite or negative.
    pub value: f64,
}

/// The labels of one series. Few, so a list that is searched from the front.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Labels<'a>(Vec<(&'a str, Cow<'a, str>)>);

/// Which metric names are wanted. Built once, used for every page.
#[derive(Clone, Debug)]
pub struct Selector {
    /// Wanted names, shortest first.
    names: Box<[Box<str>]>,
    /// `names[starts[n]..starts[n + 1]]` are those of `n` bytes: most lines of a page are passed over by the
    /// length of their name alone.
    starts: Box<[usize]>,
}

// === impl Labels ===

impl Labels<'_> {
    /// The value of a label. An absent label and an empty value mean the same in this format: `None` is absent.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| *key == name).map(|(_, value)| &**value)
    }

    /// All of them, in order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (*key, &**value))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the series has no label.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

// === impl Selector ===

impl Selector {
    /// Wants the lines of these metrics.
    pub fn new<N: Into<Box<str>>>(names: impl IntoIterator<Item = N>) -> Self {
        let mut names: Vec<Box<str>> = names.into_iter().map(Into::into).collect();
        names.sort_unstable_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
        names.dedup();
        let longest = names.last().map_or(0, |name| name.len());
        let starts = (0..=longest + 1).map(|len| names.partition_point(|name| name.len() < len)).collect();
        Self { names: names.into(), starts }
    }

    /// Whether this name is wanted.
    #[must_use]
    pub fn wants(&self, name: &[u8]) -> bool {
        let (Some(&from), Some(&to)) = (self.starts.get(name.len()), self.starts.get(name.len() + 1)) else {
            return false;
        };
        self.names[from..to].iter().any(|wanted| wanted.as_bytes() == name)
    }

    /// The wanted samples of a page, in its order.
    ///
    /// `keep` is asked for each line with a wanted name, before the slow part: it says whether these labels
    /// are wanted too. What it refuses cannot make the page fail. It may note what it saw.
    ///
    /// # Errors
    /// The page is no exposition text or ends in the middle of a line; or a wanted line is malformed, is lost or
    /// changed by the parsing crate, or comes twice.
    pub fn samples<'a>(
        &self,
        page: &'a [u8],
        mut keep: impl FnMut(&str, &Labels<'_>) -> bool,
    ) -> Result<Vec<Sample<'a>>, ExpositionError> {
        check_body(page)?;
        let mut selected = Vec::with_capacity(64);
        let mut labels = Labels::default();
        let mut begin = 0;
        let mut proven = false;
        for (index, end) in memchr_iter(b'\n', page).enumerate() {
            let number = index + 1;
            let text = line::trim(&page[begin..end]);
            begin = end + 1;
            if text.first().is_none_or(|first| *first == b'#') {
                continue;
            }
            if !proven {
                // Any text would pass a search for some names; one good line shows that this is our format.
                line::prove(text, number)?;
                proven = true;
            }
            let name_end = memchr3(b'{', b' ', b'\t', text).unwrap_or(text.len());
            if !self.wants(&text[..name_end]) {
                self.refuse_quoted_name(text, number)?;
                continue;
            }
            let text = line::utf8(text, number)?;
            let scanned = line::scan(text, name_end, &mut labels).map_err(|flaw| {
                ExpositionError::Malformed { line: number, name: text[..name_end].into(), flaw }
            })?;
            if !keep(scanned.name, &labels) {
                continue;
            }
            if selected.len() == MAX_SAMPLES {
                return Err(ExpositionError::TooManySamples);
            }
            let labels = std::mem::take(&mut labels);
            selected.push(guard::Selected { number, text, name: scanned.name, labels, value: scanned.value });
        }
        guard::confirm(selected)
    }

    /// `{"name",label="value"} 1` is the newer way to write a name. No exporter writes a classic name so, but if
    /// one did, its line must not vanish.
    fn refuse_quoted_name(&self, text: &[u8], number: usize) -> Result<(), ExpositionError> {
        let Some(rest) = text.strip_prefix(b"{").map(line::trim) else { return Ok(()) };
        let Some(rest) = rest.strip_prefix(b"\"") else { return Ok(()) };
        let name = &rest[..memchr(b'"', rest).unwrap_or(rest.len())];
        if !self.wants(name) {
            return Ok(());
        }
        let series = String::from_utf8_lossy(name).into();
        Err(ExpositionError::Unrepresentable { line: number, series, loss: "the name is quoted".into() })
    }
}

/// Refuses bodies that are something else, by name.
fn check_body(page: &[u8]) -> Result<(), ExpositionError> {
    let start = page.trim_ascii_start();
    if start.first() == Some(&b'<') {
        return Err(ExpositionError::Html);
    }
    if is_json(start) {
        return Err(ExpositionError::Json);
    }
    if memchr(0, page).is_some() {
        return Err(ExpositionError::Binary);
    }
    match page.last() {
        None | Some(b'\n') => Ok(()),
        Some(_) => Err(ExpositionError::Truncated),
    }
}

/// Whether a body begins like JSON. `{"name"` may begin an exposition line too; a colon after it may not.
fn is_json(start: &[u8]) -> bool {
    match start {
        [b'[', ..] => true,
        [b'{', rest @ ..] => {
            let rest = rest.trim_ascii_start();
            match rest.strip_prefix(b"\"") {
                None => rest.first().is_none_or(|next| *next == b'}'),
                Some(key) => memchr(b'"', key)
                    .is_some_and(|end| key[end + 1..].trim_ascii_start().first() == Some(&b':')),
            }
        }
        _ => false,
    }
}
