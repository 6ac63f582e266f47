//! Layers: which pool's nodes pull streams from which pool, edges from a middle layer, that from origins.
//!
//! A pool says where it pulls from (`upstream`), a domain which pool takes its publishers (`origins`). A pool that says
//! nothing pulls from the domain's origins, so the usual fleet of one layer of edges needs no more than that. Where a
//! server asks by an address instead of a domain's name, and all domains have the same origins, these are meant.
//!
//! The configuration allows no circles, so every way ends at a pool that pulls from nobody: the source.

use super::fleet::{DomainIndex, Fleet, FleetError, PoolIndex};

/// Who pulls from whom, by names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LayerSpec {
    /// A pool, and the one that it pulls from.
    pub upstreams: Vec<(Box<str>, Box<str>)>,
    /// A domain, and the pool that takes its publishers.
    pub origins: Vec<(Box<str>, Box<str>)>,
}

// === impl Fleet ===

impl Fleet {
    /// The same fleet in these layers. What is said of a pool or domain that is not there is passed over.
    ///
    /// # Errors
    /// One of them names a pool that does not exist.
    pub fn with_layers(mut self, layers: &LayerSpec) -> Result<Self, FleetError> {
        let index = |by: &str, name: &str, fleet: &Self| {
            let found = fleet.pools.iter().position(|pool| &*pool.name == name);
            let found = found.ok_or_else(|| FleetError::NoPool { by: by.into(), pool: name.into() })?;
            u16::try_from(found).map(PoolIndex).map_err(|_| FleetError::TooMany("pools"))
        };
        for (by, upstream) in &layers.upstreams {
            let upstream = index(by, upstream, &self)?;
            if let Some(pool) = self.pools.iter_mut().find(|pool| pool.name == *by) {
                pool.upstream = Some(upstream);
            }
        }
        for (by, origins) in &layers.origins {
            let origins = index(by, origins, &self)?;
            if let Some(at) = self.domain(by) {
                self.domains[usize::from(at.0)].origins = Some(origins);
            }
            self.pools[usize::from(origins.0)].takes_publishers = true;
        }
        let mut origins = self.domains.iter().filter_map(|domain| domain.origins);
        let first = origins.next();
        self.usual_origins = first.filter(|first| origins.all(|other| other == *first));
        Ok(self)
    }

    /// The pool that the nodes of a pool pull a domain's streams from; `None`: from nobody, they are the source.
    /// Without a domain those origins count that all domains have.
    #[must_use]
    pub fn upstream(&self, pool: PoolIndex, domain: Option<DomainIndex>) -> Option<PoolIndex> {
        let this = self.pool(pool);
        if this.upstream.is_some() || this.takes_publishers {
            return this.upstream;
        }
        match domain {
            Some(domain) => self.domains[usize::from(domain.0)].origins,
            None => self.usual_origins,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::fleet::{DomainSpec, PoolSpec};
    use crate::schedule::policy::PolicyKind;

    fn fleet(upstreams: &[(&str, &str)], origins: &[(&str, &str)]) -> Result<Fleet, FleetError> {
        let pool = |name: &&str| PoolSpec { name: (*name).into(), on_overload: Default::default() };
        let pools: Vec<_> = ["edges", "middle", "origins", "others"].iter().map(pool).collect();
        let domain = |name: &&str| DomainSpec {
            name: (*name).into(),
            pool: "edges".into(),
            policy: PolicyKind::default(),
        };
        let domains: Vec<_> = ["a.example", "b.example", "c.example"].iter().map(domain).collect();
        let named = |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect();
        let layers = LayerSpec { upstreams: named(upstreams), origins: named(origins) };
        Fleet::build(Vec::new(), &pools, &domains)?.with_layers(&layers)
    }

    /// The way up from a pool, by names.
    fn way<'f>(fleet: &'f Fleet, pool: u16, domain: Option<&str>) -> Vec<&'f str> {
        let domain = domain.and_then(|name| fleet.domain(name));
        let up = |pool: &PoolIndex| fleet.upstream(*pool, domain);
        std::iter::successors(up(&PoolIndex(pool)), up).map(|pool| &*fleet.pool(pool).name).collect()
    }

    #[test]
    fn edges_pull_from_the_origins_of_the_domain_unless_their_pool_says_otherwise() {
        let one = fleet(&[], &[("a.example", "origins")]).unwrap();
        assert_eq!(way(&one, 0, Some("a.example")), ["origins"]);
        assert_eq!(way(&one, 0, Some("b.example")), [""; 0]);
        let two =
            fleet(&[("edges", "middle")], &[("a.example", "origins"), ("b.example", "others")]).unwrap();
        assert_eq!(way(&two, 0, Some("a.example")), ["middle", "origins"]);
        assert_eq!(way(&two, 0, Some("b.example")), ["middle", "others"]);
        assert_eq!(way(&two, 2, Some("b.example")), [""; 0], "origins pull from nobody");
    }

    #[test]
    fn without_a_domain_the_origins_count_that_all_domains_have() {
        let same =
            fleet(&[("edges", "middle")], &[("a.example", "origins"), ("b.example", "origins")]).unwrap();
        assert_eq!(way(&same, 0, None), ["middle", "origins"]);
        let differ =
            fleet(&[("edges", "middle")], &[("a.example", "origins"), ("b.example", "others")]).unwrap();
        assert_eq!(way(&differ, 0, None), ["middle"]);
    }

    #[test]
    fn a_pool_that_is_not_there_is_named() {
        let error = fleet(&[("edges", "nowhere")], &[]).unwrap_err().to_string();
        assert_eq!(error, "edges names pool nowhere, which does not exist");
        assert!(fleet(&[], &[("a.example", "nowhere")]).is_err());
    }
}
