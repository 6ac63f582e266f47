//! Tests of what a browser is shown.

use super::*;

fn wants(accept: &str) -> bool {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, accept.parse().unwrap());
    wants_html(&headers)
}

#[test]
fn only_who_prefers_html_gets_it() {
    assert!(wants("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"));
    assert!(wants("text/html"));
    assert!(wants("application/json;q=0.5, text/html"));
    for accept in
        ["*/*", "application/json", "application/json, text/html;q=0.9", "text/html;q=0, */*", "text/plain"]
    {
        assert!(!wants(accept), "{accept}");
    }
    assert!(!wants_html(&HeaderMap::new()));
}
