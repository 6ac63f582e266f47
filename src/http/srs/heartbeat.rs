//! What a media server says of itself: its names, where it listens, and how loaded it is.
//!
//! Facts from SRS `srs_app_heartbeat.cpp` and `srs_app_utility.cpp`, and from captures of 7.0.18. Versions before 5.0 send
//! only `device_id`, `ip` and, if asked to, `summaries`. Members that are not known are ignored, those that are absent are
//! nothing; one that is not what it should be is refused by name, and so is the heartbeat: half of it would be guesswork.

use std::net::IpAddr;

use serde_json::{Map, Value};

use crate::schedule::node::MediaPorts;
use crate::schedule::reading::{HostReading, MediaReading, ProcessCpu, ProcessReading, Reading};
use crate::state::registry::Heartbeat;
use crate::state::streams::Identity;

/// How often SRS looks at what it counts itself, and at its network interfaces, s.
const MEDIA_GRAIN_S: f64 = 3.0;
const NIC_GRAIN_S: f64 = 9.0;
/// Most endpoints of one kind.
const MOST_ENDPOINTS: usize = 64;
/// Of what is wrong, so many characters are repeated to the caller.
const LONGEST_ECHO: usize = 60;

/// What is wrong with a body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {why}")]
pub(in crate::http) struct Malformed {
    /// Which member; `body`: all of it.
    name: String,
    why: String,
}

/// An object of the body and how it is called.
struct Members<'a> {
    path: &'static str,
    members: Option<&'a Map<String, Value>>,
}

/// Reads a body.
pub(in crate::http) fn read(body: &[u8]) -> Result<Heartbeat, Malformed> {
    let body: Value =
        serde_json::from_slice(body).map_err(|error| Malformed::new("body", error.to_string()))?;
    let Value::Object(members) = &body else { return Err(Malformed::new("body", "must be a JSON object")) };
    let body = Members { path: "", members: Some(members) };
    let (server, service, pid) = (body.word("server")?, body.word("service")?, body.word("pid")?);
    let ports = MediaPorts {
        rtmp: body.port("rtmp")?,
        http: body.port("http")?,
        https: None,
        api: body.port("api")?,
        srt: body.port("srt")?,
        rtc: body.port("rtc")?,
    };
    // As an exporter's page of the same server tells it.
    let page_identity = format!("{server}/{service}/{pid}").into();
    Ok(Heartbeat {
        device: body.word("device_id")?.into(),
        ip: body.ip("ip")?,
        identity: Identity::new(&server, &service, &pid),
        ports,
        told: told(&body.object("summaries", "summaries.")?, page_identity)?,
    })
}

/// The summaries as a reading; `None`: there are none, or SRS says that they are of no use.
fn told(summaries: &Members<'_>, identity: Box<str>) -> Result<Option<Reading>, Malformed> {
    let data = summaries.object("data", "summaries.data.")?;
    if data.members.is_none() || data.get("ok").is_some_and(|ok| *ok == Value::Bool(false)) {
        return Ok(None);
    }
    let own = data.object("self", "summaries.data.self.")?;
    let system = data.object("system", "summaries.data.system.")?;
    // Only interfaces with a public IPv4 address are in these; behind NAT they stay at 0 and tell nothing.
    let sent = system.number("net_send_bytes")?.filter(|bytes| *bytes > 0.0);
    let (clock, grain_s) =
        if sent.is_some() { ("net_sample_time", NIC_GRAIN_S) } else { ("srs_sample_time", MEDIA_GRAIN_S) };
    let cpus = system.number("cpus_online")?.or(system.number("cpus")?).unwrap_or_default();
    let memory = system.number("mem_ram_kbyte")?.filter(|kib| *kib > 0.0).map(|kib| kib * 1024.0);
    let used = system.number("mem_ram_percent")?;
    let host = HostReading {
        cpus: whole(cpus).unwrap_or_default(),
        busy: system.number("cpu_percent")?,
        transmit_bytes: sent,
        receive_bytes: system.number("net_recv_bytes")?.filter(|bytes| *bytes > 0.0),
        memory_total_bytes: memory,
        memory_available_bytes: memory.zip(used).map(|(total, used)| total * (1.0 - used)),
        load1: system.number("load_1m")?,
        ..HostReading::default()
    };
    let media = MediaReading {
        identity,
        clients: system.number("conn_srs")?,
        clients_total: None,
        send_bytes: system.number("srs_send_bytes")?,
        receive_bytes: system.number("srs_recv_bytes")?,
    };
    let process = own.number("cpu_percent")?.map(|cores| ProcessReading {
        name: "srs".into(),
        pid: own.members.and_then(|own| own.get("pid")?.as_u64()).and_then(|pid| u32::try_from(pid).ok()),
        // Of one core, as the exporter's, but not times a hundred.
        cpu: ProcessCpu::Cores(cores),
        processes: 1,
        start_time_s: None,
    });
    Ok(Some(Reading {
        clock_s: system.number(clock)?.filter(|ms| *ms > 0.0).map(|ms| ms / 1000.0),
        grain_s,
        host: Some(host),
        processes: process.into_iter().collect(),
        media: Some(media),
        streams: Vec::new(),
        published: None,
    }))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be in range")]
fn whole(number: f64) -> Option<u32> {
    (1.0..=65_536.0).contains(&number).then_some(number as u32)
}

/// The port of an endpoint: `1935`, `ip:1935`, `[ip]:1935`, `:1935`, and each with `tcp://` or `udp://` in front.
fn port(endpoint: &str) -> Option<u16> {
    let place = endpoint.split_once("://").map_or(endpoint, |(_, place)| place);
    let digits = match place.rsplit_once(':') {
        None => place,
        Some((host, digits)) => {
            let ip = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
            let is_place = host.is_empty() || ip.unwrap_or(host).parse::<IpAddr>().is_ok();
            // An IPv6 address without brackets is no address and port.
            is_place.then_some(digits).filter(|_| ip.is_some() || !host.contains(':'))?
        }
    };
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|port| is_number && *port != 0)
}

// === impl Malformed ===

impl Malformed {
    fn new(name: impl Into<String>, why: impl Into<String>) -> Self {
        Self { name: name.into(), why: why.into() }
    }
}

// === impl Members ===

impl<'a> Members<'a> {
    /// A member that is there and not `null`.
    fn get(&self, name: &str) -> Option<&'a Value> {
        self.members.and_then(|members| members.get(name)).filter(|value| !value.is_null())
    }

    fn wrong(&self, name: &str, must: &str, found: &Value) -> Malformed {
        let shown: String = found.to_string().chars().take(LONGEST_ECHO).collect();
        Malformed::new(format!("{}{name}", self.path), format!("must be {must}, found {shown}"))
    }

    /// A name; a number is one, too. Absent: empty.
    fn word(&self, name: &str) -> Result<String, Malformed> {
        match self.get(name) {
            None => Ok(String::new()),
            Some(Value::String(word)) if word.len() <= 256 && !word.chars().any(char::is_control) => {
                Ok(word.clone())
            }
            Some(Value::Number(number)) => Ok(number.to_string()),
            Some(found) => Err(self.wrong(name, "a string of 256 bytes at most", found)),
        }
    }

    fn ip(&self, name: &str) -> Result<Option<IpAddr>, Malformed> {
        let word = self.word(name)?;
        if word.is_empty() {
            return Ok(None);
        }
        let ip = word.parse().map_err(|_| self.wrong(name, "an IP address", &Value::String(word)));
        ip.map(Some)
    }

    fn number(&self, name: &str) -> Result<Option<f64>, Malformed> {
        let number =
            self.get(name).map(|value| value.as_f64().ok_or_else(|| self.wrong(name, "a number", value)));
        number.transpose()
    }

    fn object(&self, name: &str, path: &'static str) -> Result<Self, Malformed> {
        match self.get(name) {
            None => Ok(Self { path, members: None }),
            Some(Value::Object(members)) => Ok(Self { path, members: Some(members) }),
            Some(found) => Err(self.wrong(name, "an object", found)),
        }
    }

    /// The first port of a list of endpoints. All are looked at, so that one that is wrong does not hide.
    fn port(&self, name: &str) -> Result<Option<u16>, Malformed> {
        const MUST: &str = "a list of endpoints such as \"1935\" or \"tcp://10.0.0.1:1935\"";
        let Some(found) = self.get(name) else { return Ok(None) };
        let one = std::slice::from_ref(found);
        let list = match found {
            Value::Array(list) if list.len() <= MOST_ENDPOINTS => list.as_slice(),
            Value::String(_) | Value::Number(_) => one,
            _ => return Err(self.wrong(name, MUST, found)),
        };
        let read = |endpoint: &Value| {
            let port = match endpoint {
                Value::String(endpoint) => port(endpoint),
                Value::Number(number) => {
                    number.as_u64().and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0)
                }
                _ => None,
            };
            port.ok_or_else(|| self.wrong(name, MUST, endpoint))
        };
        let ports = list.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        Ok(ports.first().copied())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    const CAPTURE: &str = include_str!("../../../tests/fixtures/srs/heartbeat_originA_post.txt");
    /// What SRS 7.0.18 sends.
    static ORIGIN: LazyLock<&str> =
        LazyLock::new(|| CAPTURE.lines().find(|line| line.starts_with('{')).unwrap());

    fn wrong(body: &str) -> String {
        read(body.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn a_heartbeat_of_a_real_server_is_read_whole() {
        let beat = read(ORIGIN.as_bytes()).unwrap();
        assert_eq!(
            (&*beat.device, &beat.identity),
            ("originA", &Identity::new("vid-8970ilt", "26x95x31", "31631"))
        );
        assert_eq!(beat.ip, Some("192.0.2.2".parse().unwrap()));
        let ports =
            MediaPorts { rtmp: Some(19350), http: Some(18081), api: Some(19851), ..MediaPorts::default() };
        assert_eq!(beat.ports, ports);
        let told = beat.told.unwrap();
        // The machine is behind NAT: its interfaces with a public address have sent nothing.
        assert_eq!((told.clock_s, told.grain_s), (Some(1_795_376_808.94), MEDIA_GRAIN_S));
        let host = told.host.unwrap();
        assert_eq!(
            (host.cpus, host.busy, host.transmit_bytes, host.load1),
            (2, Some(0.99), None, Some(2.67))
        );
        assert_eq!(host.memory_total_bytes, Some(24_684_084.0 * 1024.0));
        let media = told.media.unwrap();
        assert_eq!(&*media.identity, "vid-8970ilt/26x95x31/31631");
        assert_eq!((media.clients, media.send_bytes), (Some(4.0), Some(15_561_151.0)));
        assert_eq!((told.processes[0].pid, told.processes[0].cpu), (Some(31_631), ProcessCpu::Cores(0.01)));
    }

    #[test]
    fn where_a_public_interface_sends_its_count_and_clock_are_taken() {
        let body = ORIGIN.replace("\"net_send_bytes\":0", "\"net_send_bytes\":5000");
        let told = read(body.as_bytes()).unwrap().told.unwrap();
        assert_eq!((told.clock_s, told.grain_s), (Some(1_795_376_802.928), NIC_GRAIN_S));
        assert_eq!(told.host.unwrap().transmit_bytes, Some(5_000.0));
    }

    #[test]
    fn old_servers_send_two_names_and_nothing_more() {
        let beat = read(br#"{"device_id":"my-srs","ip":"192.168.1.100"}"#).unwrap();
        let ip = Some("192.168.1.100".parse().unwrap());
        assert_eq!(beat, Heartbeat { device: "my-srs".into(), ip, ..Heartbeat::default() });
        let off = br#"{"device_id":"a","ip":"","summaries":{"data":{"ok":false}}}"#;
        assert_eq!(read(off).unwrap().told, None);
        assert_eq!(read(br#"{"device_id":"a","summaries":null,"rtmp":null}"#).unwrap().told, None);
    }

    #[test]
    fn every_spelling_of_an_endpoint_is_its_port() {
        for endpoint in [
            "1935",
            ":1935",
            "10.0.0.1:1935",
            "0.0.0.0:1935",
            "[::]:1935",
            "[2001:db8::1]:1935",
            "tcp://:1935",
            "tcp://10.0.0.1:1935",
            "udp://0.0.0.0:1935",
            "udp://[::1]:1935",
            "tcp://1935",
            "01935",
        ] {
            assert_eq!(port(endpoint), Some(1935), "{endpoint}");
        }
        for endpoint in [
            "",
            ":",
            "0",
            "65536",
            "-1",
            "+1935",
            "1e3",
            "host:1935",
            "10.0.0.1",
            "10.0.0.1:",
            "::1:1935",
            "1935 ",
            "[::1]",
            "[::1:1935",
            "tcp://",
            "tcp://10.0.0:1935",
            "http://10.0.0.1:1935/x",
        ] {
            assert_eq!(port(endpoint), None, "{endpoint}");
        }
        let of =
            |list: &str| read(format!(r#"{{"device_id":"a","rtmp":{list}}}"#).as_bytes()).unwrap().ports.rtmp;
        assert_eq!(of(r#"["10.0.0.1:1935","19350"]"#), Some(1935));
        assert_eq!(
            (of("[1935]"), of("\"1935\""), of("1935"), of("[]")),
            (Some(1935), Some(1935), Some(1935), None)
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert!(wrong("").starts_with("body: EOF"));
        assert!(wrong("{\"device_id\":").starts_with("body: EOF"));
        assert_eq!(wrong("[]"), "body: must be a JSON object");
        assert_eq!(wrong("{\"device_id\":[]}"), "device_id: must be a string of 256 bytes at most, found []");
        assert_eq!(wrong("{\"ip\":\"here\"}"), "ip: must be an IP address, found \"here\"");
        assert_eq!(
            wrong("{\"rtmp\":[\"1935\",\"host:1935\"]}"),
            "rtmp: must be a list of endpoints such as \"1935\" or \"tcp://10.0.0.1:1935\", found \"host:1935\""
        );
        assert!(wrong("{\"api\":{}}").starts_with("api: must be a list"));
        assert_eq!(wrong("{\"summaries\":1}"), "summaries: must be an object, found 1");
        let body = ORIGIN.replace("\"cpu_percent\":0.99", "\"cpu_percent\":\"0.99\"");
        assert_eq!(wrong(&body), "summaries.data.system.cpu_percent: must be a number, found \"0.99\"");
        assert!(
            wrong(&ORIGIN.replace("\"load_1m\":2.67", "\"load_1m\":1e999"))
                .starts_with("body: number out of")
        );
        let long = format!("{{\"server\":\"{}\"}}", "x".repeat(300));
        assert!(wrong(&long).len() < 140, "what is repeated is short");
    }

    #[test]
    fn no_part_of_a_real_body_makes_a_panic() {
        for end in 0..ORIGIN.len() {
            let _ = read(&ORIGIN.as_bytes()[..end]);
        }
    }
}
