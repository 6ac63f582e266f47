//! What a stream is called, and looking it up without making a name first.

use std::borrow::{Borrow, Cow};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// What SRS calls the vhost of whoever asks for none that is configured there.
const DEFAULT_VHOST: &str = "__defaultVhost__";
/// Longest vhost, bytes, as of a host name.
const LONGEST_VHOST: usize = 253;
/// Longest "app/stream", bytes.
const LONGEST_NAME: usize = 512;

/// Vhost and name. The vhost is "" for the default one, in lower case otherwise; the name is "app/stream".
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamName {
    vhost: Box<str>,
    name: Box<str>,
}

/// Why something is no name of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing could ask for it.
    #[error("app and stream must not be empty")]
    Empty,
    /// Longer than any that is meant.
    #[error("app and stream have over {LONGEST_NAME} bytes, or vhost over {LONGEST_VHOST}")]
    Long,
    /// It would break lines of logs and lists.
    #[error("vhost, app and stream must not hold control characters")]
    Control,
}

// === impl StreamName ===

impl StreamName {
    /// The name of a stream as a media server tells it.
    ///
    /// # Errors
    /// It cannot be one.
    pub fn new(vhost: &str, app: &str, stream: &str) -> Result<Self, NameError> {
        if app.is_empty() || stream.is_empty() {
            return Err(NameError::Empty);
        }
        if vhost.len() > LONGEST_VHOST || app.len() + 1 + stream.len() > LONGEST_NAME {
            return Err(NameError::Long);
        }
        if [vhost, app, stream].iter().any(|part| part.chars().any(char::is_control)) {
            return Err(NameError::Control);
        }
        Ok(Self { vhost: vhost_of(vhost).into(), name: format!("{app}/{stream}").into() })
    }

    /// "" for the default one.
    #[must_use]
    pub fn vhost(&self) -> &str {
        &self.vhost
    }

    /// "app/stream".
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// A vhost as names have it.
pub(super) fn vhost_of(vhost: &str) -> Cow<'_, str> {
    if vhost == DEFAULT_VHOST {
        Cow::Borrowed("")
    } else if vhost.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(vhost.to_ascii_lowercase())
    } else {
        Cow::Borrowed(vhost)
    }
}

/// A name without its last extension. An edge that is asked over HTTP pulls "livestream.flv".
pub(super) fn stem(name: &str) -> Option<&str> {
    let (stem, extension) = name.rsplit_once('.')?;
    let is_extension = !extension.contains('/') && !stem.is_empty() && !stem.ends_with('/');
    is_extension.then_some(stem)
}

/// Vhost and name, whoever owns them: what a map is asked by.
pub(super) trait Parts {
    fn parts(&self) -> (&str, &str);
}

impl Parts for (&str, &str) {
    fn parts(&self) -> (&str, &str) {
        *self
    }
}

impl Parts for Arc<StreamName> {
    fn parts(&self) -> (&str, &str) {
        (&self.vhost, &self.name)
    }
}

impl<'a> Borrow<dyn Parts + 'a> for Arc<StreamName> {
    fn borrow(&self) -> &(dyn Parts + 'a) {
        self
    }
}

impl Hash for dyn Parts + '_ {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}

impl PartialEq for dyn Parts + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for dyn Parts + '_ {}

impl Hash for StreamName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&*self.vhost, &*self.name).hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_vhost_app_and_stream() {
        let name = StreamName::new("Live.Example.com", "live", "Show").unwrap();
        assert_eq!((name.vhost(), name.name()), ("live.example.com", "live/Show"));
        assert_eq!(StreamName::new(DEFAULT_VHOST, "live", "a").unwrap().vhost(), "");
        for (vhost, app, stream, error) in [
            ("", "", "a", NameError::Empty),
            ("", "live", "", NameError::Empty),
            ("", "live", "a\nb", NameError::Control),
            ("\u{7f}", "live", "a", NameError::Control),
            ("", "live", &*"a".repeat(LONGEST_NAME), NameError::Long),
            (&*"a".repeat(LONGEST_VHOST + 1), "live", "a", NameError::Long),
        ] {
            assert_eq!(StreamName::new(vhost, app, stream), Err(error), "{vhost} {app} {stream}");
        }
    }

    #[test]
    fn only_the_last_extension_is_taken_off_and_never_all_of_it() {
        assert_eq!(stem("live/a.flv"), Some("live/a"));
        assert_eq!(stem("live/a.b.m3u8"), Some("live/a.b"));
        for name in ["live/a", "live.v1/a", "live/.flv", ".flv"] {
            assert_eq!(stem(name), None, "{name}");
        }
    }
}
