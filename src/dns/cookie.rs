//! DNS cookies (RFC 7873) in the form that all servers share (RFC 9018): who shows one that we made has its own address.
//!
//! The server's part is `1 | reserved | time | hash`, the hash `SipHash-2-4` over the client's part, the rest and the
//! client's address, so nothing has to be remembered. The key is drawn at each start: a cookie of another replica is
//! taken for none and replaced, which costs its owner nothing.

use std::hash::Hasher as _;
use std::net::IpAddr;

use domain::base::opt::cookie::{Cookie, ServerCookie};
use siphasher::sip::SipHasher24;

/// Octets of a cookie of ours: 8 of the client, 16 of the server.
pub(super) const LENGTH: usize = 24;
/// The version of RFC 9018 §4.2 and its reserved octets.
const VERSION: [u8; 4] = [1, 0, 0, 0];
/// How long a cookie counts, s, and how far ahead of us its time may be (RFC 9018 §4.3).
const OLDEST_S: u32 = 3_600;
const NEWEST_S: u32 = 300;

/// What cookies are made with.
pub struct CookieSecret(pub [u8; 16]);

/// Makes and checks cookies.
pub(super) struct Baker {
    secret: CookieSecret,
}

// === impl Baker ===

impl Baker {
    pub(super) fn new(secret: CookieSecret) -> Self {
        Self { secret }
    }

    /// The cookie to send, as an option's content.
    pub(super) fn bake(&self, cookie: &Cookie, client: IpAddr, unix_s: u64) -> [u8; LENGTH] {
        let time = wrapped(unix_s).to_be_bytes();
        let mut baked = [0; LENGTH];
        let parts = [&cookie.client().into_octets()[..], &VERSION, &time];
        for (at, octet) in parts.into_iter().flatten().enumerate() {
            baked[at] = *octet;
        }
        let hash = self.hash(&baked[..16], client);
        baked[16..].copy_from_slice(&hash);
        baked
    }

    /// Whether we made its server part, for this client and not long ago.
    pub(super) fn is_ours(&self, cookie: &Cookie, client: IpAddr, unix_s: u64) -> bool {
        let Some(server) = cookie.server().and_then(ServerCookie::try_to_standard) else { return false };
        let time = server.timestamp().into_int();
        // Serial arithmetic (RFC 1982): the 32 bits wrap in 2106.
        let age = wrapped(unix_s).wrapping_sub(time) as i32;
        let made = self.bake(cookie, client, u64::from(time));
        server.version() == VERSION[0]
            && (-(NEWEST_S as i32)..=OLDEST_S as i32).contains(&age)
            && server.hash() == made[16..]
    }

    fn hash(&self, covered: &[u8], client: IpAddr) -> [u8; 8] {
        let mut hasher = SipHasher24::new_with_key(&self.secret.0);
        hasher.write(covered);
        match client {
            IpAddr::V4(ip) => hasher.write(&ip.octets()),
            IpAddr::V6(ip) => hasher.write(&ip.octets()),
        }
        hasher.finish().to_le_bytes()
    }
}

#[expect(clippy::cast_possible_truncation, reason = "RFC 9018 counts seconds in 32 bits that wrap")]
fn wrapped(unix_s: u64) -> u32 {
    unix_s as u32
}

#[cfg(test)]
mod tests {
    use domain::base::opt::cookie::ClientCookie;

    use super::*;

    /// RFC 9018 appendix A.1.
    const SECRET: [u8; 16] =
        [0xe5, 0xe9, 0x73, 0xe5, 0xa6, 0xb2, 0xa4, 0x3f, 0x48, 0xe7, 0xdc, 0x84, 0x9e, 0x37, 0xbf, 0xcf];
    const CLIENT: [u8; 8] = [0x24, 0x64, 0xc4, 0xab, 0xcf, 0x10, 0xc9, 0x57];
    const TIME: u64 = 1_559_731_985;

    fn cookie(server: Option<&[u8]>) -> Cookie {
        Cookie::new(ClientCookie::from_octets(CLIENT), server.map(ServerCookie::from_octets))
    }

    #[test]
    fn the_cookie_of_the_rfc_is_baked() {
        let baked = Baker::new(CookieSecret(SECRET)).bake(&cookie(None), [198, 51, 100, 100].into(), TIME);
        let server = [0x1f, 0x81, 0x30, 0xc3, 0xee, 0xe2, 0x94, 0x80];
        assert_eq!(baked[..8], CLIENT);
        assert_eq!(baked[8..16], [1, 0, 0, 0, 0x5c, 0xf7, 0x9f, 0x11]);
        assert_eq!(baked[16..], server);
    }

    #[test]
    fn a_cookie_counts_for_its_client_and_an_hour() {
        let (baker, client) = (Baker::new(CookieSecret(SECRET)), IpAddr::from([198, 51, 100, 100]));
        let baked = baker.bake(&cookie(None), client, TIME);
        let shown = cookie(Some(&baked[8..]));
        for (now, expected) in
            [(TIME, true), (TIME + 3_600, true), (TIME + 3_601, false), (TIME - 301, false)]
        {
            assert_eq!(baker.is_ours(&shown, client, now), expected, "{now}");
        }
        assert!(!baker.is_ours(&shown, [198, 51, 100, 101].into(), TIME));
        assert!(!baker.is_ours(&cookie(None), client, TIME));
        assert!(!Baker::new(CookieSecret([0; 16])).is_ours(&shown, client, TIME));
    }
}
