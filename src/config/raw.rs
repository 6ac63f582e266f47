//! The file as TOML left it, read key by key so that one run finds every mistake.
//!
//! serde stops at the first unknown key or wrong type. Here the file is parsed to a tree in which every key and
//! value knows its place ([`toml::de::DeTable`]); a [`Section`] is one table of it and hands out values through
//! small readers. What cannot be read goes to the [`Report`] and reading goes on; when a section is done, the keys
//! that nobody asked for are unknown.
//!
//! A reader never guesses: it returns a value, or says in words what it expected.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::report::{Report, Span, quoted};
use super::suggest::nearest;
use super::units::either;

/// One table of the file while it is being read.
#[derive(Debug)]
pub(super) struct Section<'a> {
    report: &'a Report,
    /// `None`: the file does not have this table, so every key is absent.
    table: Option<&'a DeTable<'a>>,
    /// Its header or, inline, all of it; `None` for the whole file and for an absent table.
    span: Option<Span>,
    /// How messages call it: `[scrape]`.
    title: String,
    /// The keys asked for so far: those that exist.
    known: Vec<&'static str>,
    /// Required keys that are not there.
    missing: Vec<&'static str>,
}

// === impl Section ===

impl<'a> Section<'a> {
    /// Reads a whole file with `read`.
    pub(super) fn file<T>(
        table: &'a DeTable<'a>,
        report: &'a Report,
        read: impl FnOnce(&mut Self) -> T,
    ) -> T {
        Self::new(Some(table), None, "the file".to_owned(), report).run(read)
    }

    fn new(table: Option<&'a DeTable<'a>>, span: Option<Span>, title: String, report: &'a Report) -> Self {
        Self { report, table, span, title, known: Vec::new(), missing: Vec::new() }
    }

    fn run<T>(mut self, read: impl FnOnce(&mut Self) -> T) -> T {
        let value = read(&mut self);
        self.finish();
        value
    }

    /// Where mistakes go.
    pub(super) fn report(&self) -> &'a Report {
        self.report
    }

    /// A mistake of this section as a whole.
    pub(super) fn error(&self, message: impl Into<String>) {
        match &self.span {
            Some(span) => self.report.error(span, message),
            None => self.report.error_of_the_file(message),
        }
    }

    /// The value of `key` through `reader`; `None` if absent or unreadable (and then reported).
    pub(super) fn get<T>(
        &mut self,
        key: &'static str,
        reader: impl FnOnce(&'a DeValue<'a>) -> Result<T, String>,
    ) -> Option<Spanned<T>> {
        let value = self.value(key)?;
        read_item(self.report, key, value, reader)
    }

    /// The same for a key that has to be there.
    pub(super) fn require<T>(
        &mut self,
        key: &'static str,
        reader: impl FnOnce(&'a DeValue<'a>) -> Result<T, String>,
    ) -> Option<Spanned<T>> {
        self.demand(key);
        self.get(key, reader)
    }

    /// The same where only the value matters and absence means `default`.
    pub(super) fn get_or<T>(
        &mut self,
        key: &'static str,
        default: T,
        reader: impl FnOnce(&'a DeValue<'a>) -> Result<T, String>,
    ) -> T {
        self.get(key, reader).map_or(default, Spanned::into_inner)
    }

    /// The readable elements of the array at `key`; `None` if it is absent or no array.
    pub(super) fn list<T>(
        &mut self,
        key: &'static str,
        mut reader: impl FnMut(&'a DeValue<'a>) -> Result<T, String>,
    ) -> Option<Spanned<Vec<Spanned<T>>>> {
        let value = self.value(key)?;
        let Some(items) = value.get_ref().as_array() else {
            self.report.error(
                &value.span(),
                format!("{key}: expected an array, found {}", type_of(value.get_ref())),
            );
            return None;
        };
        let read = items.iter().filter_map(|item| read_item(self.report, key, item, &mut reader)).collect();
        Some(Spanned::new(value.span(), read))
    }

    /// Reads the table at `key`, which counts as empty when absent.
    pub(super) fn table<T>(&mut self, key: &'static str, read: impl FnOnce(&mut Self) -> T) -> T {
        let value = self.value(key).and_then(|value| self.as_table(key, value));
        let (table, span) = value.map_or((None, None), |(table, span)| (Some(table), Some(span)));
        Section::new(table, span, format!("[{key}]"), self.report).run(read)
    }

    /// Reads the table at `key` if there is one.
    pub(super) fn table_if_any<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Self) -> T,
    ) -> Option<Spanned<T>> {
        let value = self.value(key)?;
        let (table, span) = self.as_table(key, value)?;
        let section = Section::new(Some(table), Some(span.clone()), format!("`{key}`"), self.report);
        Some(Spanned::new(span, section.run(read)))
    }

    /// Reads every `[[key]]` with `read`; `None` if the file has not even a wrong one.
    pub(super) fn tables<T>(
        &mut self,
        key: &'static str,
        mut read: impl FnMut(&mut Self) -> T,
    ) -> Option<Vec<T>> {
        let value = self.value(key)?;
        let Some(items) = value.get_ref().as_array() else {
            let found = type_of(value.get_ref());
            self.report.error(
                &value.span(),
                format!("{key}: expected [[{key}]], an array of tables, found {found}"),
            );
            return Some(Vec::new());
        };
        let report = self.report;
        let tables = items.iter().filter_map(|item| self.as_table(key, item));
        let section = |(table, span)| Section::new(Some(table), Some(span), format!("[[{key}]]"), report);
        Some(tables.map(|found| section(found).run(&mut read)).collect())
    }

    /// Whether the file has `key`, readable or not.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.get(key).is_some())
    }

    /// Whether one of the tables at `key` has `inner`, readable or not.
    pub(super) fn some_table_has(&self, key: &str, inner: &str) -> bool {
        let tables = self.table.and_then(|table| table.get(key)?.get_ref().as_array());
        let mut tables = tables.into_iter().flat_map(|tables| tables.iter());
        tables.any(|table| table.get_ref().as_table().is_some_and(|table| table.get(inner).is_some()))
    }

    /// Says that `key` has to be there, and not as an empty array.
    pub(super) fn demand(&mut self, key: &'static str) {
        match self.table.and_then(|table| table.get(key)) {
            None => self.missing.push(key),
            Some(value) if value.get_ref().as_array().is_some_and(|array| array.is_empty()) => {
                self.report.error(&value.span(), format!("{key}: expected at least one"));
            }
            Some(_) => {}
        }
    }

    fn value(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.known.push(key);
        self.table?.get(key)
    }

    fn as_table(&self, key: &str, value: &'a Spanned<DeValue<'a>>) -> Option<(&'a DeTable<'a>, Span)> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.report
                .error(&value.span(), format!("{key}: expected a table, found {}", type_of(value.get_ref())));
        }
        table.map(|table| (table, value.span()))
    }

    /// Reports unknown and missing keys. A required key that was only mistyped is one mistake, not two.
    fn finish(mut self) {
        for (key, _) in self.table.into_iter().flat_map(|table| table.iter()) {
            if self.known.contains(&key.get_ref().as_ref()) {
                continue;
            }
            let meant = nearest(key.get_ref(), self.known.iter().copied());
            self.missing.retain(|missing| Some(*missing) != meant);
            let name = quoted(key.get_ref());
            let hint = meant.map_or_else(
                || format!("it has {}", either(self.known.iter().map(|key| (*key).to_owned()))),
                |meant| format!("did you mean `{meant}`?"),
            );
            self.report.error(&key.span(), format!("unknown key {name} in {}; {hint}", self.title));
        }
        for missing in &self.missing {
            match &self.span {
                Some(span) => self.report.error(span, format!("missing key `{missing}` in {}", self.title)),
                None => {
                    self.report.error_of_the_file(format!("missing [[{missing}]]: at least one is needed"));
                }
            }
        }
    }
}

fn read_item<'a, T>(
    report: &Report,
    key: &str,
    value: &'a Spanned<DeValue<'a>>,
    reader: impl FnOnce(&'a DeValue<'a>) -> Result<T, String>,
) -> Option<Spanned<T>> {
    match reader(value.get_ref()) {
        Ok(read) => Some(Spanned::new(value.span(), read)),
        Err(why) => {
            report.error(&value.span(), format!("{key}: {why}"));
            None
        }
    }
}

/// "a string", for "expected …, found …".
pub(super) fn type_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}
