//! What a hook says: the JSON of SRS (5.0 and later, and 4.0 with less of it) or the form of nginx-rtmp.
//!
//! Fields that are not asked for are not read: whatever else a version adds or leaves out is its own business.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;

use serde_json::{Map, Value};

use crate::http::query::decode;
use crate::state::streams::{Identity, NameError, StreamName};

/// Most fields of a form that are looked at; nginx-rtmp adds those of the client's own query.
const MOST_FIELDS: usize = 64;
/// Longest name of a client, bytes.
const LONGEST_CLIENT: usize = 64;

/// What happened to a client of a media server. A closed set: it is a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Hook {
    Connect,
    Close,
    Publish,
    Unpublish,
    Play,
    Stop,
    Forward,
    /// A file was written: nothing of ours, and no reason to refuse.
    Record,
}

/// Who calls, which decides how it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Dialect {
    /// JSON, answered by a `code` in a 200.
    Srs,
    /// A form, answered by the status.
    NginxRtmp,
}

/// A call that could be read.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::http) struct Call {
    pub(in crate::http) identity: Identity,
    /// What the media server calls its client.
    pub(in crate::http) client: Box<str>,
    /// Where that client is.
    pub(in crate::http) ip: Option<IpAddr>,
    /// Which stream; `None`: the hook is of none.
    pub(in crate::http) name: Option<StreamName>,
}

/// Why a body is no call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::http) enum CallError {
    #[error("the body is no JSON object")]
    NotJson,
    #[error("the body is no form")]
    NotForm,
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("{0} must be a string")]
    NotText(&'static str),
    #[error("the body tells of {told}, the path of {asked}")]
    OtherHook { told: Box<str>, asked: &'static str },
    #[error(transparent)]
    Name(#[from] NameError),
}

// === impl Hook ===

impl Hook {
    /// All, in the order of their numbers.
    pub(in crate::http) const ALL: [Self; 8] = [
        Self::Connect,
        Self::Close,
        Self::Publish,
        Self::Unpublish,
        Self::Play,
        Self::Stop,
        Self::Forward,
        Self::Record,
    ];

    /// By the last part of its path.
    pub(in crate::http) fn of_path(word: &str) -> Option<Self> {
        match word {
            "on_dvr" | "on_hls" => Some(Self::Record),
            "on_disconnect" => Some(Self::Close),
            "on_publish_done" => Some(Self::Unpublish),
            "on_play_done" => Some(Self::Stop),
            "on_record_done" => Some(Self::Record),
            word => Self::ALL.into_iter().find(|hook| hook.as_str() == word),
        }
    }

    /// The label.
    pub(in crate::http) fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "on_connect",
            Self::Close => "on_close",
            Self::Publish => "on_publish",
            Self::Unpublish => "on_unpublish",
            Self::Play => "on_play",
            Self::Stop => "on_stop",
            Self::Forward => "on_forward",
            Self::Record => "on_record",
        }
    }

    /// By what nginx-rtmp calls it.
    fn of_form(call: &str) -> Option<Self> {
        match call {
            "connect" => Some(Self::Connect),
            "disconnect" => Some(Self::Close),
            "publish" => Some(Self::Publish),
            "publish_done" => Some(Self::Unpublish),
            "play" => Some(Self::Play),
            "play_done" => Some(Self::Stop),
            "record_done" => Some(Self::Record),
            _ => None,
        }
    }

    fn is_of_a_stream(self) -> bool {
        matches!(self, Self::Publish | Self::Unpublish | Self::Play | Self::Stop | Self::Forward)
    }
}

// === impl Call ===

impl Call {
    /// Reads the body of a hook.
    pub(in crate::http) fn read(dialect: Dialect, hook: Hook, body: &[u8]) -> Result<Self, CallError> {
        match dialect {
            Dialect::Srs => Self::read_json(hook, body),
            Dialect::NginxRtmp => Self::read_form(hook, body),
        }
    }

    fn read_json(hook: Hook, body: &[u8]) -> Result<Self, CallError> {
        let body: Map<String, Value> = serde_json::from_slice(body).map_err(|_| CallError::NotJson)?;
        let told = text(&body, "action")?;
        if Hook::of_path(&told) != Some(hook) {
            return Err(CallError::other(&told, hook));
        }
        let optional = |key| match text(&body, key) {
            Err(CallError::Missing(_)) => Ok(Cow::Borrowed("")),
            read => read,
        };
        let identity = Identity::new(&optional("server_id")?, &optional("service_id")?, "");
        // A 3.0 has a number here.
        let client = match body.get("client_id") {
            Some(Value::Number(number)) => Cow::Owned(number.to_string()),
            _ => optional("client_id")?,
        };
        let (ip, vhost) = (optional("ip")?, optional("vhost")?);
        let name = match hook.is_of_a_stream() {
            true => Some(StreamName::new(&vhost, &text(&body, "app")?, &text(&body, "stream")?)?),
            false => None,
        };
        Ok(Self { identity, client: short(&client), ip: address(&ip), name })
    }

    fn read_form(hook: Hook, body: &[u8]) -> Result<Self, CallError> {
        let body = std::str::from_utf8(body).map_err(|_| CallError::NotForm)?;
        let mut fields: HashMap<Cow<'_, str>, Cow<'_, str>> = HashMap::new();
        for pair in body.split('&').take(MOST_FIELDS) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (Some(key), Some(value)) = (decode(key), decode(value)) else {
                return Err(CallError::NotForm);
            };
            // The first: those of the client's own query come after nginx-rtmp's.
            fields.entry(key).or_insert(value);
        }
        let field = |key: &'static str| fields.get(key).map(|value| &**value).ok_or(CallError::Missing(key));
        let told = field("call")?;
        if Hook::of_form(told) != Some(hook) {
            return Err(CallError::other(told, hook));
        }
        // A stream that it pulls itself, as it was told to when its viewer came, it announces without an app.
        let is_own_pull = || matches!(hook, Hook::Publish | Hook::Unpublish) && field("app") == Ok("");
        let name = match hook.is_of_a_stream() && !is_own_pull() {
            true => Some(StreamName::new("", field("app")?, field("name")?)?),
            false => None,
        };
        Ok(Self {
            identity: Identity::default(),
            client: short(field("clientid").unwrap_or_default()),
            ip: field("addr").ok().and_then(address),
            name,
        })
    }
}

// === impl CallError ===

impl CallError {
    fn other(told: &str, hook: Hook) -> Self {
        let told = told.chars().filter(|c| !c.is_control()).take(LONGEST_CLIENT).collect::<String>();
        Self::OtherHook { told: told.into(), asked: hook.as_str() }
    }
}

fn text<'a>(body: &'a Map<String, Value>, key: &'static str) -> Result<Cow<'a, str>, CallError> {
    match body.get(key) {
        None => Err(CallError::Missing(key)),
        Some(Value::String(text)) => Ok(Cow::Borrowed(text)),
        Some(_) => Err(CallError::NotText(key)),
    }
}

fn short(client: &str) -> Box<str> {
    client[..client.floor_char_boundary(LONGEST_CLIENT)].into()
}

/// An address, with or without port.
fn address(text: &str) -> Option<IpAddr> {
    let ip: Option<IpAddr> =
        text.parse().ok().or_else(|| text.parse().ok().map(|at: std::net::SocketAddr| at.ip()));
    ip.map(|ip| ip.to_canonical())
}

#[cfg(test)]
mod tests;
