//! A reply as JSON, as Google's public resolver has it (developers.google.com/speed/public-dns/docs/doh/json) and others
//! after it. RFC 8427 has another form, which nobody asks for.

use domain::base::name::ToName;
use domain::base::opt::ClientSubnet;
use domain::base::{Message, ParsedName, RecordSection};
use domain::rdata::AllRecordData;
use serde::Serialize;

#[derive(Serialize)]
struct Reply {
    #[serde(rename = "Status")]
    status: u16,
    #[serde(rename = "TC")]
    is_cut: bool,
    #[serde(rename = "RD")]
    wants_recursion: bool,
    #[serde(rename = "RA")]
    has_recursion: bool,
    #[serde(rename = "AD")]
    is_authentic: bool,
    #[serde(rename = "CD")]
    is_unchecked: bool,
    #[serde(rename = "Question")]
    questions: Vec<Question>,
    #[serde(rename = "Answer", skip_serializing_if = "Vec::is_empty")]
    answers: Vec<Record>,
    #[serde(rename = "Authority", skip_serializing_if = "Vec::is_empty")]
    authority: Vec<Record>,
    /// The client subnet that was asked for, and the bits of it that the answer rests on.
    #[serde(skip_serializing_if = "Option::is_none")]
    edns_client_subnet: Option<String>,
}

#[derive(Serialize)]
struct Question {
    name: String,
    r#type: u16,
}

#[derive(Serialize)]
struct Record {
    name: String,
    r#type: u16,
    #[serde(rename = "TTL")]
    ttl_s: u32,
    data: String,
}

/// A reply's JSON; `None`: it cannot be read.
pub(super) fn written(reply: &[u8]) -> Option<Vec<u8>> {
    let message = Message::from_slice(reply).ok()?;
    let header = message.header();
    let question = |question: domain::base::Question<ParsedName<&[u8]>>| Question {
        name: dotted(question.qname()),
        r#type: question.qtype().to_int(),
    };
    let subnet = message.opt().and_then(|opt| opt.opt().first::<ClientSubnet>());
    let reply = Reply {
        status: message.opt_rcode().to_int(),
        is_cut: header.tc(),
        wants_recursion: header.rd(),
        has_recursion: header.ra(),
        is_authentic: header.ad(),
        is_unchecked: header.cd(),
        questions: message.question().map(|read| Some(question(read.ok()?))).collect::<Option<_>>()?,
        answers: records(message.answer().ok()?)?,
        authority: records(message.authority().ok()?)?,
        edns_client_subnet: subnet.map(|subnet| format!("{}/{}", subnet.addr(), subnet.scope_prefix_len())),
    };
    serde_json::to_vec(&reply).ok()
}

fn records(section: RecordSection<'_, [u8]>) -> Option<Vec<Record>> {
    let read = |record: domain::base::ParsedRecord<'_, [u8]>| {
        let record = record.to_record::<AllRecordData<_, ParsedName<&[u8]>>>().ok()??;
        Some(Record {
            name: dotted(record.owner()),
            r#type: record.rtype().to_int(),
            ttl_s: record.ttl().as_secs(),
            data: record.data().to_string(),
        })
    };
    section.map(|record| read(record.ok()?)).collect()
}

/// A name with its final dot.
fn dotted(name: impl ToName) -> String {
    name.fmt_with_dot().to_string()
}
