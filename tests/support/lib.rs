//! What black-box tests share: an emulated exporter, the real binary as a child process, a small client.
//!
//! Taken in with `#[path = "support/lib.rs"] mod support;`. Everything listens on loopback, port 0, and is gone
//! when its value is dropped.

#![allow(dead_code, unused_imports, reason = "each test target uses its own part of this")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot set its stage should stop at once"
)]

mod client;
mod exporter;
mod service;

pub(crate) use self::client::{Reply, client, eventually, get, get_with, post, post_json, stays_so};
pub(crate) use self::exporter::{Behaviour, Knobs, TestExporter, mix};
pub(crate) use self::service::{Service, free_port, nearcast};
