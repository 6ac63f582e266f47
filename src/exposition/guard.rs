//! The loss guard: hands the selected lines to `prometheus-parse` and checks that each came back whole.

use std::cmp::Ordering;

use prometheus_parse as crate_parser;

use super::{ExpositionError, Labels, Sample};

/// Longest piece of a foreign page in one message, bytes.
const EXCERPT: usize = 160;

/// A wanted line and what our own scanner read in it.
#[derive(Debug)]
pub(super) struct Selected<'a> {
    /// Line number, from 1.
    pub(super) number: usize,
    /// The line, trimmed.
    pub(super) text: &'a str,
    /// Metric name.
    pub(super) name: &'a str,
    /// Labels, in order of their names, unescaped.
    pub(super) labels: Labels<'a>,
    /// Value.
    pub(super) value: f64,
}

/// Turns selected lines into samples, one for each, or says which line was lost, changed or doubled.
pub(super) fn confirm(selected: Vec<Selected<'_>>) -> Result<Vec<Sample<'_>>, ExpositionError> {
    // Without type lines every line is one untyped sample and the order is kept, so the two lists run in step; a
    // line that the crate drops shows as a difference at its own place.
    let mut parsed = parse(selected.iter().map(|line| line.text)).into_iter();
    let mut values = Vec::with_capacity(selected.len());
    for line in &selected {
        let value = parsed.next().and_then(|sample| verify(line, &sample).ok());
        values.push(value.ok_or_else(|| unrepresentable(line))?);
    }
    refuse_doubles(&selected)?;
    let samples = selected.into_iter().zip(values);
    Ok(samples.map(|(line, value)| Sample { name: line.name, labels: line.labels, value }).collect())
}

/// What the crate makes of some lines.
fn parse<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<crate_parser::Sample> {
    // The time given here only fills in for absent timestamps, which we do not read: 1970 keeps this room free of
    // clocks. Lines come from memory, so there is no error of reading.
    crate_parser::Scrape::parse_at(lines.map(|line| Ok(line.to_owned())), Default::default())
        .map_or_else(|_| Vec::new(), |scrape| scrape.samples)
}

/// The value that the crate read, or what differs between the line and the crate's sample of it.
fn verify(line: &Selected<'_>, sample: &crate_parser::Sample) -> Result<f64, String> {
    if sample.metric != line.name {
        return Err("its name was changed".into());
    }
    for (name, value) in line.labels.iter() {
        if sample.labels.get(name) != Some(value) {
            return Err(format!("label {name}=\"{}\" was lost or changed", value.escape_debug()));
        }
    }
    if sample.labels.len() != line.labels.len() {
        return Err("a label was added".into());
    }
    let value = match sample.value {
        crate_parser::Value::Untyped(value)
        | crate_parser::Value::Counter(value)
        | crate_parser::Value::Gauge(value) => value,
        crate_parser::Value::Histogram(_) | crate_parser::Value::Summary(_) => {
            return Err("its type was changed".into());
        }
    };
    let same = value.to_bits() == line.value.to_bits() || (value.is_nan() && line.value.is_nan());
    if same { Ok(value) } else { Err("its value was changed".into()) }
}

/// The error for a line, explained by the crate's reading of that line alone.
fn unrepresentable(line: &Selected<'_>) -> ExpositionError {
    let loss = match parse(std::iter::once(line.text)).as_slice() {
        [sample] => verify(line, sample).err().unwrap_or_else(|| "lines were mixed up".into()),
        _ => "the line was dropped".into(),
    };
    ExpositionError::Unrepresentable { line: line.number, series: series(line), loss: shorten(loss) }
}

/// Refuses a series that comes twice.
fn refuse_doubles(selected: &[Selected<'_>]) -> Result<(), ExpositionError> {
    let order = |a: &Selected<'_>, b: &Selected<'_>| a.name.cmp(b.name).then_with(|| a.labels.cmp(&b.labels));
    // Exporters write their series in order, so this one pass is nearly always enough.
    if selected.windows(2).all(|pair| order(&pair[0], &pair[1]) == Ordering::Less) {
        return Ok(());
    }
    let mut sorted: Vec<&Selected<'_>> = selected.iter().collect();
    sorted.sort_by(|a, b| order(a, b));
    match sorted.windows(2).find(|pair| order(pair[0], pair[1]) == Ordering::Equal) {
        Some(pair) => Err(ExpositionError::Duplicate { line: pair[1].number, series: series(pair[1]) }),
        None => Ok(()),
    }
}

/// Name and labels for a message.
fn series(line: &Selected<'_>) -> Box<str> {
    let labels: Vec<String> =
        line.labels.iter().map(|(name, value)| format!("{name}=\"{}\"", value.escape_debug())).collect();
    if labels.is_empty() {
        line.name.into()
    } else {
        shorten(format!("{}{{{}}}", line.name, labels.join(",")))
    }
}

/// Cuts a text that comes from a foreign page to what fits a log line.
fn shorten(mut text: String) -> Box<str> {
    if text.len() > EXCERPT {
        text.truncate(text.floor_char_boundary(EXCERPT));
        text.push('…');
    }
    text.into()
}
