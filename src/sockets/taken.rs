//! Sockets taken from the process that this one relieves.
//!
//! Sharing its port is not enough to lose nobody: the kernel gives each handshake to one listener of the port, and when
//! that listener is closed before the handshake is done, its client is reset (unless `net.ipv4.tcp_migrate_req` is set,
//! which is off by default). Measured: one question in 25,000 under three take-overs. So the very sockets are duplicated
//! (`pidfd_getfd(2)`): they stay open, with all that waits in them, when the other process closes its own.
//!
//! *Limits*: needs Linux 5.6, and the right to look into the process, which the same user has unless Yama forbids it
//! (`kernel.yama.ptrace_scope`).

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use socket2::{Socket, Type};

/// The sockets of a process that listen on an address, or that are bound to it for datagrams.
///
/// # Errors
/// There is no such process, or it may not be looked into.
pub(super) fn from(pid: i32, address: SocketAddr, kind: Type) -> io::Result<Vec<Socket>> {
    let process = Pid::from_raw(pid).ok_or(Errno::SRCH)?;
    let process = pidfd_open(process, PidfdFlags::empty())?;
    let mut taken = Vec::new();
    for entry in std::fs::read_dir(PathBuf::from(format!("/proc/{pid}/fd")))? {
        let entry = entry?;
        let is_socket =
            entry.path().read_link().is_ok_and(|target| target.to_string_lossy().starts_with("socket:"));
        let Some(number) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if !is_socket {
            continue;
        }
        match pidfd_getfd(&process, number, PidfdGetfdFlags::empty()) {
            Ok(descriptor) => {
                let socket = Socket::from(descriptor);
                if is_it(&socket, address, kind) {
                    taken.push(socket);
                }
            }
            // Closed since it was listed.
            Err(Errno::BADF) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(taken)
}

/// Players' connections have our address as well, so a stream has to listen; datagrams have to be anybody's.
fn is_it(socket: &Socket, address: SocketAddr, kind: Type) -> bool {
    let is_open = match kind == Type::STREAM {
        true => socket.is_listener().unwrap_or(false),
        false => socket.peer_addr().is_err(),
    };
    let local = socket.local_addr().ok().and_then(|local| local.as_socket());
    is_open && socket.r#type().is_ok_and(|its| its == kind) && local == Some(address)
}
