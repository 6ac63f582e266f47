//! Queries, and what comes back.

use std::collections::HashSet;
use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use domain::base::iana::{OptRcode, OptionCode, Rtype};
use domain::base::name::Name;
use domain::base::opt::ClientSubnet;
use domain::base::{Message, MessageBuilder, ParsedName};
use domain::rdata::A;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg};

use crate::servers::Server;

const IN_FLIGHT: usize = 64;
const SUBNETS: usize = 10_000;
/// Without a reply for so long, all that are on their way are lost.
const LOST: Duration = Duration::from_millis(200);
/// Turns of a loop that does nothing between two looks for replies, some microseconds.
const PAUSE: usize = 40;
const WARM_UP: Duration = Duration::from_millis(300);
const WINDOW: Duration = Duration::from_millis(1_500);
/// How many of the subnets are asked about before measuring, and how many different addresses they must get.
const CHECKED: usize = 300;
const DIFFERENT: usize = 5;

/// What is asked, and by what.
#[derive(Clone, Copy)]
pub(crate) enum Load {
    /// Datagrams with a client subnet.
    UdpSubnet,
    /// Datagrams without EDNS.
    UdpPlain,
    /// Kept connections, with a client subnet.
    TcpSubnet,
}

/// What a window showed.
#[derive(Clone, Copy)]
pub(crate) struct Sample {
    /// CPU time of the server per query, µs.
    pub(crate) cpu_us: f64,
    /// Answers a second.
    pub(crate) per_s: f64,
    /// From a query to its answer, µs.
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

/// What came back in a window.
#[derive(Default)]
struct Tally {
    took_ns: Vec<u32>,
    lost: usize,
}

// === impl Load ===

impl Load {
    pub(crate) const ALL: [Self; 3] = [Self::UdpSubnet, Self::UdpPlain, Self::TcpSubnet];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::UdpSubnet => "UDP, 10,000 client subnets",
            Self::UdpPlain => "UDP, no EDNS, one client",
            Self::TcpSubnet => "TCP, 64 kept connections, 10,000 client subnets",
        }
    }

    /// Measures a server. `idle`: what it takes when nobody asks, share of a core.
    pub(crate) fn put_on(self, server: &Server, idle: f64) -> Sample {
        let queries: Vec<Vec<u8>> = match self {
            Self::UdpSubnet | Self::TcpSubnet => subnets().map(|subnet| query(Some(subnet))).collect(),
            Self::UdpPlain => vec![query(None)],
        };
        let mut asker = Asker::new(self, server, queries);
        asker.ask(WARM_UP);
        let (cpu_s, began) = (server.cpu_s(), Instant::now());
        let mut tally = asker.ask(WINDOW);
        let (cpu_s, took_s) = (server.cpu_s() - cpu_s, began.elapsed().as_secs_f64());
        let count = tally.took_ns.len();
        assert!(tally.lost * 1_000 < count, "{}: {} of {count} queries were lost", server.name, tally.lost);
        tally.took_ns.sort_unstable();
        let at = |share: f64| f64::from(tally.took_ns[((count - 1) as f64 * share) as usize]) / 1e3;
        Sample {
            cpu_us: (cpu_s - idle * took_s) * 1e6 / count as f64,
            per_s: count as f64 / took_s,
            p50_us: at(0.5),
            p99_us: at(0.99),
        }
    }
}

// --- queries

/// Different /24 networks all over the IPv4 space that is in use, always the same ones.
pub(crate) fn subnets() -> impl Iterator<Item = Ipv4Addr> {
    let mut dice = 1_u64;
    std::iter::repeat_with(move || {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let [a, b, c, ..] = (dice >> 32).to_be_bytes()[4..] else { unreachable!() };
        Ipv4Addr::new(a % 223 + 1, b, c, 0)
    })
    .filter(|ip| !ip.is_private() && !ip.is_loopback() && !ip.is_link_local())
    .take(SUBNETS)
}

pub(crate) fn query(subnet: Option<Ipv4Addr>) -> Vec<u8> {
    let mut builder = MessageBuilder::new_vec().question();
    builder.push(("live.example.com".parse::<Name<Vec<u8>>>().unwrap(), Rtype::A)).unwrap();
    let mut builder = builder.additional();
    if let Some(subnet) = subnet {
        builder
            .opt(|opt| {
                opt.set_udp_payload_size(1_232);
                opt.push(&ClientSubnet::new(24, 0, subnet.into()))
            })
            .unwrap();
    }
    builder.finish()
}

/// The addresses of a reply, which must be a right one to a query with this subnet.
fn addresses(reply: &[u8], subnet: Ipv4Addr) -> Vec<Ipv4Addr> {
    let message = Message::from_slice(reply).unwrap();
    assert_eq!(message.opt_rcode(), OptRcode::NOERROR);
    assert!(message.header().aa() && message.header().qr());
    let opt = message.opt().expect("there is an OPT");
    let echoed = opt.opt().iter::<ClientSubnet>().next().expect("the client subnet is echoed").unwrap();
    assert_eq!(
        (echoed.addr(), echoed.source_prefix_len()),
        (subnet.into(), 24),
        "{:?}",
        OptionCode::CLIENT_SUBNET
    );
    assert!(echoed.scope_prefix_len() <= 32);
    let records = message.answer().unwrap().limit_to::<A>();
    records
        .map(|record| {
            let record = record.unwrap();
            let _: &ParsedName<&[u8]> = record.owner();
            record.data().addr()
        })
        .collect()
}

/// Whether a server answers at all.
pub(crate) fn answers(server: &Server) -> bool {
    let socket = connected(server);
    socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let mut reply = [0; 1_500];
    let asked = socket.send(&query(Some(Ipv4Addr::new(114, 114, 114, 0))));
    asked.is_ok() && socket.recv(&mut reply).is_ok_and(|length| length > 12 && is_answer(&reply[..length]))
}

/// Its answers are right: only its own addresses, different ones, and the same by TCP.
///
/// # Panics
/// They are not.
pub(crate) fn check(server: &Server) {
    let socket = connected(server);
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let (mut different, mut scopes) = (HashSet::new(), 0);
    for subnet in subnets().take(CHECKED) {
        let mut reply = [0; 1_500];
        socket.send(&query(Some(subnet))).unwrap();
        let length = socket.recv(&mut reply).expect("it answers");
        let by_udp = addresses(&reply[..length], subnet);
        send_framed(&mut stream, &query(Some(subnet)));
        let by_tcp = addresses(&read_framed(&mut stream), subnet);
        for ip in by_udp.iter().chain(&by_tcp) {
            assert!(server.addresses.contains(ip), "{}: {ip} is not one of its addresses", server.name);
        }
        assert!(!by_udp.is_empty() && !by_tcp.is_empty(), "{}: no address for {subnet}", server.name);
        different.insert(by_udp[0]);
        scopes += usize::from(Message::from_slice(&reply[..length]).unwrap().opt().is_some_and(|opt| {
            opt.opt().iter::<ClientSubnet>().flatten().any(|subnet| subnet.scope_prefix_len() > 0)
        }));
    }
    assert!(different.len() >= DIFFERENT, "{}: only {different:?}", server.name);
    assert!(scopes > CHECKED / 2, "{}: only {scopes} of {CHECKED} answers have a scope", server.name);
}

fn connected(server: &Server) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server.address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    socket
}

/// NOERROR with an answer record.
fn is_answer(reply: &[u8]) -> bool {
    reply[2] & 0x80 != 0 && reply[3] & 0xf == 0 && (reply[6], reply[7]) != (0, 0)
}

fn send_framed(stream: &mut TcpStream, query: &[u8]) {
    let length = u16::try_from(query.len()).unwrap().to_be_bytes();
    stream.write_all(&[&length, query].concat()).unwrap();
}

fn read_framed(stream: &mut TcpStream) -> Vec<u8> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut reply).unwrap();
    reply
}

// --- load

/// Keeps 64 queries in flight.
struct Asker {
    queries: Vec<Vec<u8>>,
    next: usize,
    way: Way,
}

enum Way {
    Udp(UdpSocket),
    Tcp(Vec<TcpStream>),
}

impl Asker {
    fn new(load: Load, server: &Server, queries: Vec<Vec<u8>>) -> Self {
        let way = match load {
            Load::UdpSubnet | Load::UdpPlain => Way::Udp(connected(server)),
            Load::TcpSubnet => Way::Tcp((0..IN_FLIGHT).map(|_| connection(server)).collect()),
        };
        Self { queries, next: 0, way }
    }

    fn ask(&mut self, window: Duration) -> Tally {
        match &mut self.way {
            Way::Udp(socket) => by_udp(socket, &mut self.queries, &mut self.next, window),
            Way::Tcp(streams) => by_tcp(streams, &self.queries, &mut self.next, window),
        }
    }
}

fn connection(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    stream
}

/// Whoever's answer has come asks again, all of a batch by one system call. The ID names the place and the try.
fn by_udp(socket: &UdpSocket, queries: &mut [Vec<u8>], next: &mut usize, window: Duration) -> Tally {
    let mut buffers = vec![[0_u8; 1_500]; IN_FLIGHT];
    let (mut incoming, mut outgoing) = (
        MultiHeaders::<SockaddrStorage>::preallocate(IN_FLIGHT, None),
        MultiHeaders::<SockaddrStorage>::preallocate(IN_FLIGHT, None),
    );
    let mut tally = Tally::default();
    let mut sent = [Instant::now(); IN_FLIGHT];
    let mut free: Vec<u16> = (0..IN_FLIGHT as u16).collect();
    let mut attempt = 0_u16;
    let mut heard = Instant::now();
    let end = Instant::now() + window;
    loop {
        let now = Instant::now();
        if now >= end && free.len() == IN_FLIGHT {
            return tally;
        }
        if now < end && !free.is_empty() {
            let asked: Vec<usize> =
                free.iter().enumerate().map(|(at, _)| (*next + at) % queries.len()).collect();
            *next = (*next + free.len()) % queries.len();
            // One query that is asked again and again has one buffer: each gets its own copy then.
            let mut copies: Vec<Vec<u8>> = asked.iter().map(|at| queries[*at].clone()).collect();
            for (copy, place) in copies.iter_mut().zip(free.drain(..)) {
                copy[..2].copy_from_slice(&(attempt << 6 | place).to_be_bytes());
                sent[usize::from(place)] = now;
            }
            let slices: Vec<[IoSlice<'_>; 1]> = copies.iter().map(|copy| [IoSlice::new(copy)]).collect();
            let nowhere = vec![None; slices.len()];
            let mut at = 0;
            while at < slices.len() {
                let rest = (&slices[at..], &nowhere[at..]);
                match sendmmsg(socket.as_raw_fd(), &mut outgoing, rest.0, rest.1, [], MsgFlags::empty()) {
                    Ok(sent) => at += sent.count(),
                    Err(Errno::EINTR) => {}
                    Err(error) => panic!("cannot send: {error}"),
                }
            }
        }
        let mut slices: Vec<[IoSliceMut<'_>; 1]> =
            buffers.iter_mut().map(|buffer| [IoSliceMut::new(buffer)]).collect();
        let received = recvmmsg(socket.as_raw_fd(), &mut incoming, &mut slices, MsgFlags::MSG_DONTWAIT, None);
        let count = match received {
            Ok(received) => received.count(),
            Err(Errno::EINTR) => continue,
            // It does not sleep: to wake it would be work of the server's, which no real network makes it do.
            Err(Errno::EAGAIN) if heard.elapsed() < LOST => {
                (0..PAUSE).for_each(|_| std::hint::spin_loop());
                continue;
            }
            Err(Errno::EAGAIN) => {
                tally.lost += IN_FLIGHT - free.len();
                heard = Instant::now();
                (free, attempt) = ((0..IN_FLIGHT as u16).collect(), (attempt + 1) % 1_024);
                continue;
            }
            Err(error) => panic!("cannot receive: {error}"),
        };
        let now = Instant::now();
        heard = now;
        for reply in &buffers[..count] {
            let id = u16::from_be_bytes([reply[0], reply[1]]);
            if id >> 6 == attempt {
                assert!(is_answer(reply), "no answer: {:?}", &reply[..12]);
                let place = id & 0x3f;
                tally.took_ns.push((now - sent[usize::from(place)]).as_nanos() as u32);
                free.push(place);
            }
        }
    }
}

/// All connections ask, then all answers are read.
fn by_tcp(streams: &mut [TcpStream], queries: &[Vec<u8>], next: &mut usize, window: Duration) -> Tally {
    let framed: Vec<Vec<u8>> = queries
        .iter()
        .map(|query| [&u16::try_from(query.len()).unwrap().to_be_bytes()[..], query].concat())
        .collect();
    let mut tally = Tally::default();
    let end = Instant::now() + window;
    let mut reply = [0; 4_096];
    while Instant::now() < end {
        let sent: Vec<Instant> = streams
            .iter_mut()
            .map(|stream| {
                *next = (*next + 1) % framed.len();
                let now = Instant::now();
                stream.write_all(&framed[*next]).unwrap();
                now
            })
            .collect();
        for (stream, sent) in streams.iter_mut().zip(sent) {
            let mut length = stream.read(&mut reply).unwrap();
            while length < 2 || length < usize::from(u16::from_be_bytes([reply[0], reply[1]])) + 2 {
                let more = stream.read(&mut reply[length..]).unwrap();
                assert!(more > 0, "a connection was closed");
                length += more;
            }
            assert!(is_answer(&reply[2..]), "no answer: {:?}", &reply[..14]);
            tally.took_ns.push(sent.elapsed().as_nanos() as u32);
        }
    }
    tally
}
