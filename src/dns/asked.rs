//! A reply leaves from the address that was asked, whichever the kernel would prefer: askers drop all others.
//!
//! Only a socket that listens on every address (`0.0.0.0`, `::`) needs help for that. There the kernel tells with each
//! datagram where it was sent to (`IP_PKTINFO`; RFC 3542 §6.2), and is told so with the reply. One call sends from one
//! address, so the replies of a batch leave by as many calls as addresses were asked: nearly always by one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, RecvMsg, SockaddrLike, setsockopt, sockopt};

/// What sockets that listen on every address are told, and tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Telling {
    /// Nothing: the socket has one address.
    Nothing,
    /// IPv4.
    V4,
    /// IPv6, and IPv4 in its form.
    V6,
}

/// An address of ours, in the form that goes to the kernel.
pub(super) enum Source {
    V4(in_pktinfo),
    V6(in6_pktinfo),
}

// === impl Telling ===

impl Telling {
    /// Lets the kernel tell, if the socket needs it. If it cannot, replies leave as the kernel likes.
    pub(super) fn on(socket: &UdpSocket) -> Self {
        let set = match socket.local_addr().map(|address| address.ip()) {
            Ok(IpAddr::V4(ip)) if ip.is_unspecified() => {
                setsockopt(socket, sockopt::Ipv4PacketInfo, &true).map(|()| Self::V4)
            }
            Ok(IpAddr::V6(ip)) if ip.is_unspecified() => {
                setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true).map(|()| Self::V6)
            }
            _ => return Self::Nothing,
        };
        set.unwrap_or_else(|error| {
            tracing::warn!(%error, "DNS replies may leave from another address than was asked");
            Self::Nothing
        })
    }

    /// Room for what is told with one datagram.
    pub(super) fn room(self) -> Option<Vec<u8>> {
        match self {
            Self::Nothing => None,
            Self::V4 => Some(nix::cmsg_space!(in_pktinfo)),
            Self::V6 => Some(nix::cmsg_space!(in6_pktinfo)),
        }
    }

    /// Where a datagram was sent to; should that be missing, the address that leaves it to the kernel. `None`: nothing
    /// is told.
    pub(super) fn address(self, datagram: &RecvMsg<'_, '_, impl SockaddrLike>) -> Option<IpAddr> {
        let any = match self {
            Self::Nothing => return None,
            Self::V4 => Ipv4Addr::UNSPECIFIED.into(),
            Self::V6 => Ipv6Addr::UNSPECIFIED.into(),
        };
        let found = datagram.cmsgs().ok().and_then(|mut told| {
            told.find_map(|told| match told {
                ControlMessageOwned::Ipv4PacketInfo(told) => {
                    Some(Ipv4Addr::from(told.ipi_spec_dst.s_addr.to_ne_bytes()).into())
                }
                ControlMessageOwned::Ipv6PacketInfo(told) => {
                    Some(Ipv6Addr::from(told.ipi6_addr.s6_addr).into())
                }
                _ => None,
            })
        });
        Some(found.unwrap_or(any))
    }
}

// === impl Source ===

impl Source {
    /// Which way the reply goes is left to the kernel: interface 0.
    pub(super) fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => Self::V4(in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: in_addr { s_addr: u32::from_ne_bytes(ip.octets()) },
                ipi_addr: in_addr { s_addr: 0 },
            }),
            IpAddr::V6(ip) => {
                Self::V6(in6_pktinfo { ipi6_addr: in6_addr { s6_addr: ip.octets() }, ipi6_ifindex: 0 })
            }
        }
    }

    /// As it is given along.
    pub(super) fn message(&self) -> ControlMessage<'_> {
        match self {
            Self::V4(source) => ControlMessage::Ipv4PacketInfo(source),
            Self::V6(source) => ControlMessage::Ipv6PacketInfo(source),
        }
    }
}
