//! What strangers write into the URL of a stream, for [`crate::fuzzing`].

use http::header::HOST;
use http::{HeaderMap, HeaderValue, Uri};

use super::asked::{Asked, without_hops};
use super::{Path, onto};

/// Where the node of every redirect is.
const NODE: &str = "http://203.0.113.10:8080";

/// A target and, behind a line end, a host: whoever is redirected goes to the node that was chosen, by a URL that SRS
/// follows, with path and query as they came; and whoever comes back with it asks the same again, one hop on.
pub fn play_target(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (target, host) = text.split_once('\n').unwrap_or((text, "live.example.com"));
    let (Ok(uri), Ok(host)) = (target.parse::<Uri>(), HeaderValue::try_from(host)) else { return };
    let headers = HeaderMap::from_iter([(HOST, host)]);
    let path = Path::of(&uri);
    let Ok(asked) = Asked::read(path.0, &uri, &headers) else { return };
    assert!(asked.stream.matches('/').count() == 1 && !asked.stream.chars().any(char::is_control));
    assert!(asked.domain.as_deref().is_none_or(|domain| domain == domain.to_ascii_lowercase()));
    if asked.tried.is_full() {
        return;
    }
    let query = without_hops(uri.query().unwrap_or_default());
    let mut url = NODE.to_owned();
    onto(&mut url, path, &query, &asked.tried, "sh-1");
    assert!(HeaderValue::try_from(&url).is_ok(), "{url:?} is no header");
    let Ok(onward) = url.parse::<Uri>() else { panic!("{url:?} is no URL") };
    assert_eq!(
        (onward.scheme_str(), onward.host(), onward.port_u16()),
        (Some("http"), Some("203.0.113.10"), Some(8080))
    );
    assert_eq!(onward.path(), path.0);
    assert_eq!(without_hops(onward.query().unwrap_or_default()), query);
    let back = onward.path_and_query().map(ToString::to_string).unwrap_or_default();
    let Ok(back) = back.parse::<Uri>() else { panic!("{url:?} cannot come back") };
    let Ok(again) = Asked::read(back.path(), &back, &headers) else {
        panic!("{back} is refused, {uri} was not")
    };
    assert_eq!((&again.stream, again.extension), (&asked.stream, asked.extension));
    assert_eq!(again.tried.len(), asked.tried.len() + 1);
    if uri.host().is_none() {
        assert_eq!(again.domain, asked.domain);
    }
}
