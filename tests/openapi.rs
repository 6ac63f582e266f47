//! `openapi.yaml` is the contract: what it promises is served, what is served is promised.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use nearcast::geo::Precision;
use nearcast::http::problem::Slug;
use nearcast::http::{ROUTES, Side};
use nearcast::resolver::{BitrateFrom, MOST_FAILED, MOST_PICKS, MOST_TIMES, Reason, Why};
use nearcast::schedule::health::NodeState;
use nearcast::schedule::load::Resource;
use nearcast::schedule::node::Role;
use nearcast::schedule::policy::PolicyKind;
use nearcast::schedule::pressure::CapacitySource;
use nearcast::schedule::reading::ProbeFailure;
use serde_json::{Value, json};

const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

fn contract() -> Value {
    serde_saphyr::from_str(include_str!("../openapi.yaml")).expect("openapi.yaml is not YAML")
}

/// The value behind a local `$ref`, or the value itself.
fn resolved<'a>(contract: &'a Value, value: &'a Value) -> &'a Value {
    match value.get("$ref").and_then(Value::as_str) {
        Some(reference) => {
            let pointer = reference.strip_prefix('#').expect("only local references are used");
            let target = contract.pointer(pointer).unwrap_or_else(|| panic!("{reference} leads nowhere"));
            resolved(contract, target)
        }
        None => value,
    }
}

fn operations(contract: &Value) -> impl Iterator<Item = (String, &str, &Value)> {
    let paths = contract["paths"].as_object().expect("paths");
    paths.iter().flat_map(|(path, item)| {
        let methods = METHODS.iter().filter_map(|method| Some((method, item.get(method)?)));
        methods.map(move |(method, operation)| (method.to_uppercase(), path.as_str(), operation))
    })
}

/// Calls `see` on every value of a document.
fn walk<'a>(value: &'a Value, see: &mut impl FnMut(&'a Value)) {
    see(value);
    match value {
        Value::Array(items) => items.iter().for_each(|item| walk(item, see)),
        Value::Object(members) => members.values().for_each(|member| walk(member, see)),
        _ => {}
    }
}

#[test]
fn every_route_is_promised_and_every_promise_is_routed() {
    let contract = contract();
    // GET answers HEAD too; the contract says so once for all and spells it out where it matters.
    let promised: BTreeSet<(String, &str)> = operations(&contract)
        .filter(|(method, ..)| method != "HEAD")
        .map(|(method, path, _)| (method, path))
        .collect();
    let routed: BTreeSet<(String, &str)> =
        ROUTES.iter().map(|route| (route.method.to_owned(), route.path)).collect();
    assert_eq!(promised, routed);
    for (method, path, _) in operations(&contract) {
        assert!(method != "HEAD" || routed.contains(&("GET".to_owned(), path)), "HEAD {path} without GET");
    }
}

#[test]
fn every_route_is_promised_on_the_side_that_serves_it() {
    let contract = contract();
    let mut sides: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for route in ROUTES {
        let port = match route.side {
            Side::Player => "http://127.0.0.1:8080",
            Side::Ops => "http://127.0.0.1:8081",
        };
        sides.entry(route.path).or_default().insert(port);
    }
    for (path, item) in contract["paths"].as_object().expect("paths") {
        let servers = item.get("servers").unwrap_or(&contract["servers"]).as_array().expect("servers");
        let promised: BTreeSet<&str> =
            servers.iter().map(|server| server["url"].as_str().expect("url")).collect();
        assert_eq!(Some(&promised), sides.get(path.as_str()), "{path}");
    }
}

/// Closed sets: what the contract lists is what the code can say, in the same order.
#[test]
fn every_closed_set_is_promised_whole_and_nothing_else() {
    let contract = contract();
    let failures = [
        ProbeFailure::Timeout(0),
        ProbeFailure::Connect(String::new()),
        ProbeFailure::NotAllowed(std::net::Ipv4Addr::LOCALHOST.into()),
        ProbeFailure::Http(String::new()),
        ProbeFailure::TooLarge(0),
        ProbeFailure::Parse(String::new()),
        ProbeFailure::MissingMetric(String::new()),
    ];
    let precisions =
        [Precision::Override, Precision::City, Precision::Country, Precision::Default, Precision::Unknown];
    let sources = [CapacitySource::Configured, CapacitySource::Link, CapacitySource::Assumed];
    let roles = [Role::Edge, Role::Origin, Role::Rtc, Role::Turn];
    for (place, said) in [
        ("Problem/properties/code", Slug::ALL.map(Slug::as_str).to_vec()),
        ("Reason", Reason::ALL.map(Reason::as_str).to_vec()),
        ("NodeState", NodeState::ALL.map(NodeState::as_str).to_vec()),
        // A PoP's uplink is no resource of a node, but shown among them.
        ("Resource", Resource::ALL.map(Resource::as_str).into_iter().chain(["pop_uplink"]).collect()),
        ("Policy", PolicyKind::ALL.map(PolicyKind::as_str).to_vec()),
        ("Precision", precisions.map(Precision::as_str).to_vec()),
        ("Node/properties/role", roles.map(Role::as_str).to_vec()),
        ("Node/properties/capacity_source", sources.map(CapacitySource::as_str).to_vec()),
        ("Target/properties/error_label", failures.iter().map(ProbeFailure::label).collect()),
    ] {
        let promised = contract.pointer(&format!("/components/schemas/{place}/enum"));
        let promised =
            promised.and_then(Value::as_array).unwrap_or_else(|| panic!("{place} is no closed set"));
        // Null stands beside the words where there may be nothing to say.
        let promised: Vec<&str> = promised.iter().filter_map(Value::as_str).collect();
        assert_eq!(promised, said, "{place}");
    }
}

#[test]
fn limits_are_those_of_the_code() {
    let contract = contract();
    let parameter = |name: &str| &contract["components"]["parameters"][name]["schema"];
    assert_eq!(parameter("Count")["maximum"], MOST_PICKS);
    assert_eq!(parameter("Failed")["maxItems"], MOST_FAILED);
    assert_eq!(parameter("Why")["enum"], json!(Why::ALL.map(Why::as_str)));
    let schemas = &contract["components"]["schemas"];
    let from = json!(BitrateFrom::ALL.map(BitrateFrom::as_str));
    assert_eq!(schemas["Explanation"]["properties"]["bitrate_from"]["enum"], from);
    assert_eq!(schemas["Resolution"]["properties"]["nodes"]["maxItems"], MOST_PICKS);
    assert_eq!(schemas["Candidate"]["properties"]["rank"]["maximum"], MOST_PICKS);
    assert_eq!(schemas["RttReport"]["properties"]["rtt_ms"]["maxProperties"], MOST_TIMES);
    assert_eq!(schemas["Node"]["properties"]["resources"]["maxItems"], Resource::ALL.len());
}

/// What is not listed is not sent, and what is sent is listed: no object is left open by forgetting to close it.
#[test]
fn every_object_is_closed_or_open_on_purpose() {
    let contract = contract();
    walk(&contract["components"]["schemas"], &mut |value| {
        if value["type"] == "object" {
            assert!(value.get("additionalProperties").is_some(), "neither open nor closed: {value:#}");
        }
    });
    for name in ["Node", "ResourceLoad", "Target", "Explanation", "Candidate", "GeoDetail", "DatabaseAnswer"]
    {
        let schema = &contract["components"]["schemas"][name];
        assert_eq!(schema["additionalProperties"], json!(false), "{name}");
        for (member, promise) in schema["properties"].as_object().expect("properties") {
            let told = promise.get("description").is_some() || promise.get("$ref").is_some();
            assert!(told, "{name}.{member} is not described");
        }
    }
}

#[test]
fn every_body_has_an_example() {
    let contract = contract();
    let mut bodies = 0;
    for (method, path, operation) in operations(&contract) {
        for (status, response) in operation["responses"].as_object().expect("responses") {
            for (media_type, body) in
                resolved(&contract, response)["content"].as_object().into_iter().flatten()
            {
                let has = body.get("example").is_some() || body.get("examples").is_some();
                assert!(has, "{method} {path} {status} {media_type}");
                bodies += 1;
            }
        }
    }
    assert!(bodies > 30, "{bodies}");
}

#[test]
fn every_component_is_used() {
    let contract = contract();
    let mut used = BTreeSet::new();
    walk(&contract, &mut |value| {
        used.extend(value.get("$ref").and_then(Value::as_str).map(str::to_owned));
        // Schemes are named where they are asked for, not referred to.
        let schemes = value.get("security").and_then(Value::as_array).into_iter().flatten();
        let names = schemes.filter_map(Value::as_object).flat_map(|scheme| scheme.keys());
        used.extend(names.map(|name| format!("#/components/securitySchemes/{name}")));
    });
    for (kind, components) in contract["components"].as_object().expect("components") {
        for name in components.as_object().expect("components").keys() {
            let reference = format!("#/components/{kind}/{name}");
            assert!(used.contains(reference.as_str()), "{reference}");
        }
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let contract = contract();
    walk(&contract, &mut |value| {
        resolved(&contract, value);
    });
}

#[test]
fn every_operation_has_a_name_of_its_own_a_summary_and_parameters_with_examples() {
    let contract = contract();
    let mut names = BTreeSet::new();
    for (method, path, operation) in operations(&contract) {
        let name = operation["operationId"].as_str().expect("operationId");
        assert!(names.insert(name.to_owned()), "{name} twice");
        assert!(operation["summary"].is_string(), "{method} {path}");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let parameter = resolved(&contract, parameter);
            for needed in ["name", "in", "description", "schema", "example"] {
                assert!(parameter.get(needed).is_some(), "{method} {path}: {parameter} has no {needed}");
            }
        }
        for (status, response) in operation["responses"].as_object().expect("responses") {
            let response = resolved(&contract, response);
            assert!(response["description"].is_string(), "{method} {path} {status}");
        }
    }
}

/// Problem examples are what the code would say, not what somebody remembered.
#[test]
fn problem_examples_say_what_the_code_says() {
    let contract = contract();
    let mut seen = 0;
    walk(&contract, &mut |value| {
        let Some(code) = value.get("code").and_then(Value::as_str) else { return };
        // Other services' dialects have codes of their own, and a `message`.
        if value.get("message").is_some() {
            return;
        }
        let slug = Slug::ALL.into_iter().find(|slug| slug.as_str() == code).expect("a known code");
        assert_eq!(value["type"], format!("urn:nearcast:problem:{code}"));
        assert_eq!(value["title"], slug.title(), "{code}");
        assert_eq!(value["status"], slug.status().as_u16(), "{code}");
        seen += 1;
    });
    assert!(seen > 5);
}

#[test]
fn the_contract_is_of_this_version() {
    assert_eq!(contract()["info"]["version"], env!("CARGO_PKG_VERSION"));
}
