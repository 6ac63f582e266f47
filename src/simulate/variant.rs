//! Variants: the product's policies, and ablations that leave one part of it out to show what that part is worth.
//!
//! No variant has a formula of its own: each is the product's core asked in another way.

use std::str::FromStr;

use crate::schedule::policy::PolicyKind;
use crate::schedule::reading::Reading;

/// The word that stands for whatever a configuration without a policy gets.
pub const PRODUCT: &str = "product";

/// A way to ask the core.
#[derive(Clone, Debug, PartialEq)]
pub struct Variant {
    /// Its name in tables.
    pub name: String,
    /// How the core chooses.
    pub policy: PolicyKind,
    /// Answers are booked.
    pub books: bool,
    /// κ stays at 1, as if no other replica were there.
    pub ignores_replicas: bool,
    /// A filling node costs kilometres before it is full.
    pub prices: bool,
    /// Streams stick to nodes.
    pub sticks: bool,
    /// Exporters' own clocks are read; otherwise windows are those of receive time.
    pub reads_clocks: bool,
    /// The media server's client counter is read; otherwise the NIC and the CPU are all that is known.
    pub reads_clients: bool,
    /// A report of a failure has the node probed at once, and a player may say where it is.
    pub hears_players: bool,
    /// An answer by DNS stands for as many viewers as its resolver is large; otherwise for one.
    pub minds_crowds: bool,
    /// Nodes of a PoP are chosen together; otherwise each stands for itself.
    pub knows_pops: bool,
}

// === impl Variant ===

impl Variant {
    /// The names that are not a policy's own.
    pub const ABLATIONS: [&'static str; 7] =
        ["naive", "no-booking", "no-kappa", "no-price", "no-affinity", "no-clock", "no-crowds"];

    /// The variant of this name: a policy's, [`PRODUCT`], or an ablation of it. `product` is what `product`
    /// stands for here.
    ///
    /// # Errors
    /// The name is none of these; the message lists them.
    pub fn named(name: &str, product: PolicyKind) -> anyhow::Result<Self> {
        let whole = Self {
            name: name.to_owned(),
            policy: product,
            books: true,
            ignores_replicas: false,
            prices: true,
            sticks: true,
            reads_clocks: true,
            reads_clients: true,
            hears_players: true,
            minds_crowds: true,
            knows_pops: true,
        };
        Ok(match name {
            PRODUCT => Self { name: product.as_str().to_owned(), ..whole },
            // The rule that everybody writes first: the nearest node whose last sample was under 80 %.
            "naive" => Self {
                policy: PolicyKind::Nearest,
                books: false,
                reads_clients: false,
                hears_players: false,
                minds_crowds: false,
                knows_pops: false,
                ..whole
            },
            "no-booking" => Self { books: false, ..whole },
            "no-kappa" => Self { ignores_replicas: true, ..whole },
            "no-price" => Self { prices: false, ..whole },
            "no-affinity" => Self { sticks: false, ..whole },
            "no-clock" => Self { reads_clocks: false, ..whole },
            "no-crowds" => Self { minds_crowds: false, ..whole },
            word => match PolicyKind::from_str(word) {
                Ok(policy) => Self { policy, ..whole },
                Err(_) => anyhow::bail!("no policy {word}; there are {}", Self::names().join(", ")),
            },
        })
    }

    /// What this variant reads of a page.
    pub(super) fn read(&self, page: Reading) -> Reading {
        Reading {
            clock_s: page.clock_s.filter(|_| self.reads_clocks),
            media: page.media.filter(|_| self.reads_clients),
            published: None,
            streams: if self.reads_clients { page.streams } else { Vec::new() },
            ..page
        }
    }

    /// All names.
    #[must_use]
    pub fn names() -> Vec<&'static str> {
        let policies = PolicyKind::ALL.into_iter().map(PolicyKind::as_str);
        policies.chain(std::iter::once(PRODUCT)).chain(Self::ABLATIONS).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_name_is_a_variant_and_others_are_refused_with_the_list() {
        for name in Variant::names() {
            assert!(Variant::named(name, PolicyKind::default()).is_ok(), "{name}");
        }
        let refusal = Variant::named("fastest", PolicyKind::default()).unwrap_err().to_string();
        assert!(refusal.contains("naive") && refusal.contains("nearest"), "{refusal}");
    }

    #[test]
    fn naive_books_nothing_and_the_product_does() {
        assert!(!Variant::named("naive", PolicyKind::default()).unwrap().books);
        assert!(Variant::named(PRODUCT, PolicyKind::default()).unwrap().books);
    }
}
