//! The optional terms of the choice: what a node's traffic costs, and whether its line is the client's.
//!
//! `C·(price_n − price_min)`: prices are relative, 1.0 by default. The cheapest node of the **pool** is the zero: a
//! choice is about differences, and with it every term is ≥ 0, which the bounds of the search stand on.
//! `P` km for a node that names internet providers when the client's is known and not among them.
//!
//! Both are worked out once per fleet, a number and a bit set per node; pools in which all prices are equal and no node
//! names a provider pay one test per node.

use super::booking::Ledger;
use super::fleet::{Fleet, Pool};
use super::isp::IspId;
use super::node::NodeIndex;

/// Settings of the optional terms. All zero: off.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TermSettings {
    /// C: what one unit of a node's price is worth, km.
    pub price_km: f32,
    /// P: what another provider's line is worth, km.
    pub isp_km: f32,
    /// How much farther prices may take an answer, km on average; C is adapted to that. `None`: C stays.
    pub distance_budget_km: Option<f32>,
}

/// The terms of one question.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    fleet: &'a Fleet,
    /// C; 0: prices do not count here.
    price_km: f32,
    /// P; 0: providers do not count here.
    isp_km: f32,
    /// The client's provider.
    bit: u64,
}

/// The terms of one node, km.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TermsKm {
    /// For its price.
    pub price: f32,
    /// For its line.
    pub isp: f32,
}

// === impl Terms ===

impl<'a> Terms<'a> {
    /// The terms that count in a pool for a client of this provider.
    #[must_use]
    pub fn new(fleet: &'a Fleet, ledger: &Ledger, pool: &Pool, isp: Option<IspId>) -> Self {
        Self {
            fleet,
            price_km: if pool.has_prices { ledger.price_term().km() } else { 0.0 },
            isp_km: if pool.has_isps && isp.is_some() { ledger.isp_km() } else { 0.0 },
            bit: isp.map_or(0, IspId::bit),
        }
    }

    /// Whether any of them counts.
    #[must_use]
    pub fn any(&self) -> bool {
        self.price_km > 0.0 || self.isp_km > 0.0
    }

    /// Those of a node.
    #[must_use]
    pub fn of(&self, node: NodeIndex) -> TermsKm {
        let isps = self.fleet.isps[node.get()];
        let differs = isps != 0 && isps & self.bit == 0;
        TermsKm {
            price: self.price_km * self.fleet.excess_price[node.get()],
            isp: if differs { self.isp_km } else { 0.0 },
        }
    }
}

// === impl TermsKm ===

impl TermsKm {
    /// Both.
    #[must_use]
    pub fn sum(self) -> f32 {
        self.price + self.isp
    }
}
