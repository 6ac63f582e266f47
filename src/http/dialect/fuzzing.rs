//! What strangers write into the query of another service's dialect, for [`crate::fuzzing`].

use super::{Asked, alibaba, dnspod};
use crate::http::query::domain;

/// A query, read in every dialect: as many names as the dialect allows, each a domain; the same in whatever order its
/// parameters stand; and a stranger's `ip=` is not read.
pub fn dialect_query(bytes: &[u8]) {
    let Ok(query) = std::str::from_utf8(bytes) else { return };
    let backwards: Vec<&str> = query.rsplit('&').collect();
    let backwards = backwards.join("&");
    for may_name_client in [true, false] {
        for (most, read) in [
            (dnspod::MOST_NAMES, dnspod::asked_for as fn(&str, bool) -> Option<Asked>),
            (1, |query, may| alibaba::read(Some(query), may, 1).ok()),
            (alibaba::MOST_NAMES, |query, may| alibaba::read(Some(query), may, alibaba::MOST_NAMES).ok()),
        ] {
            let asked = read(query, may_name_client);
            assert_eq!(asked, read(&backwards, may_name_client), "{query} and {backwards}");
            let Some(asked) = asked else { continue };
            assert!((1..=most).contains(&asked.names.len()), "{query}");
            for name in &asked.names {
                let read = domain(name.as_str().into());
                assert_eq!(read.as_deref(), Ok(&*name.to_ascii_lowercase()), "{query}");
            }
            assert!(may_name_client || asked.ip.is_none(), "{query}");
            assert!(asked.ip.is_none_or(|ip| ip == ip.to_canonical()), "{query}");
        }
    }
}
