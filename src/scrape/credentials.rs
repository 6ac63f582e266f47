//! Reads the files of `[[scrape.credentials]]`, all of them before any is complained of.
//!
//! What was read is kept where it cannot be shown by accident: [`Secret`] prints as dots, and a key in the way of its
//! crate. A message names the file, its key and line, and never repeats what is in it.

use std::fmt;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use reqwest::{RequestBuilder, Url};

use super::tls::Identification;
use crate::config::{self, KeyFile, Scope};

/// Longest secret and longest PEM file, bytes. A request head has more in it than a secret.
const LONGEST_SECRET: u64 = 8 * 1024;
const LONGEST_PEM: u64 = 4 << 20;

/// One entry with its files read.
#[derive(Debug, PartialEq)]
pub(super) struct Credentials {
    scope: Scope,
    authorization: Option<Authorization>,
    /// `None`: by the system's authorities.
    pub(super) identification: Option<Identification>,
}

#[derive(Debug, PartialEq)]
enum Authorization {
    Bearer(Secret),
    Basic(Box<str>, Secret),
}

/// Something that is shown to exporters and to nobody else.
#[derive(PartialEq, Eq)]
struct Secret(Box<str>);

/// A file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {key}: {why}")]
pub struct BadFile {
    /// The line of the configuration that names it, from 1.
    pub line: usize,
    /// The key that does.
    pub key: &'static str,
    /// What is wrong with it, with its path.
    pub why: String,
}

/// All files of a configuration's credentials that cannot be used, in its order. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadFiles(pub Vec<BadFile>);

// === impl Credentials ===

/// Reads all files.
///
/// # Errors
/// Every one that cannot be used.
pub(super) fn open_all(configured: &[config::Credentials]) -> Result<Arc<[Credentials]>, BadFiles> {
    let (mut opened, mut bad) = (Vec::new(), Vec::new());
    for credentials in configured {
        opened.extend(Credentials::open(credentials, &mut bad));
    }
    if bad.is_empty() { Ok(opened.into()) } else { Err(BadFiles(bad)) }
}

impl Credentials {
    /// Says all that is wrong to `bad`.
    fn open(configured: &config::Credentials, bad: &mut Vec<BadFile>) -> Option<Self> {
        let mut keep = |error| bad.push(error);
        let authorization = configured.authorization.as_ref().map(Authorization::open).transpose();
        let authorization = authorization.map_err(&mut keep).ok();
        let identification = configured.tls.as_ref().map(Identification::open).transpose();
        let identification = identification.map_err(|errors| errors.into_iter().for_each(keep)).ok();
        Some(Self {
            scope: configured.scope.clone(),
            authorization: authorization?,
            identification: identification?,
        })
    }

    /// Whether they are for a URL.
    pub(super) fn are_for(&self, url: &Url) -> bool {
        self.scope.has(url)
    }

    /// Whether they would be, over `https://`.
    pub(super) fn are_withheld_from(&self, url: &Url) -> bool {
        self.scope.withholds(url)
    }

    /// The request with what it has to show. The header is marked, so that the client does not print it either.
    pub(super) fn show(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.authorization {
            None => request,
            Some(Authorization::Bearer(token)) => request.bearer_auth(&token.0),
            Some(Authorization::Basic(username, password)) => request.basic_auth(username, Some(&password.0)),
        }
    }
}

// === impl Authorization ===

impl Authorization {
    fn open(configured: &config::Authorization) -> Result<Self, BadFile> {
        match configured {
            config::Authorization::Bearer(file) => {
                let token = secret(file)?;
                if token.chars().all(|c| c.is_ascii_graphic()) {
                    Ok(Self::Bearer(Secret(token)))
                } else {
                    Err(bad(file, "has something in it that is no visible ASCII character"))
                }
            }
            config::Authorization::Basic { username, password } => {
                Ok(Self::Basic(username.clone(), Secret(secret(password)?)))
            }
        }
    }
}

// === impl Secret ===

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

// === impl BadFiles ===

impl fmt::Display for BadFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("scrape.credentials: ")?;
        for (nth, file) in self.0.iter().enumerate() {
            write!(f, "{}{file}", if nth > 0 { "; " } else { "" })?;
        }
        Ok(())
    }
}

impl std::error::Error for BadFiles {}

/// The one line in a file; the end of it does not count.
fn secret(file: &KeyFile) -> Result<Box<str>, BadFile> {
    let bytes = content(file, LONGEST_SECRET)?;
    let text = String::from_utf8(bytes).map_err(|_| bad(file, "is no text"))?;
    let line = text.trim_end_matches(['\r', '\n']);
    if line.trim().is_empty() {
        return Err(bad(file, "is empty"));
    }
    if line.chars().any(char::is_control) {
        return Err(bad(file, "has more than one line or a control character in it"));
    }
    Ok(line.into())
}

/// All of a PEM file.
pub(super) fn pem(file: &KeyFile) -> Result<Vec<u8>, BadFile> {
    content(file, LONGEST_PEM)
}

fn content(file: &KeyFile, limit: u64) -> Result<Vec<u8>, BadFile> {
    let read = |path: &Path| {
        let mut bytes = Vec::new();
        std::fs::File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes: Vec<u8> = read(&file.path).map_err(|error: std::io::Error| BadFile {
        line: file.line,
        key: file.key,
        why: format!("cannot read {}: {error}", file.path.display()),
    })?;
    if bytes.len() as u64 > limit {
        return Err(bad(file, &format!("has more than {limit} bytes")));
    }
    Ok(bytes)
}

/// A file that was read and cannot be used.
pub(super) fn bad(file: &KeyFile, why: &str) -> BadFile {
    BadFile { line: file.line, key: file.key, why: format!("{} {why}", file.path.display()) }
}

#[cfg(test)]
mod tests;
