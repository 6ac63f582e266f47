//! Tests of what a drain may say and who may say it.

use super::*;

#[track_caller]
fn refused(body: &str, name: &str, reason: &str) {
    let problem = Order::read(serde_json::from_str(body).unwrap()).unwrap_err();
    let shown = format!("{problem:?}");
    assert_eq!(problem.slug(), Slug::InvalidParameter);
    assert!(shown.contains(&format!("name: {name:?}")) && shown.contains(reason), "{body}: {shown}");
}

#[track_caller]
fn read(body: &str, reason: Option<&str>, ttl_s: Option<u32>) {
    let order = Order::read(serde_json::from_str(body).unwrap()).unwrap();
    assert_eq!(order, Order { reason: reason.map(str::to_owned), ttl_s, evict_per_minute: None }, "{body}");
}

#[test]
fn reason_and_end_may_be_given_or_not() {
    read("{}", None, None);
    read(r#"{"reason": "kernel update", "ttl_s": 3600}"#, Some("kernel update"), Some(3_600));
    read(r#"{"reason": "", "ttl_s": 1}"#, None, Some(1));
    read(r#"{"reason": null, "ttl_s": 2592000}"#, None, Some(2_592_000));
    let longest = "换".repeat(200);
    read(&format!(r#"{{"reason": "{longest}"}}"#), Some(&longest), None);
}

#[test]
fn every_wrong_member_is_named() {
    refused(&format!(r#"{{"reason": "{}"}}"#, "a".repeat(201)), "reason", "at most 200");
    refused(r#"{"reason": "two\nlines"}"#, "reason", "control characters");
    refused(r#"{"reason": 7}"#, "reason", "a string");
    for ttl in ["0", "-1", "1.5", "2592001", "\"3600\"", "99999999999", "[]"] {
        refused(&format!(r#"{{"ttl_s": {ttl}}}"#), "ttl_s", "whole number");
    }
    refused(r#"{"ttl": 3600}"#, "body", "ttl");
    refused(r#"{"reason": 7, "ttl_s": 0}"#, "ttl_s", "whole number");
    refused(r#"{"reason": 7, "ttl_s": 0}"#, "reason", "a string");
}

#[test]
fn only_pages_of_this_host_may_ask() {
    let allowed = |host: &str, origins: &[&str]| {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        for origin in origins {
            headers.append(ORIGIN, origin.parse().unwrap());
        }
        same_origin(&Uri::from_static("/nodes/sh-1/drain"), &headers).is_ok()
    };
    assert!(allowed("127.0.0.1:8081", &[]), "a program");
    assert!(allowed("127.0.0.1:8081", &["http://127.0.0.1:8081"]));
    assert!(allowed("Ops.example.com", &["https://ops.example.com"]));
    for origin in ["null", "http://127.0.0.1:8080", "http://127.0.0.1", "https://evil.example", "", "file://"]
    {
        assert!(!allowed("127.0.0.1:8081", &[origin]), "{origin}");
    }
    assert!(!allowed("127.0.0.1:8081", &["http://127.0.0.1:8081", "https://evil.example"]));
    let mut headless = HeaderMap::new();
    headless.insert(ORIGIN, "http://127.0.0.1:8081".parse().unwrap());
    assert!(same_origin(&Uri::from_static("/"), &headless).is_err());
    assert!(same_origin(&Uri::from_static("http://127.0.0.1:8081/"), &headless).is_ok());
}

#[test]
fn json_is_known_by_its_name() {
    for ours in ["application/json", "Application/JSON; charset=utf-8", "application/json ;x"] {
        assert!(is_json(ours), "{ours}");
    }
    for other in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""] {
        assert!(!is_json(other), "{other}");
    }
}

fn is_json(content_type: &str) -> bool {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, content_type.parse().unwrap());
    has_media_type(&headers, "application/json")
}
