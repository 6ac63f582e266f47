//! Questions, many at a time, and what became of them.

use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg};
use tokio::time::Instant;

use super::servers::Server;

/// Client subnets asked for.
const SUBNETS: u32 = 10_000;
/// Questions in flight by UDP.
const IN_FLIGHT: usize = 64;
/// Connections by TCP, one question at a time on each.
const CONNECTIONS: usize = 16;
const PATIENCE: Duration = Duration::from_millis(200);
/// `live.example.com A IN`, ID 0, no recursion, and an OPT record with the option of a client subnet (RFC 7871).
const QUESTION: &[u8] = b"\0\0\0\0\0\x01\0\0\0\0\0\x01\x04live\x07example\x03com\0\0\x01\0\x01\
    \0\0\x29\x04\xd0\0\0\0\0\0\x0b\0\x08\0\x07\0\x01\x18\0\x0a\0\0";
/// Where the subnet's three octets stand.
const SUBNET_AT: usize = QUESTION.len() - 3;

/// What a window came to.
pub(crate) struct Asked {
    pub(crate) cpu_us: f64,
    pub(crate) per_s: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

pub(crate) fn stay_on_core_1() {
    let pid = std::process::id().to_string();
    let pinned = Command::new("taskset").args(["-acp", "1", &pid]).stdout(Stdio::null()).status();
    assert!(pinned.expect("taskset: apt-get install util-linux").success());
}

/// A query for a subnet: any network that clients may have.
fn query(id: u16, number: u32) -> Vec<u8> {
    let mut query = QUESTION.to_vec();
    query[..2].copy_from_slice(&id.to_be_bytes());
    // All over the address space, without 0, 10, 127 and what is above 223.
    let spread = (number % SUBNETS).wrapping_mul(2_654_435_761);
    let first = [
        1, 3, 8, 12, 23, 31, 36, 41, 45, 58, 61, 77, 80, 93, 101, 110, 121, 133, 151, 163, 177, 185, 193,
        200, 211, 219,
    ];
    query[SUBNET_AT] = first[(spread >> 24) as usize % first.len()];
    query[SUBNET_AT + 1] = (spread >> 16) as u8;
    query[SUBNET_AT + 2] = (spread >> 8) as u8;
    query
}

/// Whether a reply is one: an address of ours, and the client subnet with a scope.
fn is_answer(reply: &[u8], query: &[u8]) -> bool {
    let answers = u16::from_be_bytes([reply[6], reply[7]]);
    let is_ours = |address: &[u8]| address[0] == 10 && address[1] == 0;
    let question_end = 12 + 22;
    let first = &reply[question_end..];
    reply[..2] == query[..2]
        && reply[3] & 0xf == 0
        && answers >= 1
        && first[2..4] == [0, 1]
        && is_ours(&first[12..16])
        && reply.windows(3).any(|part| part == &query[SUBNET_AT..])
}

/// A server answers as it should before it is measured.
pub(crate) fn check(server: &Server) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server.address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let mut seen = std::collections::HashSet::new();
    for number in 0..100 {
        let query = query(number as u16, number * 97);
        let mut reply = [0; 1_500];
        socket.send(&query).unwrap();
        let length = socket.recv(&mut reply).unwrap_or_else(|error| panic!("{}: {error}", server.name));
        assert!(is_answer(&reply[..length], &query), "{}: {:x?}", server.name, &reply[..length]);
        seen.insert(reply[12 + 22 + 12..][..4].to_vec());
    }
    assert!(seen.len() >= 4, "{} tells few clients apart: {seen:?}", server.name);
}

pub(crate) fn by_udp(server: &Server, window: Duration) -> Asked {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server.address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut flight = Flight::new(&socket);
    let (began, cpu) = (Instant::now(), server.cpu_us());
    flight.send(&(0..IN_FLIGHT).collect::<Vec<_>>());
    while began.elapsed() < window {
        let back = flight.receive();
        flight.send(&back);
    }
    let took = began.elapsed();
    let asked = asked(server.cpu_us() - cpu, took, flight.times);
    // What is still under way is not for the next window.
    std::thread::sleep(Duration::from_millis(20));
    asked
}

/// Questions under way, each in a place that is its ID.
struct Flight<'s> {
    socket: &'s UdpSocket,
    queries: Vec<Vec<u8>>,
    sent: Vec<Instant>,
    next: u32,
    /// µs.
    times: Vec<f32>,
    buffers: Vec<[u8; 512]>,
    incoming: MultiHeaders<SockaddrStorage>,
    outgoing: MultiHeaders<SockaddrStorage>,
}

impl<'s> Flight<'s> {
    fn new(socket: &'s UdpSocket) -> Self {
        Self {
            socket,
            queries: vec![Vec::new(); IN_FLIGHT],
            sent: vec![Instant::now(); IN_FLIGHT],
            next: 0,
            times: Vec::with_capacity(2_000_000),
            buffers: vec![[0; 512]; IN_FLIGHT],
            incoming: MultiHeaders::preallocate(IN_FLIGHT, None),
            outgoing: MultiHeaders::preallocate(IN_FLIGHT, None),
        }
    }

    fn send(&mut self, places: &[usize]) {
        for place in places {
            self.next = self.next.wrapping_add(1);
            self.queries[*place] = query(*place as u16, self.next);
            self.sent[*place] = Instant::now();
        }
        let mut left = places;
        while !left.is_empty() {
            let slices: Vec<[IoSlice<'_>; 1]> =
                left.iter().map(|place| [IoSlice::new(&self.queries[*place])]).collect();
            let to: Vec<Option<SockaddrStorage>> = vec![None; left.len()];
            let sent =
                sendmmsg(self.socket.as_raw_fd(), &mut self.outgoing, &slices, &to, [], MsgFlags::empty());
            left = &left[sent.unwrap().count()..];
        }
    }

    /// Places that are free again. After some silence: all, what was in them is lost.
    fn receive(&mut self) -> Vec<usize> {
        let mut slices: Vec<[IoSliceMut<'_>; 1]> =
            self.buffers.iter_mut().map(|buffer| [IoSliceMut::new(buffer)]).collect();
        let received = recvmmsg(
            self.socket.as_raw_fd(),
            &mut self.incoming,
            &mut slices,
            MsgFlags::MSG_WAITFORONE,
            None,
        );
        let lengths: Vec<usize> = match received {
            Ok(received) => received.map(|message| message.bytes).collect(),
            Err(Errno::EAGAIN) => return (0..IN_FLIGHT).collect(),
            Err(error) => panic!("{error}"),
        };
        let now = Instant::now();
        let mut back = Vec::with_capacity(lengths.len());
        for (buffer, length) in self.buffers.iter().zip(lengths) {
            let place = usize::from(u16::from_be_bytes([buffer[0], buffer[1]]));
            assert!(
                length > 40 && buffer[3] & 0xf == 0 && place < IN_FLIGHT,
                "no answer: {:x?}",
                &buffer[..length]
            );
            self.times.push((now - self.sent[place]).as_secs_f32() * 1e6);
            back.push(place);
        }
        back
    }
}

pub(crate) fn by_tcp(server: &Server, window: Duration) -> Asked {
    let (began, cpu) = (Instant::now(), server.whole_cpu_us());
    let address = server.address;
    let begun = Arc::new(std::sync::Barrier::new(CONNECTIONS));
    let threads: Vec<_> = (0..CONNECTIONS)
        .map(|number| {
            let begun = Arc::clone(&begun);
            std::thread::spawn(move || {
                let mut stream = TcpStream::connect(address).unwrap();
                stream.set_nodelay(true).unwrap();
                stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
                begun.wait();
                let mut times = Vec::with_capacity(100_000);
                let mut reply = [0; 1_500];
                for turn in 0.. {
                    if began.elapsed() >= window {
                        break;
                    }
                    let query = query(turn as u16, turn * CONNECTIONS as u32 + number as u32);
                    let mut framed = (query.len() as u16).to_be_bytes().to_vec();
                    framed.extend_from_slice(&query);
                    let sent = Instant::now();
                    stream.write_all(&framed).unwrap();
                    stream.read_exact(&mut reply[..2]).unwrap();
                    let length = usize::from(u16::from_be_bytes([reply[0], reply[1]]));
                    stream.read_exact(&mut reply[..length]).unwrap();
                    assert!(is_answer(&reply[..length], &query), "no answer: {:x?}", &reply[..length]);
                    times.push(sent.elapsed().as_secs_f32() * 1e6);
                }
                times
            })
        })
        .collect();
    let times: Vec<f32> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    asked(server.whole_cpu_us() - cpu, began.elapsed(), times)
}

fn asked(spent: f64, took: Duration, mut times: Vec<f32>) -> Asked {
    times.sort_by(f32::total_cmp);
    let at = |share: f64| f64::from(times[((times.len() - 1) as f64 * share) as usize]);
    let count = times.len() as f64;
    Asked { cpu_us: spent / count, per_s: count / took.as_secs_f64(), p50_us: at(0.5), p99_us: at(0.99) }
}
