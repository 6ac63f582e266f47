//! One exporter for all nodes of a benchmark, on threads of its process: an idle machine whose clock runs.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

/// Starts it; every path has its page.
pub(crate) fn start() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || serve_pages(&stream));
        }
    });
    address
}

fn serve_pages(mut stream: &TcpStream) {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|read| read > 0) {
        if line == "\r\n" {
            let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
            let page = format!(
                "node_time_seconds {now}\nnode_cpu_seconds_total{{cpu=\"0\",mode=\"idle\"}} {}\n\
                 node_network_transmit_bytes_total{{device=\"eth0\"}} {}\n",
                now * 0.5,
                now * 1e6,
            );
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: ";
            if stream.write_all(format!("{head}{}\r\n\r\n{page}", page.len()).as_bytes()).is_err() {
                return;
            }
        }
        line.clear();
    }
}
