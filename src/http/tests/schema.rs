//! JSON Schema, as far as the contract uses it, and strictly: a keyword that is not known here fails the test
//! that meets it, so that nothing the contract says is passed over.

use std::net::{Ipv4Addr, Ipv6Addr};

use regex::Regex;
use serde_json::{Map, Value};

/// Keywords that promise nothing.
const SILENT: &[&str] = &["description", "title", "summary", "default", "example", "examples"];

/// The value behind a local `$ref`, or the value itself.
pub(super) fn resolved<'a>(contract: &'a Value, value: &'a Value) -> &'a Value {
    match value.get("$ref").and_then(Value::as_str) {
        Some(reference) => resolved(contract, contract.pointer(reference.trim_start_matches('#')).unwrap()),
        None => value,
    }
}

/// Why `value` is not what `schema` promises; `at` says where it was found.
pub(super) fn fits(contract: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let schema = schema.as_object().ok_or_else(|| format!("{at}: {schema} is no schema"))?;
    for (keyword, promise) in schema {
        let kept = match keyword.as_str() {
            "$ref" => {
                let reference = promise.as_str().unwrap();
                fits(contract, contract.pointer(reference.trim_start_matches('#')).unwrap(), value, at)?;
                true
            }
            "anyOf" => {
                let mut ways = promise.as_array().unwrap().iter();
                ways.any(|way| fits(contract, way, value, at).is_ok())
            }
            "type" => is_of_type(promise, value),
            "enum" => promise.as_array().unwrap().contains(value),
            "const" => promise == value,
            "minimum" | "maximum" | "exclusiveMinimum" => is_in_range(keyword, promise, value),
            "minLength" | "maxLength" | "pattern" | "format" => is_in_form(keyword, promise, value),
            "items" | "minItems" | "maxItems" => list_fits(contract, keyword, promise, value, at)?,
            "maxProperties" => {
                value.as_object().is_none_or(|members| members.len() as u64 <= promise.as_u64().unwrap())
            }
            "required" | "dependentRequired" | "properties" | "additionalProperties" | "propertyNames" => {
                object_fits(contract, schema, keyword, value, at)?
            }
            silent if SILENT.contains(&silent) => true,
            unknown => return Err(format!("{at}: the keyword {unknown} is not checked here")),
        };
        if !kept {
            return Err(format!("{at}: {value} against {keyword} {promise}"));
        }
    }
    Ok(())
}

fn is_of_type(promise: &Value, value: &Value) -> bool {
    let is = |kind: &Value| match kind.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        _ => false,
    };
    promise.as_array().map_or_else(|| is(promise), |kinds| kinds.iter().any(is))
}

fn is_in_range(keyword: &str, promise: &Value, value: &Value) -> bool {
    let (Some(limit), Some(value)) = (promise.as_f64(), value.as_f64()) else { return true };
    match keyword {
        "minimum" => value >= limit,
        "maximum" => value <= limit,
        _ => value > limit,
    }
}

fn is_in_form(keyword: &str, promise: &Value, value: &Value) -> bool {
    let Some(text) = value.as_str() else { return true };
    let length = text.chars().count() as u64;
    match (keyword, promise.as_str()) {
        ("minLength", _) => length >= promise.as_u64().unwrap(),
        ("maxLength", _) => length <= promise.as_u64().unwrap(),
        ("pattern", Some(pattern)) => Regex::new(pattern).unwrap().is_match(text),
        ("format", Some("ipv4")) => text.parse::<Ipv4Addr>().is_ok(),
        ("format", Some("ipv6")) => text.parse::<Ipv6Addr>().is_ok(),
        ("format", Some("date-time")) => text.parse::<jiff::Timestamp>().is_ok(),
        ("format", Some("uri")) => reqwest::Url::parse(text).is_ok(),
        _ => false,
    }
}

fn list_fits(
    contract: &Value,
    keyword: &str,
    promise: &Value,
    value: &Value,
    at: &str,
) -> Result<bool, String> {
    let Some(items) = value.as_array() else { return Ok(true) };
    Ok(match keyword {
        "minItems" => items.len() as u64 >= promise.as_u64().unwrap(),
        "maxItems" => items.len() as u64 <= promise.as_u64().unwrap(),
        _ => {
            for (index, item) in items.iter().enumerate() {
                fits(contract, promise, item, &format!("{at}[{index}]"))?;
            }
            true
        }
    })
}

fn object_fits(
    contract: &Value,
    schema: &Map<String, Value>,
    keyword: &str,
    value: &Value,
    at: &str,
) -> Result<bool, String> {
    let Some(members) = value.as_object() else { return Ok(true) };
    let promise = &schema[keyword];
    let has_all = |names: &Value| {
        names.as_array().unwrap().iter().all(|name| members.contains_key(name.as_str().unwrap()))
    };
    match keyword {
        "required" => return Ok(has_all(promise)),
        "dependentRequired" => {
            let given = promise.as_object().unwrap().iter().filter(|(name, _)| members.contains_key(*name));
            return Ok(given.into_iter().all(|(_, others)| has_all(others)));
        }
        _ => {}
    }
    for (name, member) in members {
        let at = format!("{at}.{name}");
        match (keyword, schema.get("properties").and_then(|listed| listed.get(name))) {
            ("propertyNames", _) => fits(contract, promise, &name.as_str().into(), &at)?,
            ("properties", Some(listed)) => fits(contract, listed, member, &at)?,
            ("additionalProperties", None) => match promise.as_bool() {
                Some(true) => {}
                Some(false) => return Err(format!("{at} is not in the contract")),
                None => fits(contract, promise, member, &at)?,
            },
            _ => {}
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Every keyword can refuse: a check that cannot fail would prove nothing.
    #[test]
    fn what_a_schema_does_not_promise_is_refused() {
        let contract = json!({ "small": { "maximum": 1 } });
        for (schema, good, bad) in [
            (json!({ "type": "integer" }), json!(1), json!(1.5)),
            (json!({ "type": ["string", "null"] }), json!(null), json!(1)),
            (json!({ "enum": ["a", null] }), json!(null), json!("b")),
            (json!({ "const": true }), json!(true), json!(false)),
            (json!({ "minimum": 0 }), json!(0), json!(-0.1)),
            (json!({ "exclusiveMinimum": 0 }), json!(0.1), json!(0)),
            (json!({ "$ref": "#/small" }), json!(1), json!(2)),
            (json!({ "anyOf": [{ "type": "null" }, { "$ref": "#/small" }] }), json!(null), json!(2)),
            (json!({ "minLength": 2 }), json!("üü"), json!("ü")),
            (json!({ "maxLength": 2 }), json!("üü"), json!("abc")),
            (json!({ "pattern": "^[^\\x00-\\x1f]+$" }), json!("a"), json!("a\u{1}")),
            (json!({ "format": "ipv4" }), json!("192.0.2.1"), json!("::1")),
            (json!({ "format": "ipv6" }), json!("::1"), json!("192.0.2.1")),
            (json!({ "format": "uri" }), json!("urn:a:b"), json!("a b")),
            (json!({ "items": { "type": "null" } }), json!([null]), json!([1])),
            (json!({ "minItems": 1 }), json!([1]), json!([])),
            (json!({ "maxItems": 1 }), json!([1]), json!([1, 2])),
            (json!({ "required": ["a"] }), json!({ "a": 1 }), json!({ "b": 1 })),
            (json!({ "dependentRequired": { "a": ["b"] } }), json!({ "b": 1 }), json!({ "a": 1 })),
            (json!({ "properties": { "a": { "const": 1 } } }), json!({ "a": 1 }), json!({ "a": 2 })),
            (json!({ "properties": {}, "additionalProperties": false }), json!({}), json!({ "a": 1 })),
            (json!({ "additionalProperties": { "const": 1 } }), json!({ "a": 1 }), json!({ "a": 2 })),
            (json!({ "maxProperties": 1 }), json!({ "a": 1 }), json!({ "a": 1, "b": 1 })),
            (json!({ "propertyNames": { "enum": ["a"] } }), json!({ "a": 1 }), json!({ "b": 1 })),
        ] {
            assert_eq!(fits(&contract, &schema, &good, "good"), Ok(()), "{schema}");
            assert!(fits(&contract, &schema, &bad, "bad").is_err(), "{schema} passes {bad}");
        }
        assert!(fits(&contract, &json!({ "multipleOf": 2 }), &json!(2), "unknown keyword").is_err());
    }
}
