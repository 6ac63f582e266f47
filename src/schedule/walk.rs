//! The walk: a pool's groups outwards from the client, each with how far it is at least.
//!
//! Distances come in three grains, each a lower bound of the next and dearer than the one before: by the list of the
//! client's cell, by the chord, and exactly. Whoever walks asks for the finer one only where the coarser one leaves
//! something open.

use super::cells::{Cell, Ring};
use super::fleet::{Group, Pool};
use super::place::{Location, Point};
use super::rtt::NEARER_AT_MOST;
use super::scene::{Scene, mix};

/// A group on the way.
#[derive(Clone, Copy, Debug)]
pub struct Visit<'a> {
    /// The group.
    pub group: &'a Group,
    /// No group from here on is nearer than this, km.
    pub at_least_km: f32,
    /// What a group without a place counts as, km: as far as anything, 0 where the client has none either.
    unplaced_km: f32,
}

/// The groups of a pool in order, as seen from the client's cell.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around<'a> {
    ring: &'a Ring,
    /// How far the client is from the ring's centre at most, km.
    offset_km: f32,
}

/// The groups of a pool outwards from a client; from any group on where the client has no place.
#[derive(Debug)]
pub struct Walk<'a> {
    pool: &'a Pool,
    around: Option<Around<'a>>,
    /// What is measured may bring a group so much nearer than the map says: the order is no more that of distance.
    nearer: f32,
    /// Where to begin if there is no ring.
    start: usize,
    at: usize,
}

// === impl Around ===

impl<'a> Around<'a> {
    /// Those of a pool around a client.
    #[inline]
    pub(super) fn new(pool: &'a Pool, location: Location, client: Point) -> Self {
        let ring = pool.cells.ring(Cell::of(location));
        Self { ring, offset_km: ring.offset_km(client) }
    }
}

// === impl Walk ===

impl<'a> Walk<'a> {
    #[inline]
    fn new(scene: &Scene<'a>) -> Self {
        let pool = scene.pool;
        let start = match scene.around {
            None if !pool.groups.is_empty() => {
                usize::try_from(mix(scene.ask.ticket)).unwrap_or(0) % pool.groups.len()
            }
            _ => 0,
        };
        Self {
            pool,
            around: scene.around,
            nearer: if scene.ask.rtt.is_some() { 1.0 / NEARER_AT_MOST } else { 1.0 },
            start,
            at: 0,
        }
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = Visit<'a>;

    #[inline]
    fn next(&mut self) -> Option<Visit<'a>> {
        let at = self.at;
        self.at += 1;
        if let Some(around) = self.around {
            let near = around.ring.get(at)?;
            let map_km = near.km() - around.offset_km;
            let group = &self.pool.groups[near.group()];
            return Some(Visit { group, at_least_km: map_km * self.nearer, unplaced_km: map_km });
        }
        let groups = &self.pool.groups;
        (at < groups.len()).then(|| Visit {
            group: &groups[(self.start + at) % groups.len()],
            at_least_km: 0.0,
            unplaced_km: 0.0,
        })
    }
}

// === impl Scene ===

impl<'a> Scene<'a> {
    /// The pool's groups outwards from the client; from any group on where the client has no place.
    #[must_use]
    #[inline]
    pub fn walk(&self) -> Walk<'a> {
        Walk::new(self)
    }

    /// Whether both the client and a group have a place.
    #[must_use]
    pub fn is_placed(&self, visit: &Visit<'_>) -> bool {
        self.client.is_some() && visit.group.point.is_some()
    }

    /// A lower bound of [`Scene::km_to`], km, tighter than [`Visit::at_least_km`] and still cheap.
    #[must_use]
    #[inline]
    pub fn chord_km_to(&self, visit: &Visit<'_>) -> f32 {
        match (self.client, visit.group.point) {
            (Some(client), Some(point)) if self.ask.rtt.is_none() => client.chord_km(point),
            _ => visit.at_least_km,
        }
    }

    /// A group's distance on the map, km; `None`: the client or the group has no place.
    #[must_use]
    #[inline]
    pub fn map_km_to(&self, visit: &Visit<'_>) -> Option<f32> {
        Some(self.client?.near_km(visit.group.point?))
    }

    /// How far a group counts as being whose distance on the map is `map_km`: what was measured in its stead, km.
    #[must_use]
    #[inline]
    pub fn counted_km(&self, visit: &Visit<'_>, map_km: f32) -> f32 {
        self.ask.rtt.map_or(map_km, |row| row.km(visit.group.pop, map_km))
    }

    /// A group's distance, or what was measured in its stead, km; `None`: the client or the group has no place. Worked
    /// out when asked for: most groups on the way are passed over by their bound.
    #[must_use]
    #[inline]
    pub fn km_to(&self, visit: &Visit<'_>) -> Option<f32> {
        self.map_km_to(visit).map(|km| self.counted_km(visit, km))
    }

    /// How far a group counts as being whose distance on the map is `map_km`, km, if it has a place or not.
    #[must_use]
    #[inline]
    pub fn counted_or_unplaced_km(&self, visit: &Visit<'_>, map_km: Option<f32>) -> f32 {
        map_km.map_or(visit.unplaced_km, |km| self.counted_km(visit, km))
    }
}
