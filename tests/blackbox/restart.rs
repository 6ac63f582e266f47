//! One process follows another, and no player notices.

use std::net::{TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::load::Load;
use super::stage::{CHICAGO, Edge, LONDON, live, scrape_each};
use super::support::{Service, eventually, free_port, get, nearcast};

const QUESTION: &str = "/resolve?domain=live.example.com&ip=8.8.8.8&n=1";

/// A fleet behind ports that the next process will have, too.
fn on_ports(player: u16, admin: u16, more: &str, edges: &[Edge]) -> String {
    let server =
        format!("[server]\nlisten = \"127.0.0.1:{player}\"\nadmin_listen = \"127.0.0.1:{admin}\"\n{more}\n");
    live(&format!("{server}\n{}", scrape_each(500)), edges)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_takes_over_loses_no_question() {
    let edges = Edge::start_each(&[CHICAGO, LONDON]).await;
    let config = on_ports(free_port(), free_port(), "", &edges);
    let mut service = Service::start(&config).await;
    let load = Load::start(&service.player_url(QUESTION), 4, 8);
    for _ in 0..3 {
        let before = service.pid().to_string();
        let next = Service::launch_by(&config, &[], |command| {
            command.args(["--take-over", &before]);
        })
        .await;
        let status = service.ended().await;
        assert!(status.success(), "{status}\n{}", service.log());
        assert!(next.log().contains("took over"), "{}", next.log());
        service = next;
    }
    let asked = load.end_without_failure().await;
    assert!(asked > 500, "{asked}");
    println!("three restarts, {asked} questions, no failure");
}

#[tokio::test]
async fn ports_are_not_shared_by_mistake_nor_with_a_stranger() {
    let edges = Edge::start_each(&[CHICAGO]).await;
    let folder = tempfile::tempdir().unwrap();
    let config = on_ports(free_port(), free_port(), "", &edges);
    std::fs::write(folder.path().join("nearcast.toml"), &config).unwrap();
    let _service = Service::launch(&config).await;
    let complaint = |more: &[&str]| {
        let arguments: Vec<&str> =
            ["serve", "--config", "nearcast.toml"].iter().chain(more).copied().collect();
        let output = nearcast(folder.path(), &arguments);
        assert!(!output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(complaint(&[]).contains("cannot listen on"), "{}", complaint(&[]));
    let own = std::process::id().to_string();
    let said = complaint(&["--take-over", &own]);
    assert!(said.contains(&format!("process {own} is no nearcast")), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sockets_of_a_supervisor_outlive_the_process() {
    let edges = Edge::start_each(&[CHICAGO]).await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let config = on_ports(port, 0, "", &edges);
    let handed = |command: &mut Command| hand_over(command, listener.try_clone().unwrap().into());
    let mut first = Service::launch_by(&config, &[], handed).await;
    assert_eq!(first.get(QUESTION).await.status, 200);
    let load = Load::start(&first.player_url(QUESTION), 0, 4);
    tokio::time::sleep(Duration::from_millis(300)).await;
    first.signal("TERM");
    assert!(first.ended().await.success());
    // Nobody is there. Who comes now waits in the socket for the next process.
    let waiting = tokio::spawn(async move { get(&format!("http://127.0.0.1:{port}{QUESTION}")).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let _second = Service::launch_by(&config, &[], handed).await;
    assert_eq!(waiting.await.unwrap().unwrap().status, 200);
    load.end_without_failure().await;
}

/// Starts the command with a socket as a supervisor would.
fn hand_over(command: &mut Command, socket: OwnedFd) {
    let program = command.get_program().to_owned();
    let arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
    *command = Command::new("sh");
    // The shell gives it the number that systemd would, 3, and says whose it is.
    command.args(["-c", "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" \"$@\""]);
    command.arg(program).args(arguments).stdin(Stdio::from(socket));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dns_query_waits_in_a_supervisors_socket_for_the_next_process() {
    let edges = Edge::start_each(&[CHICAGO]).await;
    // Free for connections, too: DNS has both on one port.
    let socket = UdpSocket::bind(("127.0.0.1", free_port())).unwrap();
    let address = socket.local_addr().unwrap();
    let zone = "[[dns.zones]]\napex = \"example.com\"\nns = [\"ns1.example.net\"]\n";
    let config =
        format!("{}\n[dns]\nlisten = \"{address}\"\n{zone}", on_ports(free_port(), free_port(), "", &edges));
    let handed = |command: &mut Command| hand_over(command, socket.try_clone().unwrap().into());
    let mut first = Service::launch_by(&config, &[], handed).await;
    assert_eq!(first.dns(), address);
    first.signal("TERM");
    assert!(first.ended().await.success());
    // SOA of example.com.
    let query = b"\x12\x34\0\0\0\x01\0\0\0\0\0\0\x07example\x03com\0\0\x06\0\x01";
    let resolver = UdpSocket::bind("127.0.0.1:0").unwrap();
    resolver.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    resolver.send_to(query, address).unwrap();
    let second = Service::launch_by(&config, &[], handed).await;
    let mut reply = [0; 512];
    let (length, from) = resolver.recv_from(&mut reply).unwrap();
    // An authoritative answer without error, with one record.
    assert_eq!((from, &reply[..8]), (address, &b"\x12\x34\x84\0\0\x01\0\x01"[..]), "{:?}", &reply[..length]);
    assert!(!second.log().contains("handed over"), "{}", second.log());
}

#[tokio::test]
async fn a_socket_that_was_handed_over_in_vain_is_named() {
    let edges = Edge::start_each(&[CHICAGO]).await;
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let service = Service::launch_by(&on_ports(free_port(), free_port(), "", &edges), &[], |command| {
        hand_over(command, socket.into());
    })
    .await;
    eventually("the socket is named", Duration::from_secs(10), || async {
        let log = service.log();
        if log.lines().any(|line| line.contains("handed over") && line.contains(&address.to_string())) {
            Ok(())
        } else {
            Err(log)
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_supervisor_is_told_and_load_balancers_are_warned_before_the_end() {
    let edges = Edge::start_each(&[CHICAGO]).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let heard = |wanted: &str| {
        let mut message = [0; 256];
        for _ in 0..1_000 {
            let length = socket.recv(&mut message).unwrap();
            if message[..length].trim_ascii() == wanted.as_bytes() {
                return;
            }
        }
        panic!("{wanted} is not said");
    };
    let config = on_ports(free_port(), free_port(), "drain_delay = \"30s\"", &edges);
    let mut service = Service::launch_by(&config, &[], |command| {
        command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "200000");
    })
    .await;
    tokio::task::block_in_place(|| {
        heard("WATCHDOG=1");
        heard("READY=1");
    });
    assert_eq!(service.admin("/readyz").await.status, 200);
    service.signal("TERM");
    tokio::task::block_in_place(|| heard("STOPPING=1"));
    let reply = service.admin("/readyz").await;
    assert!(reply.status == 503 && reply.body.contains("this process is stopping"), "{reply:#?}");
    assert_eq!(service.get("/readyz").await.status, 503);
    // Those who have not noticed are answered still; a second signal ends it.
    assert_eq!(service.get(QUESTION).await.status, 200);
    service.signal("TERM");
    assert!(service.ended().await.success(), "{}", service.log());
}
