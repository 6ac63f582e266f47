//! Which targets may be asked, at the moment of connecting, and what they are shown.
//!
//! A name is judged by what it resolves to, at every connection anew: a check made earlier, or by somebody else's
//! resolver, says nothing about the address that is connected to now. A literal address never meets a resolver and
//! is judged before the request.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::credentials::{BadFiles, Credentials, open_all};
use crate::config::{Exporters, Networks, literal_address};

/// What is needed to reach the exporters of a configuration, beside the network.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Access {
    networks: Arc<Networks>,
    credentials: Arc<[Credentials]>,
}

/// All of a host's addresses are in networks that are not open; this is one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("address {0} is not in scrape.allowed_networks")]
pub(super) struct NotAllowed(pub(super) IpAddr);

/// The system's resolver without the addresses that may not be asked.
#[derive(Debug)]
pub(super) struct Lookup(Arc<Networks>);

// === impl Access ===

impl Access {
    /// The access that a configuration gives. Reads the files that it names.
    ///
    /// # Errors
    /// All files that cannot be used.
    pub fn open(exporters: &Exporters) -> Result<Self, BadFiles> {
        let networks = Arc::new(exporters.allowed_networks.clone());
        Ok(Self { networks, credentials: open_all(&exporters.credentials)? })
    }

    /// Whether a URL with a literal address may be asked; one with a name is judged by [`Self::lookup`].
    pub(super) fn check(&self, url: &Url) -> Result<(), NotAllowed> {
        literal_address(url).filter(|ip| !self.networks.allow(*ip)).map_or(Ok(()), |ip| Err(NotAllowed(ip)))
    }

    /// What a target is shown.
    pub(super) fn credentials(&self) -> &[Credentials] {
        &self.credentials
    }

    /// The resolver that finds open addresses only.
    pub(super) fn lookup(&self) -> Lookup {
        Lookup(Arc::clone(&self.networks))
    }
}

// === impl Lookup ===

impl Resolve for Lookup {
    fn resolve(&self, name: Name) -> Resolving {
        let networks = Arc::clone(&self.0);
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed = only_allowed(found, &networks)?;
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// What may be asked of what was found; an error where that is nothing at all.
fn only_allowed(
    found: impl Iterator<Item = SocketAddr>,
    networks: &Networks,
) -> Result<Vec<SocketAddr>, NotAllowed> {
    let (allowed, refused): (Vec<_>, Vec<_>) = found.partition(|found| networks.allow(found.ip()));
    match refused.first() {
        Some(refused) if allowed.is_empty() => Err(NotAllowed(refused.ip().to_canonical())),
        _ => Ok(allowed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_two_addresses_is_asked_at_the_open_one() {
        let pick = |found: &[&str]| {
            let found = found.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 0));
            let picked = only_allowed(found, &Networks::default());
            picked.map(|picked| picked.iter().map(|addr| addr.ip().to_string()).collect::<Vec<_>>())
        };
        assert_eq!(pick(&["169.254.169.254", "10.0.0.1"]).unwrap(), ["10.0.0.1"]);
        let refused = pick(&["::ffff:169.254.169.254", "fe80::1"]).unwrap_err();
        assert_eq!(refused.to_string(), "address 169.254.169.254 is not in scrape.allowed_networks");
        assert!(pick(&[]).unwrap().is_empty());
    }
}
