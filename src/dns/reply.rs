//! A reply written: header, the question as it came, prepared records, OPT.
//!
//! Owners are pointers: to the question's name, or to its tail where a zone's apex begins. What does not fit is cut to
//! header, question and OPT, with TC set (RFC 2181 §9), so that the asker comes again by TCP.

use std::net::IpAddr;

use super::query::{HEADER, Head};

/// Points to the question's name.
const NAME: u16 = 0xc000 | HEADER as u16;
/// IN.
const CLASS: u16 = 1;
/// OPT's TYPE.
const OPT: u16 = 41;
/// Octets that are kept free for OPT with every option that there can be: 11, a client subnet (24), a cookie (28) and the
/// longest name of ours (68).
const OPTIONS: usize = 131;
/// What padded replies are a multiple of, octets (RFC 8467 §4.1).
const BLOCK: usize = 468;
/// The option's code.
const PADDING: u16 = 12;
/// What we can take by UDP: what passes everywhere without fragments (DNS flag day 2020).
pub(super) const PAYLOAD: u16 = 1_232;

/// Flags in the second half of the header's first four octets.
const QR: u16 = 0x8000;
const AA: u16 = 0x0400;
const TC: u16 = 0x0200;
const RD: u16 = 0x0100;
/// Flags of OPT, in their first octet.
const DO: u8 = 0x80;
pub(super) const CO: u8 = 0x40;

/// A reply being written.
pub(super) struct Reply<'o> {
    out: &'o mut Vec<u8>,
    answers: u16,
    authority: u16,
    additional: u16,
    /// Records for the additional section, which comes last.
    glue: Vec<Vec<u8>>,
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
    /// What does not exist is denied in the compact form, and the asker understands that (RFC 9824 §5.1).
    pub(super) is_compact: bool,
}

/// Whose a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// The question's name.
    Question,
    /// The last so many octets of it: an apex.
    Tail(usize),
}

// === impl Reply ===

impl<'o> Reply<'o> {
    /// Begins one of at most `limit` octets.
    pub(super) fn new(out: &'o mut Vec<u8>, question: &[u8], limit: usize) -> Self {
        out.clear();
        out.resize(HEADER, 0);
        out.extend_from_slice(question);
        let body = out.len();
        Self { out, answers: 0, authority: 0, additional: 0, glue: Vec::new(), body, limit, is_cut: false }
    }

    /// An answer, owned by the question's name.
    #[inline]
    pub(super) fn answer(&mut self, kind: u16, ttl_s: u32, data: &[u8]) {
        if self.record(NAME, kind, ttl_s, data) {
            self.answers += 1;
        }
    }

    /// An A or AAAA record, owned by the question's name.
    pub(super) fn address(&mut self, ip: IpAddr, ttl_s: u32) {
        match ip {
            IpAddr::V4(ip) => self.answer(A, ttl_s, &ip.octets()),
            IpAddr::V6(ip) => self.answer(AAAA, ttl_s, &ip.octets()),
        }
    }

    /// An address of a name that answers lead to, after all of these. Whoever misses it asks for it, so one that
    /// does not fit is left out (RFC 2181 §9).
    pub(super) fn glue(&mut self, owner: &[u8], ip: IpAddr, ttl_s: u32) {
        let mut record = owner.to_vec();
        match ip {
            IpAddr::V4(ip) => write_data(&mut record, A, ttl_s, &ip.octets()),
            IpAddr::V6(ip) => write_data(&mut record, AAAA, ttl_s, &ip.octets()),
        }
        self.glue.push(record);
    }

    /// Such addresses are left out after all.
    pub(super) fn drop_glue(&mut self) {
        self.glue.clear();
    }

    /// Writes them: all answers are there.
    fn write_glue(&mut self) {
        for record in std::mem::take(&mut self.glue) {
            if !self.is_cut && self.out.len() + record.len() + OPTIONS <= self.limit {
                self.out.extend_from_slice(&record);
                self.additional += 1;
            }
        }
    }

    /// A SOA beside a negative answer; its apex is the last `apex` octets of the question's name.
    pub(super) fn soa(&mut self, apex: usize, ttl_s: u32, data: &[u8]) {
        self.authority(Owner::Tail(apex), SOA, ttl_s, data);
    }

    /// A record beside a negative answer.
    pub(super) fn authority(&mut self, owner: Owner, kind: u16, ttl_s: u32, data: &[u8]) {
        let owner = match owner {
            Owner::Question => NAME,
            Owner::Tail(octets) => {
                // The question's name ends four octets before the question does.
                let at = (self.body - 4).saturating_sub(octets);
                // At most 12 + 255: 14 bits hold it.
                0xc000 | u16::try_from(at).unwrap_or(NAME)
            }
        };
        if self.record(owner, kind, ttl_s, data) {
            self.authority += 1;
        }
    }

    /// TYPE and TTL of what was answered; `None`: nothing was.
    pub(super) fn answered(&self) -> Option<(u16, u32)> {
        let [_, _, kind_high, kind_low, _, _, ttl @ ..] = self.out.get(self.body..)?.first_chunk::<10>()?;
        let kind = u16::from_be_bytes([*kind_high, *kind_low]);
        (self.answers > 0).then_some((kind, u32::from_be_bytes(*ttl)))
    }

    /// RDATA of each answer.
    pub(super) fn answers(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.out.get(self.body..).unwrap_or_default();
        (0..self.answers).map_while(move |_| {
            let (length, after) = rest.get(10..)?.split_first_chunk()?;
            let (data, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
            rest = after;
            Some(data)
        })
    }

    /// Whether something did not fit.
    pub(super) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Leaves header and question.
    pub(super) fn empty(&mut self) {
        self.out.truncate(self.body);
        self.glue.clear();
        (self.answers, self.authority, self.additional) = (0, 0, 0);
    }

    /// OPT with these options: code and content. Padded, it makes the whole a multiple of [`BLOCK`].
    pub(super) fn edns<'d>(
        &mut self,
        end: &End,
        dnssec_ok: bool,
        options: impl Iterator<Item = (u16, &'d [u8])> + Clone,
        is_padded: bool,
    ) {
        self.write_glue();
        let length: usize = options.clone().map(|(_, content)| content.len() + 4).sum();
        if self.out.len() + 11 + length > self.limit {
            self.cut();
        }
        let unpadded = self.out.len() + 11 + length;
        let whole = (unpadded + 4).next_multiple_of(BLOCK);
        let padding = (is_padded && whole <= self.limit).then(|| whole - unpadded - 4);
        let length = length + padding.map_or(0, |padding| padding + 4);
        self.out.push(0);
        self.out.extend_from_slice(&OPT.to_be_bytes());
        self.out.extend_from_slice(&PAYLOAD.to_be_bytes());
        let extended = u8::try_from(end.rcode >> 4).unwrap_or_default();
        let flags = if dnssec_ok { DO } else { 0 } | if end.is_compact { CO } else { 0 };
        self.out.extend_from_slice(&[extended, 0, flags, 0]);
        self.out.extend_from_slice(&short(length));
        for (code, content) in options {
            self.out.extend_from_slice(&code.to_be_bytes());
            self.out.extend_from_slice(&short(content.len()));
            self.out.extend_from_slice(content);
        }
        if let Some(padding) = padding {
            self.out.extend_from_slice(&PADDING.to_be_bytes());
            self.out.extend_from_slice(&short(padding));
            self.out.resize(whole, 0);
        }
        self.additional += 1;
    }

    /// Writes the header, which is known only now.
    pub(super) fn finish(mut self, head: Head, end: &End) {
        self.write_glue();
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
    #[inline]
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
        self.empty();
        self.is_cut = true;
    }
}

/// TYPEs.
const A: u16 = 1;
const SOA: u16 = 6;
const AAAA: u16 = 28;

/// What a record has after its owner.
fn write_data(out: &mut Vec<u8>, kind: u16, ttl_s: u32, data: &[u8]) {
    for field in [kind, CLASS] {
        out.extend_from_slice(&field.to_be_bytes());
    }
    out.extend_from_slice(&ttl_s.to_be_bytes());
    out.extend_from_slice(&short(data.len()));
    out.extend_from_slice(data);
}

/// A length, which is below 64 KiB by what the configuration and the limit allow.
fn short(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes()
}
