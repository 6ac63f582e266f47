//! JSON by hand, for the one answer that is given a hundred thousand times a second.
//!
//! Fragments into a buffer that the thread keeps: no `serde`, no `format!`, no allocation per answer. The frozen
//! part goes to the socket and gives its memory back when it is sent.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::net::IpAddr;

use bytes::{BufMut, Bytes, BytesMut};

/// One piece of memory serves some hundred answers before the next is fetched, or the first is reclaimed.
const CHUNK: usize = 64 * 1024;
/// Room that an ordinary answer has without growing.
const ROOM: usize = 2 * 1024;

thread_local! {
    static BUFFER: RefCell<BytesMut> = RefCell::new(BytesMut::new());
}

/// Runs `write` on this thread's buffer and takes what it wrote.
pub(super) fn assemble(write: impl FnOnce(&mut BytesMut)) -> Bytes {
    BUFFER.with_borrow_mut(|buffer| {
        // A writer that panicked may have left half an answer.
        buffer.clear();
        if buffer.capacity() < ROOM {
            buffer.reserve(CHUNK);
        }
        write(buffer);
        buffer.split().freeze()
    })
}

/// Appends text as it is.
pub(super) fn text(buffer: &mut BytesMut, text: &str) {
    buffer.put_slice(text.as_bytes());
}

/// Appends a string in quotes, escaped where JSON asks for it.
pub(super) fn string(buffer: &mut BytesMut, value: &str) {
    buffer.put_u8(b'"');
    let plain = value.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\');
    if plain {
        text(buffer, value);
    } else {
        for char in value.chars() {
            match char {
                '"' | '\\' => {
                    buffer.put_u8(b'\\');
                    // Both are ASCII.
                    buffer.put_u8(char as u8);
                }
                '\u{0}'..='\u{1f}' => {
                    let _ = write!(buffer, "\\u{:04x}", char as u32);
                }
                _ => {
                    let mut utf8 = [0; 4];
                    text(buffer, char.encode_utf8(&mut utf8));
                }
            }
        }
    }
    buffer.put_u8(b'"');
}

/// Appends a whole number.
pub(super) fn whole(buffer: &mut BytesMut, value: u32) {
    text(buffer, itoa::Buffer::new().format(value));
}

/// Appends a number rounded to `decimals` places (at most 6), without trailing zeros; `null` for what is no
/// number or too large for its digits to mean anything.
pub(super) fn decimal(buffer: &mut BytesMut, value: f64, decimals: u32) {
    let scale = 10_u64.pow(decimals.min(6));
    #[expect(clippy::cast_precision_loss, reason = "a million at most")]
    let scaled = (value.abs() * scale as f64).round();
    if !(0.0..9e15).contains(&scaled) {
        return text(buffer, "null");
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked just now")]
    let scaled = scaled as u64;
    if value.is_sign_negative() && scaled != 0 {
        buffer.put_u8(b'-');
    }
    text(buffer, itoa::Buffer::new().format(scaled / scale));
    let mut rest = scaled % scale;
    let mut unit = scale / 10;
    if rest != 0 {
        buffer.put_u8(b'.');
    }
    while rest != 0 {
        #[expect(clippy::cast_possible_truncation, reason = "one digit")]
        buffer.put_u8(b'0' + (rest / unit) as u8);
        rest %= unit;
        unit /= 10;
    }
}

/// Appends an address without quotes. IPv4 by hand, without the detour over the formatting machinery.
pub(super) fn address(buffer: &mut BytesMut, ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            let mut digits = itoa::Buffer::new();
            text(buffer, digits.format(a));
            for octet in [b, c, d] {
                buffer.put_u8(b'.');
                text(buffer, digits.format(octet));
            }
        }
        IpAddr::V6(ip) => {
            let _ = write!(buffer, "{ip}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(write: impl FnOnce(&mut BytesMut)) -> String {
        String::from_utf8(assemble(write).to_vec()).unwrap()
    }

    #[test]
    fn numbers_are_rounded_and_short() {
        for (value, decimals, expected) in [
            (12.34, 1, "12.3"),
            (12.0, 1, "12"),
            (0.05, 1, "0.1"),
            (0.4125, 3, "0.413"),
            (1.004, 2, "1"),
            (100.001, 3, "100.001"),
            (-33.8688, 4, "-33.8688"),
            (-0.000_01, 4, "0"),
            (0.0, 3, "0"),
            (7.0, 0, "7"),
            (f64::NAN, 1, "null"),
            (f64::INFINITY, 1, "null"),
            (1e300, 1, "null"),
        ] {
            assert_eq!(shown(|b| decimal(b, value, decimals)), expected, "{value}");
        }
    }

    #[test]
    fn two_answers_do_not_share_bytes() {
        let one = assemble(|b| text(b, "one"));
        let two = assemble(|b| text(b, "two"));
        assert_eq!((&one[..], &two[..]), (&b"one"[..], &b"two"[..]));
    }

    #[test]
    fn a_panic_leaves_nothing_behind() {
        let panic = std::panic::catch_unwind(|| {
            assemble(|b| {
                text(b, "half");
                panic!("on purpose");
            })
        });
        assert!(panic.is_err());
        assert_eq!(shown(|b| text(b, "whole")), "whole");
    }

    proptest! {
        #[test]
        fn strings_read_back_as_they_were(value in any::<String>()) {
            let json = shown(|b| string(b, &value));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), value);
        }

        #[test]
        fn addresses_look_as_everywhere(ip in any::<IpAddr>()) {
            prop_assert_eq!(shown(|b| address(b, ip)), ip.to_string());
        }

        #[test]
        fn decimals_are_json_numbers_near_the_value(value in -20_000.0..20_000.0_f64) {
            let json = shown(|b| decimal(b, value, 3));
            prop_assert!((json.parse::<f64>().unwrap() - value).abs() <= 0.000_51);
            prop_assert!(serde_json::from_str::<f64>(&json).is_ok());
        }
    }
}
