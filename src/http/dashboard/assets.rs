//! What pages load: one style sheet, the module and its parts, the outline of the world. All of it is in the binary.

use bytes::Bytes;
use ring::digest;
use std::sync::LazyLock;

use super::words::Lang;

/// A file as it is served.
pub(in crate::http) struct Asset {
    pub(in crate::http) name: &'static str,
    pub(in crate::http) media_type: &'static str,
    pub(in crate::http) body: Bytes,
    /// Changes with the contents: a browser asks with it and is mostly told that nothing changed.
    pub(in crate::http) tag: String,
}

const SCRIPT: &str = "text/javascript; charset=utf-8";

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    let file = |name, media_type, body: &'static str| {
        Asset::new(name, media_type, Bytes::from_static(body.as_bytes()))
    };
    let words = |name, lang: Lang| Asset::new(name, SCRIPT, Bytes::from(lang.words().module()));
    vec![
        file("style.css", "text/css; charset=utf-8", include_str!("assets/style.css")),
        file("nodes.js", SCRIPT, include_str!("assets/nodes.js")),
        file("dom.js", SCRIPT, include_str!("assets/dom.js")),
        file("store.js", SCRIPT, include_str!("assets/store.js")),
        file("sentences.js", SCRIPT, include_str!("assets/sentences.js")),
        file("summary.js", SCRIPT, include_str!("assets/summary.js")),
        file("map.js", SCRIPT, include_str!("assets/map.js")),
        file("skyline.js", SCRIPT, include_str!("assets/skyline.js")),
        file("table.js", SCRIPT, include_str!("assets/table.js")),
        file("timeline.js", SCRIPT, include_str!("assets/timeline.js")),
        words("en.js", Lang::En),
        words("zh-CN.js", Lang::Zh),
        file("world.svg", "image/svg+xml", include_str!("assets/world.svg")),
        file("icon.svg", "image/svg+xml", include_str!("assets/icon.svg")),
    ]
});

/// The asset of this name.
pub(in crate::http) fn find(name: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.name == name)
}

// === impl Asset ===

impl Asset {
    fn new(name: &'static str, media_type: &'static str, body: Bytes) -> Self {
        let digest = digest::digest(&digest::SHA256, &body);
        let tag: String = digest.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Self { name, media_type, body, tag: format!("\"{tag}\"") }
    }
}
