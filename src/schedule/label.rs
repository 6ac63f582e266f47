//! Nodes as labels of host names: what DNS calls a node is its id in lower case, with a dash for each dot.
//!
//! A dot would make two labels of one, and certificates for `*.nodes.example.com` cover one. So `SH.1` and `sh-1` are the
//! same label. It belongs to the node whose id it is, else to the first of those that share it; the others have none.

use std::collections::HashMap;

use arrayvec::ArrayString;

use super::node::{Node, NodeIndex};

/// Longest label, octets (RFC 1035 §2.3.4).
pub const LONGEST: usize = 63;

/// A label of a host name.
pub type Label = ArrayString<LONGEST>;

/// The label of an id; `None`: it is too long.
#[must_use]
pub fn of(id: &str) -> Option<Label> {
    let mut label = Label::new();
    for c in id.chars() {
        label.try_push(if c == '.' { '-' } else { c.to_ascii_lowercase() }).ok()?;
    }
    Some(label)
}

/// Whose label is whose.
pub(super) fn index(nodes: &[Node], by_id: &HashMap<Box<str>, NodeIndex>) -> HashMap<Box<str>, NodeIndex> {
    let mut index = HashMap::with_capacity(nodes.len());
    for (i, node) in (0u32..).zip(nodes) {
        let Some(label) = of(&node.id) else { continue };
        index
            .entry(label.as_str().into())
            .or_insert(by_id.get(label.as_str()).copied().unwrap_or(NodeIndex(i)));
    }
    index
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::fleet::{Fleet, PoolSpec};

    fn node(id: &str) -> Node {
        Node { ipv4: vec![[192, 0, 2, 1].into()], ..Node::new(id, "edges", "shanghai") }
    }

    #[test]
    fn a_label_is_of_one_node_and_first_of_the_one_that_is_called_so() {
        let pool = PoolSpec { name: "edges".into(), on_overload: Default::default() };
        let long = "x".repeat(64);
        let ids = ["A.1", "SH-1", "a-1", "sh.1", "paris", &long];
        let nodes = ids.map(node);
        let fleet = Fleet::build(nodes.to_vec(), &[pool], &[]).unwrap();
        let owner = |label: &str| fleet.by_label(label).map(|node| &*fleet.node(node).id);
        for (label, id) in [
            ("a-1", Some("a-1")),
            ("sh-1", Some("SH-1")),
            ("paris", Some("paris")),
            ("A.1", None),
            (&long, None),
        ] {
            assert_eq!(owner(label), id, "{label}");
        }
        let labels = ids.map(|id| fleet.by_id(id).and_then(|node| fleet.label(node)));
        assert_eq!(labels.map(|label| label.is_some()), [false, true, true, false, true, false]);
    }
}
