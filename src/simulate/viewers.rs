//! Viewers: who is there, in a slab. A ticket outlives its viewer harmlessly: an event about somebody who has
//! left is recognised and dropped.

use super::time::At;

/// Points at a viewer, and knows when that viewer is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket {
    slot: u32,
    life: u32,
}

/// One viewer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Viewer {
    /// Where it is.
    pub(super) city: u16,
    /// Where GeoIP says it is.
    pub(super) located: u16,
    /// What it watches.
    pub(super) stream: u16,
    /// Nodes that have failed it since it last was well; 0 most of the time.
    pub(super) attempts: u8,
    /// How it came and what it does.
    pub(super) manner: Manner,
    /// What it takes, kbit/s.
    pub(super) kbps: u32,
    /// How long it stays once connected, s; afterwards unused.
    pub(super) hold_s: f32,
    /// The node it watches.
    pub(super) node: Option<u32>,
    /// The node it was told and has not reached yet.
    pub(super) told: Option<u32>,
    /// The node that has just failed it.
    pub(super) failed: Option<u32>,
    /// Its place in its node's list.
    pub(super) place: u32,
    /// Tells who had this slot before from who has it now.
    pub(super) life: u32,
}

/// How a viewer came and what it does.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Manner {
    /// The scheduler placed it (not the start, not a way past the scheduler).
    pub(super) placed: bool,
    /// It has been connected before: its departure is planned.
    pub(super) settled: bool,
    /// It came past the scheduler and never asks.
    pub(super) past: bool,
    /// It will not manage to connect.
    pub(super) no_show: bool,
    /// It lost its last node by stalling.
    pub(super) stalled: bool,
    /// Its player asks again and again although it is well.
    pub(super) polls: bool,
}

/// All viewers.
#[derive(Debug, Default)]
pub(super) struct Viewers {
    slots: Vec<Viewer>,
    free: Vec<u32>,
}

// === impl Viewers ===

impl Viewers {
    /// A new viewer.
    pub(super) fn admit(&mut self, viewer: Viewer) -> Ticket {
        match self.free.pop() {
            Some(slot) => {
                let life = self.slots[slot as usize].life;
                self.slots[slot as usize] = Viewer { life, ..viewer };
                Ticket { slot, life }
            }
            None => {
                self.slots.push(Viewer { life: 0, ..viewer });
                Ticket { slot: (self.slots.len() - 1) as u32, life: 0 }
            }
        }
    }

    /// The viewer of this ticket, unless it has left.
    pub(super) fn get(&mut self, ticket: Ticket) -> Option<&mut Viewer> {
        self.slots.get_mut(ticket.slot as usize).filter(|viewer| viewer.life == ticket.life)
    }

    /// The viewer in this slot.
    pub(super) fn in_slot(&mut self, slot: u32) -> (Ticket, &mut Viewer) {
        let viewer = &mut self.slots[slot as usize];
        (Ticket { slot, life: viewer.life }, viewer)
    }

    /// The viewer has left.
    pub(super) fn remove(&mut self, ticket: Ticket) {
        if let Some(viewer) = self.get(ticket) {
            viewer.life += 1;
            viewer.node = None;
            self.free.push(ticket.slot);
        }
    }

    /// Viewers there are.
    pub(super) fn count(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}

// === impl Ticket ===

impl Ticket {
    /// The slot it points at.
    pub(super) fn slot(self) -> u32 {
        self.slot
    }
}

/// When somebody's player looks in again, if it polls: spread over the interval by its slot.
pub(super) fn poll_at(now: At, ticket: Ticket, every_s: f64, first: bool) -> At {
    let phase = if first { f64::from(ticket.slot % 997) / 997.0 } else { 1.0 };
    now.plus_s(every_s * phase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_of_somebody_who_left_finds_nobody() {
        let mut viewers = Viewers::default();
        let first = viewers.admit(Viewer { kbps: 1, ..Viewer::default() });
        viewers.remove(first);
        let second = viewers.admit(Viewer { kbps: 2, ..Viewer::default() });
        assert_eq!(first.slot(), second.slot());
        assert!(viewers.get(first).is_none());
        assert_eq!(viewers.get(second).map(|viewer| viewer.kbps), Some(2));
        viewers.remove(first);
        assert_eq!(viewers.count(), 1);
    }
}
