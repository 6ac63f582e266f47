//! `[[scrape.credentials]]`: what is shown to which exporters.

use std::path::Path;

use toml::Spanned;
use toml::de::DeValue;

use crate::config::raw::Section;
use crate::config::report::quoted;
use crate::config::values::{Read, domain_name, network, port, string, switch, text};
use crate::config::{Authorization, ClientFiles, Credentials, ExporterTls, Host, KeyFile, Scope};

/// Keys of which one at least has to be there.
const HOLDS: [&str; 5] = ["bearer_token_file", "username", "password_file", "ca_file", "certificate_file"];

/// `None`: what is wrong has been reported. Relative paths start from `folder`.
pub(super) fn read(section: &mut Section<'_>, folder: &Path) -> Option<Credentials> {
    section.demand("hosts");
    let hosts = section.list("hosts", host).map(Spanned::into_inner);
    let scope = Scope {
        hosts: hosts.unwrap_or_default().into_iter().map(Spanned::into_inner).collect(),
        ports: section
            .list("ports", port)
            .map(|ports| ports.into_inner().into_iter().map(Spanned::into_inner).collect())
            .unwrap_or_default(),
        allow_http: section.get_or("allow_http", false, switch),
    };
    let authorization = read_authorization(section, folder);
    let tls = read_tls(section, folder);
    if !HOLDS.iter().any(|key| section.has(key)) {
        section.error(
            "credentials have to hold something: bearer_token_file, username and password_file, or ca_file",
        );
    }
    (authorization.is_some() || tls.is_some()).then_some(Credentials { scope, authorization, tls })
}

/// A name, a name with `*.` before it, an address or a network.
fn host(value: &DeValue<'_>) -> Read<Host> {
    let written = string(value)?;
    let everybody = || Err("credentials for every host would be sent to whoever asks for them".to_owned());
    if written == "*" || written == "*." {
        return everybody();
    }
    let bare = written.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(written);
    if bare.contains('/') || bare.parse::<std::net::IpAddr>().is_ok() {
        let network = network(&DeValue::String(bare.into()))?;
        return if network.prefix_len() == 0 { everybody() } else { Ok(Host::In(network)) };
    }
    let expected = |_| {
        format!(
            "{} is not a host such as \"edge.example.net\", \"*.example.net\", \"192.0.2.1\" or \"10.0.0.0/8\"",
            quoted(written)
        )
    };
    let name = |name: &str| domain_name(&DeValue::String(name.into())).map(String::into_boxed_str);
    match written.strip_prefix("*.") {
        Some(parent) => name(parent).map(Host::Below).map_err(expected),
        None => name(written).map(Host::Name).map_err(expected),
    }
}

fn read_authorization(section: &mut Section<'_>, folder: &Path) -> Option<Authorization> {
    let bearer = key_file(section, "bearer_token_file", folder);
    let username = section.get("username", username);
    let password = key_file(section, "password_file", folder);
    for key in ["username", "password_file"].into_iter().filter(|key| section.has(key)) {
        if section.has("bearer_token_file") {
            section.error(format!("a request has one Authorization: bearer_token_file or {key}, not both"));
            return None;
        }
    }
    check_pair(section, "username", "password_file");
    check_pair(section, "password_file", "username");
    match (username, password) {
        (Some(username), Some(password)) => {
            Some(Authorization::Basic { username: username.into_inner().into(), password })
        }
        _ => bearer.map(Authorization::Bearer),
    }
}

/// A name in front of a password: the first colon ends it.
fn username<'a>(value: &'a DeValue<'a>) -> Read<&'a str> {
    let name = text(value)?;
    if name.contains(':') { Err(format!("{} has a colon in it", quoted(name))) } else { Ok(name) }
}

fn read_tls(section: &mut Section<'_>, folder: &Path) -> Option<ExporterTls> {
    let ca = key_file(section, "ca_file", folder);
    let server_name = section.get("server_name", domain_name);
    let certificate = key_file(section, "certificate_file", folder);
    let key = key_file(section, "key_file", folder);
    check_pair(section, "certificate_file", "key_file");
    check_pair(section, "key_file", "certificate_file");
    check_pair(section, "server_name", "ca_file");
    check_pair(section, "certificate_file", "ca_file");
    let client = certificate.zip(key).map(|(certificate, key)| ClientFiles { certificate, key });
    Some(ExporterTls { ca: ca?, server_name: server_name.map(|name| name.into_inner().into()), client })
}

/// Reports a key that is there without the one that it needs.
fn check_pair(section: &Section<'_>, key: &'static str, needs: &'static str) {
    if section.has(key) && !section.has(needs) {
        section.error(format!("{key} needs {needs} beside it"));
    }
}

fn key_file(section: &mut Section<'_>, key: &'static str, folder: &Path) -> Option<KeyFile> {
    let path = section.get(key, text)?;
    let line = section.report().line(&path.span());
    Some(KeyFile { key, path: folder.join(path.into_inner()), line })
}
