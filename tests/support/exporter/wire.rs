//! How an emulated exporter answers a request: soundly, or in one of the ways in which real ones break.

use std::sync::Mutex;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Behaviour, Knobs, Machine};

/// Length of a [`Behaviour::Huge`] page, bytes.
const HUGE_BYTES: usize = 64 << 20;

/// The values of `collect[]=`, also where the brackets are percent-encoded.
pub(super) fn collectors(query: &str) -> Vec<String> {
    let plain = query.replace("%5B", "[").replace("%5b", "[").replace("%5D", "]").replace("%5d", "]");
    plain.split('&').filter_map(|pair| pair.strip_prefix("collect[]=")).map(str::to_owned).collect()
}

/// Reads one request, answers it as the knobs say, closes.
pub(super) async fn answer(mut stream: TcpStream, machine: &Mutex<Machine>) -> std::io::Result<()> {
    let request = read_request(&mut stream).await?;
    let target = request.split_whitespace().nth(1).unwrap_or("/").to_owned();
    let (before, after, behaviour) = {
        let mut machine = machine.lock().unwrap();
        machine.requests.push(target.clone());
        let Knobs { latency, jitter, ref behaviour, .. } = machine.knobs;
        let dice = mix(machine.requests.len() as u64 ^ u64::from(machine.port) << 32);
        let [whole, share] =
            [dice as u32, (dice >> 32) as u32].map(|die| f64::from(die) / f64::from(u32::MAX));
        let jitter = jitter.mul_f64(whole);
        (latency + jitter.mul_f64(share), jitter.mul_f64(1.0 - share), behaviour.clone())
    };
    tokio::time::sleep(before).await;
    match behaviour {
        Behaviour::Guarded(wanted) if !has_authorization(&request, &wanted) => {
            reply(&mut stream, 401, "WWW-Authenticate: Basic realm=x\r\n", b"who are you?\n").await
        }
        Behaviour::Good | Behaviour::Guarded(_) => {
            let page = machine.lock().unwrap().page(&target);
            tokio::time::sleep(after).await;
            let status = if page.is_empty() { 404 } else { 200 };
            reply(&mut stream, status, "", page.as_bytes()).await
        }
        Behaviour::Frozen => {
            let page = {
                let mut machine = machine.lock().unwrap();
                let fresh = machine.page(&target);
                machine.frozen.entry(target).or_insert(fresh).clone()
            };
            reply(&mut stream, 200, "", page.as_bytes()).await
        }
        Behaviour::Flapping => {
            let page = {
                let mut machine = machine.lock().unwrap();
                machine.pid ^= 1;
                machine.page(&target)
            };
            reply(&mut stream, 200, "", page.as_bytes()).await
        }
        Behaviour::Lying { metric, value } => {
            let page = machine.lock().unwrap().page(&target);
            reply(&mut stream, 200, "", lie(&page, metric, value).as_bytes()).await
        }
        Behaviour::Garbage => reply(&mut stream, 200, "", b"<!doctype html><title>Welcome</title>\n").await,
        Behaviour::Empty => reply(&mut stream, 200, "", b"").await,
        Behaviour::Binary => {
            reply(&mut stream, 200, "", &(0..=255).cycle().take(4096).collect::<Vec<u8>>()).await
        }
        Behaviour::Status(status) => reply(&mut stream, status, "", b"not today\n").await,
        Behaviour::Redirect(to) => reply(&mut stream, 302, &format!("Location: {to}\r\n"), b"").await,
        Behaviour::Truncated => {
            let page = machine.lock().unwrap().page(&target);
            let head = head(200, &format!("Content-Length: {}\r\n", page.len()));
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(&page.as_bytes()[..page.len() / 2]).await
        }
        Behaviour::Huge => huge(&mut stream).await,
        Behaviour::Slow => slow(&mut stream).await,
        Behaviour::Silent => std::future::pending().await,
        Behaviour::Reset => socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)),
    }
}

fn has_authorization(request: &str, wanted: &str) -> bool {
    let mut headers = request.lines().filter_map(|line| line.split_once(": "));
    headers.any(|(name, value)| name.eq_ignore_ascii_case("authorization") && value == wanted)
}

/// The page with another value behind every sample of a metric.
fn lie(page: &str, metric: &str, value: &str) -> String {
    let of_metric = |line: &str| line.strip_prefix(metric).is_some_and(|rest| rest.starts_with(['{', ' ']));
    let lied = |line: &str| match line.rsplit_once(' ') {
        Some((series, _)) if of_metric(line) => format!("{series} {value}\n"),
        _ => format!("{line}\n"),
    };
    page.lines().map(lied).collect()
}

/// A number spread over all 64 bits: the same dice in every run.
pub(crate) fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

async fn read_request(stream: &mut TcpStream) -> std::io::Result<String> {
    let (mut request, mut buffer) = (Vec::new(), [0; 2048]);
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let length = stream.read(&mut buffer).await?;
        if length == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        request.extend_from_slice(&buffer[..length]);
    }
    Ok(String::from_utf8_lossy(&request).into_owned())
}

fn head(status: u16, headers: &str) -> String {
    format!(
        "HTTP/1.1 {status} x\r\nContent-Type: text/plain; version=0.0.4\r\nConnection: close\r\n{headers}\r\n"
    )
}

async fn reply(stream: &mut TcpStream, status: u16, headers: &str, body: &[u8]) -> std::io::Result<()> {
    let head = head(status, &format!("{headers}Content-Length: {}\r\n", body.len()));
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body).await?;
    stream.shutdown().await
}

async fn huge(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(head(200, "").as_bytes()).await?;
    let line = b"# HELP node_filler_total One of very many lines.\n".repeat(1024);
    for _ in 0..HUGE_BYTES / line.len() {
        stream.write_all(&line).await?;
    }
    stream.shutdown().await
}

async fn slow(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(head(200, "").as_bytes()).await?;
    loop {
        stream.write_all(b"#").await?;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
