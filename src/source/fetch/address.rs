//! Which addresses are of the open internet. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address is of the open internet (the special-purpose registries of RFC 6890). One
/// that stands for an IPv4 address is as public as that.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => match embedded(v6) {
            Some(within) => !within.is_empty() && within.into_iter().all(is_public_v4),
            None => is_public_v6(v6),
        },
    }
}

fn is_public_v4(v4: Ipv4Addr) -> bool {
    let [a, b, c, _] = v4.octets();
    !(v4.is_private()
        || v4.is_loopback()
        || v4.is_link_local()
        || v4.is_broadcast()
        || v4.is_documentation()
        || v4.is_multicast()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (b == 18 || b == 19)))
}

fn is_public_v6(v6: Ipv6Addr) -> bool {
    let [first, second, ..] = v6.segments();
    // Only 2000::/3 is given out; 2001::/23 in it is for protocols, 2001:db8::/32 and 3fff::/20
    // are for documentation.
    (first & 0xe000) == 0x2000
        && !(first == 0x2001 && (second & 0xfe00 == 0 || second == 0xdb8))
        && !(first == 0x3fff && second & 0xf000 == 0)
}

/// The IPv4 addresses that an IPv6 address stands for; `None` if it stands for none but itself.
fn embedded(v6: Ipv6Addr) -> Option<Vec<Ipv4Addr>> {
    let octets = v6.octets();
    let v4 = |at: [usize; 4]| Ipv4Addr::from(at.map(|at| octets[at]));
    let last = v4([12, 13, 14, 15]);
    match v6.segments() {
        // Compatible (`::a.b.c.d`, and with it `::` and `::1`), mapped, translated.
        [0, 0, 0, 0, 0, 0, ..] | [0, 0, 0, 0, 0, 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] => {
            Some(vec![last])
        }
        // 6to4.
        [0x2002, ..] => Some(vec![v4([2, 3, 4, 5])]),
        // Teredo: its server, and its client with all bits turned.
        [0x2001, 0, ..] => Some(vec![v4([4, 5, 6, 7]), Ipv4Addr::from_bits(!last.to_bits())]),
        // NAT64.
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => Some(vec![last]),
        // NAT64 of a network's own (RFC 8215). Where in it the address lies is that network's
        // choice (RFC 6052): in the middle or at the end.
        [0x64, 0xff9b, 1, ..] => {
            let mut found = vec![v4([6, 7, 9, 10]), last];
            found.retain(|v4| !v4.is_unspecified());
            Some(found)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_addresses_are_not_public() {
        for address in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fc00::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "100::1",
            "2001:db8::1",
            "2001:2::1",
            "3fff::1",
            "5f00::1",
            // 127.0.0.1, 10.0.0.1 and 169.254.169.254, in each way of writing them.
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:0:127.0.0.1",
            "2002:7f00:1::",
            "2002:a00:1::1",
            "2002:a9fe:a9fe::",
            "2001:0:808:808::80ff:fffe",
            "2001:0:a00:1::f7f7:f7f7",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::7f00:1",
            "64:ff9b:1::a00:1",
            "64:ff9b:1:7f00:0:100::",
            "64:ff9b:1::",
            // No part of the translation prefix.
            "64:ff9b:2::808:808",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        for address in [
            "1.1.1.1",
            "93.184.216.34",
            "2606:4700:4700::1111",
            "2001:4860:4860::8888",
            // 8.8.8.8.
            "::ffff:8.8.8.8",
            "2002:808:808::1",
            "2001:0:808:808::f7f7:f7f7",
            "64:ff9b::808:808",
            "64:ff9b:1::808:808",
            "64:ff9b:1:808:8:800::",
        ] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }

    proptest::proptest! {
        #[test]
        fn an_address_is_as_public_as_what_it_embeds(bits: u32) {
            let v4 = Ipv4Addr::from_bits(bits);
            let (high, low) = ((bits >> 16) as u16, bits as u16);
            let written = [
                Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low),
                v4.to_ipv6_mapped(),
                Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
                Ipv6Addr::new(0x2001, 0, 0x808, 0x808, 0, 0, !high, !low),
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, high, low),
            ];
            for v6 in written {
                proptest::prop_assert_eq!(is_public(v6.into()), is_public(v4.into()), "{}", v6);
            }
        }
    }
}
