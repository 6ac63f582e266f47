//! What nodes are called in a zone: `chicago-1.nodes.example.com`, by the zone's `node_host`.
//!
//! SRV and HTTPS records lead to names, and these stand for one node each. Only nodes that players are sent to have one:
//! where origins are is nobody's business. Such a name is there as long as the node, drained or down: whoever was told it
//! a moment ago is to find it.

use arrayvec::ArrayVec;

use super::zones::{parent, wire};

/// Longest name, octets (RFC 1035 §2.3.4).
const LONGEST_NAME: usize = 255;

/// The names of nodes in one zone, as on the wire.
#[derive(Debug)]
pub(super) struct Hosts {
    /// What the first label has before the node's own …
    before: Box<[u8]>,
    /// … and after it.
    after: Box<[u8]>,
    /// The labels after that, the apex being the last of them.
    pub(super) parent: Box<[u8]>,
}

// === impl Hosts ===

impl Hosts {
    /// Those of a pattern with `{id}` in its first label, below an apex.
    pub(super) fn new(pattern: &str, apex: &str) -> Self {
        let (label, below) = pattern.split_once('.').unwrap_or((pattern, ""));
        let (before, after) = label.split_once("{id}").unwrap_or((label, ""));
        Self {
            before: before.as_bytes().into(),
            after: after.as_bytes().into(),
            parent: wire(&format!("{below}.{apex}")),
        }
    }

    /// The label of the node whose name this would be.
    pub(super) fn label<'n>(&self, name: &'n [u8]) -> Option<&'n str> {
        if parent(name)? != &*self.parent {
            return None;
        }
        let label = name.get(1..name.len() - self.parent.len())?;
        let label = label.strip_prefix(&*self.before)?.strip_suffix(&*self.after)?;
        std::str::from_utf8(label).ok()
    }

    /// The name of the node of this label; `None`: it would be too long.
    pub(super) fn name(&self, label: &str) -> Option<ArrayVec<u8, LONGEST_NAME>> {
        let length = self.before.len() + label.len() + self.after.len();
        let mut name = ArrayVec::new();
        name.push(u8::try_from(length).ok().filter(|length| (1..64).contains(length))?);
        for part in [&*self.before, label.as_bytes(), &*self.after, &*self.parent] {
            name.try_extend_from_slice(part).ok()?;
        }
        Some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_to_the_label_that_it_was_made_of_and_to_no_other() {
        for (pattern, name) in [
            ("{id}.nodes", "sh-1.nodes.example.com"),
            ("{id}", "sh-1.example.com"),
            ("edge-{id}-x.a.b", "edge-sh-1-x.a.b.example.com"),
        ] {
            let hosts = Hosts::new(pattern, "example.com");
            let made = hosts.name("sh-1").unwrap();
            assert_eq!(*made, *wire(name), "{pattern}");
            assert_eq!(hosts.label(&made), Some("sh-1"), "{pattern}");
            for other in ["example.com", "nodes.example.com", "x.sh-1.nodes.example.com", "com", ""] {
                assert_ne!(hosts.label(&wire(other)), Some("sh-1"), "{pattern} {other}");
            }
            assert_eq!(hosts.name(&"x".repeat(64)), None);
        }
        let long = format!("{{id}}.{}", vec!["x".repeat(60); 4].join("."));
        assert_eq!(Hosts::new(&long, "example.com").name("sh-1"), None);
    }
}
