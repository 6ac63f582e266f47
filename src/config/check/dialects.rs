//! `[dialects]`: other services' HTTP-DNS.

use crate::config::Dialects;
use crate::config::raw::Section;
use crate::config::values::switch;

pub(super) fn read(section: &mut Section<'_>) -> Dialects {
    let default = Dialects::default();
    Dialects {
        dnspod: section.get_or("dnspod", default.dnspod, switch),
        alibaba: section.get_or("alibaba", default.alibaba, switch),
    }
}

// === impl Dialects ===

impl Default for Dialects {
    fn default() -> Self {
        Self { dnspod: true, alibaba: true }
    }
}
