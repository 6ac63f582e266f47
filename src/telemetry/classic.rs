//! `OpenMetrics` text rewritten as the classic Prometheus text format.
//!
//! `prometheus-client` writes `OpenMetrics` only; `promtool check metrics` and older scrapers read the classic form.
//! The two differ in what we use by three things: a counter's family is named with its `_total`, there is no
//! `# UNIT`, and no `# EOF`.

/// Rewrites a page of ours. Not a converter for just any page: we write no exemplars and no `info` families.
pub(super) fn from_open_metrics(page: &str) -> String {
    let mut classic = String::with_capacity(page.len() + page.len() / 8);
    let mut help = None;
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            // Whether the family is a counter is only said on the next line.
            help = rest.split_once(' ').map(|(_, text)| text);
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            let suffix = if kind == "counter" { "_total" } else { "" };
            let text = help.take().unwrap_or_default();
            classic.extend(["# HELP ", name, suffix, " ", text, "\n"]);
            classic.extend(["# TYPE ", name, suffix, " ", kind, "\n"]);
        } else if !line.starts_with('#') {
            classic.extend([line, "\n"]);
        }
    }
    classic
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_carry_their_suffix_in_the_family_name() {
        let page = "# HELP a_b Help.\n# TYPE a_b counter\na_b_total{x=\"# y\"} 1\n\
                    # HELP c_seconds Help of c.\n# TYPE c_seconds gauge\n# UNIT c_seconds seconds\nc_seconds 2\n# EOF\n";
        assert_eq!(
            from_open_metrics(page),
            "# HELP a_b_total Help.\n# TYPE a_b_total counter\na_b_total{x=\"# y\"} 1\n\
             # HELP c_seconds Help of c.\n# TYPE c_seconds gauge\nc_seconds 2\n"
        );
    }
}
