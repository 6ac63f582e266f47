//! Every request that `openapi.yaml` gives as an example is asked, and the answer held against its schema.

use std::collections::BTreeSet;
use std::sync::Arc;

use http::Request;
use http_body_util::Full;
use serde_json::Value;

use super::schema::{fits, resolved};
use super::{Answer, PROXY, by_router, front, front_of, request};
use crate::config::Streams;
use crate::http::srs::caller::{CallerToken, Callers};
use crate::http::{Front, ROUTES, Side};
use crate::resolver::Resolver;

pub(super) fn contract() -> Value {
    serde_saphyr::from_str(include_str!("../../../openapi.yaml")).unwrap()
}

/// An example in the form in which it stands in a URI.
fn written(example: &Value) -> String {
    match example {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(written).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

/// The path of an operation with its example parameters: the required ones only, then one more at a time.
fn examples(contract: &Value, path: &str, operation: &Value) -> Vec<String> {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let mut path = path.to_owned();
    let (mut required, mut optional) = (Vec::new(), Vec::new());
    for parameter in parameters.map(|parameter| resolved(contract, parameter)) {
        let (name, example) = (parameter["name"].as_str().unwrap(), written(&parameter["example"]));
        match (parameter["in"].as_str().unwrap(), parameter["required"] == true) {
            ("path", _) => path = path.replace(&format!("{{{name}}}"), &example),
            (_, true) => required.push(format!("{name}={example}")),
            (_, false) => optional.push(format!("{name}={example}")),
        }
    }
    let target = |more: &[String]| format!("{path}?{}", [&required[..], more].concat().join("&"));
    let mut targets = vec![target(&[]), target(&optional)];
    targets.extend(optional.iter().map(|one| target(std::slice::from_ref(one))));
    targets
}

/// Holds an answer against what the contract promises for its status, headers and body.
#[track_caller]
pub(super) fn keeps_the_contract(contract: &Value, responses: &Value, answer: &Answer, asked: &str) {
    let response = responses.get(answer.status.as_str());
    let response = resolved(contract, response.unwrap_or_else(|| panic!("{asked}: {answer:?}")));
    for (name, header) in response["headers"].as_object().into_iter().flatten() {
        let value = answer.header(name);
        if value.is_empty() && name.starts_with("X-") {
            continue;
        }
        let schema = &resolved(contract, header)["schema"];
        let value = value.parse::<u32>().map_or_else(|_| value.into(), Value::from);
        assert_eq!(fits(contract, schema, &read_as(schema, value), name), Ok(()), "{asked}");
    }
    let Some(content) = response["content"].as_object() else { return };
    let media_type = answer.header("content-type").split(';').next().unwrap();
    let content = content.get(media_type).unwrap_or_else(|| panic!("{asked}: {media_type}"));
    let body = match media_type {
        "application/yaml" => serde_saphyr::from_slice(&answer.body).unwrap(),
        json if json.ends_with("json") => answer.json(),
        _ => String::from_utf8(answer.body.to_vec()).unwrap().into(),
    };
    assert_eq!(fits(contract, &content["schema"], &body, "body"), Ok(()), "{asked}");
}

/// A header that holds digits, as the type that its schema gives it.
fn read_as(schema: &Value, value: Value) -> Value {
    if schema["type"] == "string" && value.is_number() { value.to_string().into() } else { value }
}

async fn asked(contract: &Value, front: &Arc<Front>, side: Side, path: &str, query: &str) -> Answer {
    let target = format!("{path}?{query}");
    let answer = by_router(front, side, PROXY, request("GET", &target)).await;
    let template = if path.starts_with("/nodes/") { "/nodes/{id}" } else { path };
    keeps_the_contract(contract, &contract["paths"][template]["get"]["responses"], &answer, &target);
    answer
}

/// Whoever shows the token of the examples speaks for the edges.
fn callers() -> Callers {
    let token = CallerToken::new(b"0123456789abcdef").unwrap();
    Callers::new(Streams::default(), [(token, "edges".into())]).unwrap()
}

fn measured() -> Arc<Front> {
    front_of(Resolver::for_tests_measured())
}

/// Whether an operation has another answer than a refusal.
fn promises_good(operation: &Value) -> bool {
    operation["responses"].as_object().unwrap().keys().any(|status| status.starts_with(['2', '3']))
}

#[tokio::test]
async fn every_example_of_the_contract_is_answered_as_promised() {
    let contract = contract();
    for fleet in [front, measured] {
        for route in ROUTES {
            let item = &contract["paths"][route.path];
            let methods = if route.method == "GET" { vec!["GET", "HEAD"] } else { vec![route.method] };
            for method in methods {
                let Some(operation) = item.get(method.to_lowercase()) else { continue };
                // What wants a body or one of two parameters, and what has no end, is asked in tests of its own.
                let is_either = method != "OPTIONS" && route.path == "/dns-query";
                let is_stream = operation
                    .pointer("/responses/200/content")
                    .is_some_and(|c| c.get("text/event-stream").is_some());
                if operation.get("requestBody").is_some() || is_stream || is_either {
                    continue;
                }
                for target in examples(&contract, route.path, operation) {
                    let mut request = request(method, &target);
                    request.headers_mut().insert("host", "live.example.com".parse().unwrap());
                    let fleet = fleet();
                    fleet.answer_callers(Some(callers()));
                    let answer = by_router(&fleet, route.side, PROXY, request).await;
                    let is_good = answer.status.is_success() || answer.status.is_redirection();
                    assert_eq!(is_good, promises_good(operation), "{method} {target}: {answer:?}");
                    let asked = format!("{method} {target}");
                    keeps_the_contract(&contract, &operation["responses"], &answer, &asked);
                }
            }
        }
    }
}

#[tokio::test]
async fn a_fleet_in_every_condition_keeps_the_contract() {
    let contract = contract();
    let front = measured();
    let listing = asked(&contract, &front, Side::Ops, "/nodes", "").await.json();
    let nodes = listing["nodes"].as_array().unwrap();
    let seen = |member: &str| nodes.iter().filter_map(|node| node[member].as_str()).collect::<BTreeSet<_>>();
    assert_eq!(
        seen("state").into_iter().collect::<Vec<_>>(),
        ["down", "healthy", "overloaded", "unmeasured"]
    );
    assert_eq!(seen("capacity_source").into_iter().collect::<Vec<_>>(), ["assumed", "configured", "link"]);
    assert_eq!(seen("role").into_iter().collect::<Vec<_>>(), ["edge", "rtc", "turn"]);
    assert!(nodes.iter().any(|node| node["resources"].as_array().unwrap().len() == 7));
    let targets: Vec<&Value> = nodes.iter().flat_map(|node| node["targets"].as_array().unwrap()).collect();
    assert!(targets.iter().any(|target| target["error_label"] == "connect"));
    assert!(targets.iter().any(|target| target["error_label"] == "missing_metric"));
    assert!(targets.iter().any(|target| target["findings"][0].is_string()), "{targets:#?}");
    for node in nodes {
        let path = format!("/nodes/{}", node["id"].as_str().unwrap());
        asked(&contract, &front, Side::Ops, &path, "").await;
    }
    for domain in ["live", "hash", "spare"] {
        for ip in ["198.51.100.23", "192.168.1.1", "8.8.8.8", "2001:db8::1", "2002:5102:45a0::1"] {
            let query = format!("domain={domain}.example.com&ip={ip}&stream=live/one&n=8");
            let explained = asked(&contract, &front, Side::Ops, "/explain", &query).await.json();
            let answer =
                asked(&contract, &front, Side::Player, "/resolve", &format!("{query}&detail=1")).await.json();
            assert_eq!(answer["reason"], explained["reason"], "{query}");
            // Who has no place is spread by chance, and each question throws its own dice.
            if answer["reason"] != "geo_unknown" {
                assert_eq!(answer["nodes"][0]["id"], explained["winner"], "{query}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_known_of_an_address_keeps_the_contract() {
    let contract = contract();
    let front = measured();
    for (ip, precision, member) in [
        ("8.8.8.8", "country", "as_name"),
        ("81.2.69.160", "city", "city"),
        ("2002:5102:45a0::1", "city", "canonical"),
        ("198.51.100.23", "override", "override"),
        ("192.0.2.1", "unknown", "isp"),
        ("192.168.1.1", "unknown", "special"),
        ("114.114.114.114", "country", "country_name"),
        ("2400:3200::1", "city", "latitude"),
        ("::", "unknown", "special"),
    ] {
        let detail = asked(&contract, &front, Side::Ops, "/geo", &format!("ip={ip}")).await.json();
        assert_eq!(detail["precision"], precision, "{detail:#}");
        assert!(!detail[member].is_null(), "{member}: {detail:#}");
    }
}

#[tokio::test]
async fn errors_keep_the_contract_too() {
    let contract = contract();
    let front = measured();
    for (side, path, query, code) in [
        (Side::Player, "/resolve", "", "missing-parameter"),
        (Side::Player, "/resolve", "domain=live.example.com&n=0&type=MX", "invalid-parameter"),
        (Side::Player, "/resolve", "domain=nowhere.example.com", "unknown-domain"),
        (Side::Player, "/resolve", "domain=full.example.com&type=AAAA", "no-address"),
        (Side::Player, "/resolve", "domain=full.example.com", "overloaded"),
        (Side::Player, "/resolve", "domain=full.example.com&failed=203.0.113.50", "no-node-available"),
        (Side::Ops, "/nodes", "pop=", "invalid-parameter"),
        (Side::Ops, "/nodes", "state=ill", "invalid-parameter"),
        (Side::Ops, "/nodes/sh-9", "", "unknown-node"),
        (Side::Ops, "/explain", "domain=nowhere.example.com", "unknown-domain"),
        (Side::Ops, "/explain", "domain=full.example.com", "overloaded"),
        (Side::Ops, "/geo", "ip=here", "invalid-parameter"),
        (Side::Ops, "/readyz", "verbose=maybe", "invalid-parameter"),
    ] {
        let answer = asked(&contract, &front, side, path, query).await;
        assert_eq!(answer.json()["code"], code, "{path}?{query}: {answer:?}");
    }
}

#[tokio::test]
async fn a_replica_that_is_not_ready_keeps_the_contract() {
    let contract = contract();
    let front = front_of(Resolver::for_tests_starting());
    for side in [Side::Player, Side::Ops] {
        let answer = asked(&contract, &front, side, "/readyz", "verbose").await;
        assert_eq!(answer.json()["code"], "not-ready");
    }
    let answer = asked(&contract, &front, Side::Player, "/resolve", "domain=full.example.com").await;
    assert_eq!(answer.json()["reason"], "starting");
}

#[tokio::test]
async fn bodies_are_taken_and_refused_as_promised() {
    let contract = contract();
    let example = contract["paths"]["/nodes/{id}/drain"]["post"]["requestBody"]["content"]["application/json"]
        ["example"]
        .to_string();
    let json = ("content-type", "application/json");
    for (path, id, header, body, status) in [
        ("/nodes/{id}/drain", "sh-1", json, example.as_str(), 200),
        ("/nodes/{id}/drain", "sh-1", json, r#"{"ttl_s": 0, "reason": 7}"#, 400),
        ("/nodes/{id}/drain", "sh-1", ("origin", "https://evil.example"), "", 403),
        ("/nodes/{id}/undrain", "sh-1", ("origin", "null"), "", 403),
        ("/nodes/{id}/drain", "sh-9", json, "{}", 404),
        ("/nodes/{id}/undrain", "sh-9", json, "{}", 404),
        ("/nodes/{id}/drain", "sh-1", ("content-type", "text/plain"), "{}", 415),
        ("/nodes/{id}/undrain", "sh-1", ("content-type", "text/plain"), "{}", 415),
    ] {
        let target = path.replace("{id}", id);
        let mut asked = Request::post(&target).body(Full::from(body.to_owned())).unwrap();
        asked.headers_mut().insert(header.0, header.1.parse().unwrap());
        let answer = by_router(&front(), Side::Ops, PROXY, asked).await;
        assert_eq!(answer.status, status, "{target} {body}");
        keeps_the_contract(&contract, &contract["paths"][path]["post"]["responses"], &answer, &target);
    }
}

/// The examples of bodies in the contract keep its own schemas.
#[test]
fn examples_of_bodies_fit_their_schemas() {
    let contract = contract();
    let mut bodies = Vec::new();
    fn collect<'a>(value: &'a Value, bodies: &mut Vec<(&'a Value, &'a Value)>) {
        if let (Some(schema), Some(example)) = (value.get("schema"), value.get("example")) {
            bodies.push((schema, example));
        }
        if let (Some(schema), Some(examples)) = (value.get("schema"), value["examples"].as_object()) {
            bodies.extend(examples.values().map(|example| (schema, &example["value"])));
        }
        match value {
            Value::Array(items) => items.iter().for_each(|item| collect(item, bodies)),
            Value::Object(members) => members.values().for_each(|member| collect(member, bodies)),
            _ => {}
        }
    }
    collect(&contract, &mut bodies);
    assert!(bodies.len() > 30);
    for (schema, example) in bodies {
        assert_eq!(fits(&contract, schema, example, "example"), Ok(()), "{example}");
    }
}
