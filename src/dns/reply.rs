//! A reply written: header, the question as it came, prepared records, OPT.
//!
//! Owners are pointers: to the question's name, or to its tail where a zone's apex begins. What does not fit is cut to
//! header, question and OPT, with TC set (RFC 2181 §9), so that the asker comes again by TCP.

use super::query::{HEADER, Head};

/// Points to the question's name.
const NAME: u16 = 0xc000 | HEADER as u16;
/// IN.
const CLASS: u16 = 1;
/// OPT's TYPE.
const OPT: u16 = 41;
/// What we can take by UDP: what passes everywhere without fragments (DNS flag day 2020).
pub(super) const PAYLOAD: u16 = 1_232;

/// Flags in the second half of the header's first four octets.
const QR: u16 = 0x8000;
const AA: u16 = 0x0400;
const TC: u16 = 0x0200;
const RD: u16 = 0x0100;

/// A reply being written.
pub(super) struct Reply<'o> {
    out: &'o mut Vec<u8>,
    answers: u16,
    authority: u16,
    additional: u16,
    /// Where the sections after the question begin.
    body: usize,
    /// No longer than this without OPT.
    limit: usize,
    is_cut: bool,
}

/// How it ends.
pub(super) struct End {
    /// All twelve bits of it.
    pub(super) rcode: u16,
    pub(super) is_authoritative: bool,
}

// === impl Reply ===

impl<'o> Reply<'o> {
    /// Begins one of at most `limit` octets.
    pub(super) fn new(out: &'o mut Vec<u8>, question: &[u8], limit: usize) -> Self {
        out.clear();
        out.resize(HEADER, 0);
        out.extend_from_slice(question);
        let body = out.len();
        Self { out, answers: 0, authority: 0, additional: 0, body, limit, is_cut: false }
    }

    /// An answer, owned by the question's name.
    pub(super) fn answer(&mut self, kind: u16, ttl_s: u32, data: &[u8]) {
        if self.record(NAME, kind, ttl_s, data) {
            self.answers += 1;
        }
    }

    /// A SOA beside a negative answer; its apex is the last `apex` octets of the question's name.
    pub(super) fn soa(&mut self, apex: usize, ttl_s: u32, data: &[u8]) {
        // The question's name ends four octets before the question does.
        let at = (self.body - 4).saturating_sub(apex);
        // At most 12 + 255: 14 bits hold it.
        if self.record(0xc000 | u16::try_from(at).unwrap_or(NAME), SOA, ttl_s, data) {
            self.authority += 1;
        }
    }

    /// OPT with these options: code and content.
    pub(super) fn edns<'d>(
        &mut self,
        rcode: u16,
        dnssec_ok: bool,
        options: impl Iterator<Item = (u16, &'d [u8])> + Clone,
    ) {
        let length: usize = options.clone().map(|(_, content)| content.len() + 4).sum();
        if self.out.len() + 11 + length > self.limit {
            self.cut();
        }
        self.out.push(0);
        self.out.extend_from_slice(&OPT.to_be_bytes());
        self.out.extend_from_slice(&PAYLOAD.to_be_bytes());
        let extended = u8::try_from(rcode >> 4).unwrap_or_default();
        self.out.extend_from_slice(&[extended, 0, if dnssec_ok { 0x80 } else { 0 }, 0]);
        self.out.extend_from_slice(&short(length));
        for (code, content) in options {
            self.out.extend_from_slice(&code.to_be_bytes());
            self.out.extend_from_slice(&short(content.len()));
            self.out.extend_from_slice(content);
        }
        self.additional = 1;
    }

    /// Writes the header, which is known only now.
    pub(super) fn finish(self, head: Head, end: &End) {
        let mut flags = QR | u16::from(head.opcode) << 11 | (end.rcode & 0xf);
        for (bit, is_set) in [(AA, end.is_authoritative), (TC, self.is_cut), (RD, head.wants_recursion)] {
            flags |= if is_set { bit } else { 0 };
        }
        let questions = u16::from(self.body > HEADER);
        let fields = [head.id, flags, questions, self.answers, self.authority, self.additional];
        for (place, field) in self.out.chunks_exact_mut(2).zip(fields) {
            place.copy_from_slice(&field.to_be_bytes());
        }
    }

    /// One record; `false`: nothing more fits, and nothing that was there before is left.
    fn record(&mut self, owner: u16, kind: u16, ttl_s: u32, data: &[u8]) -> bool {
        if self.is_cut || self.out.len() + 12 + data.len() > self.limit {
            self.cut();
            return false;
        }
        // By one addition: an answer has several records.
        let ([o, p], [k, l], [c, d]) = (owner.to_be_bytes(), kind.to_be_bytes(), CLASS.to_be_bytes());
        let ([t, u, v, w], [m, n]) = (ttl_s.to_be_bytes(), short(data.len()));
        self.out.extend_from_slice(&[o, p, k, l, c, d, t, u, v, w, m, n]);
        self.out.extend_from_slice(data);
        true
    }

    /// Leaves header, question and OPT, with TC.
    pub(super) fn cut(&mut self) {
        self.out.truncate(self.body);
        (self.answers, self.authority, self.is_cut) = (0, 0, true);
    }
}

/// SOA's TYPE.
const SOA: u16 = 6;

/// A length, which is below 64 KiB by what the configuration and the limit allow.
fn short(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes()
}
