//! What the text of the PROXY protocol demands of a receiver, as bytes and the answer they must get.
//!
//! Read by the unit tests of the parser, by the tests that send them to a listener, and by the fuzz target as its corpus.

/// The bytes of a header, or of an invalid one.
pub struct Vector {
    /// The section of the specification, and its statement.
    pub rule: &'static str,
    /// What is sent.
    pub bytes: Vec<u8>,
    /// The expected result.
    pub answer: Answer,
}

/// What a receiver must make of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The connection is between these addresses.
    Between(&'static str, &'static str),
    /// The connection is what it seems.
    Own,
    /// It was made to a Unix socket.
    Unix,
    /// It is aborted.
    Refused,
}

use Answer::{Between, Own, Refused, Unix};

/// The signature of version 2.
pub const SIGNATURE: &[u8] = b"\x0D\x0A\x0D\x0A\x00\x0D\x0A\x51\x55\x49\x54\x0A";

/// Two addresses and two ports of IPv4: 192.0.2.1:56324 to 198.51.100.2:443.
pub const V4: &[u8] = b"\xc0\x00\x02\x01\xc6\x33\x64\x02\xdc\x04\x01\xbb";
const V4_ENDS: Answer = Between("192.0.2.1:56324", "198.51.100.2:443");
/// The same of IPv6: [2001:db8::1]:56324 to [2001:db8::2]:443.
pub const V6: &[u8] =
    b"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\xdc\x04\x01\xbb";
const V6_ENDS: Answer = Between("[2001:db8::1]:56324", "[2001:db8::2]:443");
/// IPv4 addresses in IPv6 ones.
const MAPPED: &[u8] =
    b"\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x01\0\0\0\0\0\0\0\0\0\0\xff\xff\xc6\x33\x64\x02\xdc\x04\x01\xbb";

/// A header of version 2.
pub fn v2(version_and_command: u8, family_and_transport: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).unwrap();
    [SIGNATURE, &[version_and_command, family_and_transport], &length.to_be_bytes(), block].concat()
}

/// A TLV.
pub fn tlv(kind: u8, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).unwrap();
    [&[kind], &length.to_be_bytes()[..], value].concat()
}

/// Version 1, section 2.1.
pub fn version_1() -> Vec<Vector> {
    let of = |rule, bytes: &[u8], answer| Vector { rule, bytes: bytes.to_vec(), answer };
    let long = |length: usize| {
        let mut line = b"PROXY UNKNOWN ".to_vec();
        line.resize(length - 2, b'x');
        line.extend(b"\r\n");
        line
    };
    vec![
        of(
            "the example of the text",
            b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n",
            Between("192.168.0.1:56324", "192.168.0.11:443"),
        ),
        of(
            "the longest line of TCP4",
            b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
            Between("255.255.255.255:65535", "255.255.255.255:65535"),
        ),
        of(
            "the longest line of TCP6",
            b"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
            Between(
                "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
                "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
            ),
        ),
        of("one double colon", b"PROXY TCP6 2001:db8::1 ::1 1 2\r\n", Between("[2001:db8::1]:1", "[::1]:2")),
        of("digits of either case", b"PROXY TCP6 2001:DB8::a 2001:db8::A 1 2\r\n", Between("[2001:db8::a]:1", "[2001:db8::a]:2")),
        of("sets with zeros in front", b"PROXY TCP6 2001:0db8::0001 ::1 1 2\r\n", Between("[2001:db8::1]:1", "[::1]:2")),
        of("an IPv4 address as inet_ntop writes it in IPv6", b"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:c633:6402 1 2\r\n", Between("192.0.2.1:1", "198.51.100.2:2")),
        of("port 0 is in the range", b"PROXY TCP4 192.0.2.1 192.0.2.2 0 0\r\n", Between("192.0.2.1:0", "192.0.2.2:0")),
        of("UNKNOWN: the real connection's parameters", b"PROXY UNKNOWN\r\n", Own),
        of("UNKNOWN: the rest of the line is ignored", b"PROXY UNKNOWN ffff::1 192.0.2.1 65535 hello\r\n", Own),
        of("UNKNOWN: whatever it is", b"PROXY UNKNOWN \x00\xff\n\r \r\n", Own),
        of("UNKNOWN: nothing after a space", b"PROXY UNKNOWN \r\n", Own),
        of("UNKNOWN: the worst case of 107 bytes", &long(107), Own),
        of("no CR LF in the first 107 bytes", &long(108), Refused),
        of("the string PROXY", b"proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n", Refused),
        of("the string PROXY, alone", b"PROXY\r\n", Refused),
        of("exactly one space after PROXY: none", b"PROXYTCP4 192.0.2.1 192.0.2.2 1 2\r\n", Refused),
        of("exactly one space after PROXY: another byte", b"PROXYxTCP4 192.0.2.1 192.0.2.2 1 2\r\n", Refused),
        of("exactly one space after PROXY: a tab", b"PROXY\tTCP4 192.0.2.1 192.0.2.2 1 2\r\n", Refused),
        of("exactly one space after PROXY: two", b"PROXY  TCP4 192.0.2.1 192.0.2.2 1 2\r\n", Refused),
        of("exactly one space after the protocol", b"PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n", Refused),
        of("exactly one space after the source address", b"PROXY TCP4 192.0.2.1  192.0.2.2 1 2\r\n", Refused),
        of("exactly one space after the destination address", b"PROXY TCP4 192.0.2.1 192.0.2.2  1 2\r\n", Refused),
        of("exactly one space after the source port", b"PROXY TCP4 192.0.2.1 192.0.2.2 1  2\r\n", Refused),
        of("nothing between the destination port and CR LF", b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n", Refused),
        of("nothing more on the line", b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n", Refused),
        of("only TCP4, TCP6 and UNKNOWN", b"PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n", Refused),
        of("TCP4 in capitals", b"PROXY tcp4 192.0.2.1 192.0.2.2 1 2\r\n", Refused),
        of("TCP4 whole", b"PROXY TCP 192.0.2.1 192.0.2.2 1 2\r\n", Refused),
        of("TCP4 alone", b"PROXY TCP4\r\n", Refused),
        of("TCP4 and a space", b"PROXY TCP4 \r\n", Refused),
        of("UNKNOWN whole", b"PROXY UNKNOW\r\n", Refused),
        of("UNKNOWN and no more", b"PROXY UNKNOWNxyz\r\n", Refused),
        of("UNKNOWN: a single CR is no end", b"PROXY UNKNOWN\rxyz\r\n", Refused),
        of("UNKNOWN: a single LF is no end", b"PROXY UNKNOWN\n", Refused),
        of("exactly 4 integers: three", b"PROXY TCP4 192.0.2 192.0.2.2 1 2\r\n", Refused),
        of("exactly 4 integers: five", b"PROXY TCP4 192.0.2.1.1 192.0.2.2 1 2\r\n", Refused),
        of("integers up to 255", b"PROXY TCP4 192.0.2.256 192.0.2.2 1 2\r\n", Refused),
        of("no zero in front of an integer", b"PROXY TCP4 192.0.02.1 192.0.2.2 1 2\r\n", Refused),
        of("decimal integers", b"PROXY TCP4 0xc0.0.2.1 192.0.2.2 1 2\r\n", Refused),
        of("one dot between integers", b"PROXY TCP4 192..2.1 192.0.2.2 1 2\r\n", Refused),
        of("the family dictates the format: 6 in 4", b"PROXY TCP4 ::1 ::1 1 2\r\n", Refused),
        of("the family dictates the format: 4 in 6", b"PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n", Refused),
        of("the destination matches the family", b"PROXY TCP4 192.0.2.1 ::1 1 2\r\n", Refused),
        of("exactly 128 bits: fewer", b"PROXY TCP6 1:2:3:4:5:6:7 ::1 1 2\r\n", Refused),
        of("exactly 128 bits: more", b"PROXY TCP6 1:2:3:4:5:6:7:8:9 ::1 1 2\r\n", Refused),
        of("one double colon: two", b"PROXY TCP6 1::2::3 ::1 1 2\r\n", Refused),
        of("sets of 4 digits: five", b"PROXY TCP6 12345::1 ::1 1 2\r\n", Refused),
        of("no zone", b"PROXY TCP6 fe80::1%lo ::1 1 2\r\n", Refused),
        of("no brackets", b"PROXY TCP6 [::1] [::1] 1 2\r\n", Refused),
        of("ports up to 65535", b"PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n", Refused),
        of("no zero in front of a port", b"PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n", Refused),
        of("no zero in front of port 0", b"PROXY TCP4 192.0.2.1 192.0.2.2 00 2\r\n", Refused),
        of("no sign in front of a port", b"PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n", Refused),
        of("no negative port", b"PROXY TCP4 192.0.2.1 192.0.2.2 -1 2\r\n", Refused),
        of("decimal ports", b"PROXY TCP4 192.0.2.1 192.0.2.2 1a 2\r\n", Refused),
        of("a port for each address", b"PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n", Refused),
        of("a single LF is no end", b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n\r\n", Refused),
        of("a single CR is no end", b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\rx\r\n", Refused),
        of("CR LF, not LF CR", b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n\r", Refused),
        of("no zero byte", b"PROXY TCP4 192.0.2.1\x00 192.0.2.2 1 2\r\n", Refused),
        of("US-ASCII", b"PROXY TCP4 192.0.2.\xd9\xa1 192.0.2.2 1 2\r\n", Refused),
        of("neither version", b"GET / HTTP/1.1\r\n\r\n", Refused),
        of("neither version: TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", Refused),
        of("neither version: an empty line", b"\r\n\r\n\r\n", Refused),
        of("neither version: SSH", b"SSH-2.0-OpenSSH_9.2\r\n", Refused),
    ]
}

/// Version 2, section 2.2.
pub fn version_2() -> Vec<Vector> {
    let of = |rule, bytes: Vec<u8>, answer| Vector { rule, bytes, answer };
    let mut wrong_signature = v2(0x21, 0x11, V4);
    wrong_signature[11] = b'\r';
    let with = |tlvs: &[Vec<u8>]| v2(0x21, 0x11, &[V4, &tlvs.concat()].concat());
    let mut tls = vec![0x01, 0, 0, 0, 0];
    tls.extend(tlv(0x21, b"TLSv1.3"));
    tls.extend(tlv(0x22, b"example.com"));
    let short = |length: u16| {
        let mut header = v2(0x21, 0x11, V4);
        header[14..16].copy_from_slice(&length.to_be_bytes());
        header
    };
    let mut vectors = vec![
        of("PROXY, TCP over IPv4", v2(0x21, 0x11, V4), V4_ENDS),
        of("PROXY, TCP over IPv6", v2(0x21, 0x21, V6), V6_ENDS),
        of("IPv4 in IPv6 is what it carries", v2(0x21, 0x21, MAPPED), V4_ENDS),
        of("PROXY, a Unix stream", v2(0x21, 0x31, &[b'/'; 216]), Unix),
        of("PROXY, a Unix stream without names", v2(0x21, 0x31, &[0; 216]), Unix),
        of(
            "a combination that is not supported falls back to UNSPEC: UDP over IPv4",
            v2(0x21, 0x12, V4),
            Own,
        ),
        of(
            "a combination that is not supported falls back to UNSPEC: UDP over IPv6",
            v2(0x21, 0x22, V6),
            Own,
        ),
        of(
            "a combination that is not supported falls back to UNSPEC: Unix datagrams",
            v2(0x21, 0x32, &[0; 216]),
            Own,
        ),
        of("UNSPEC is mandatory", v2(0x21, 0x00, b""), Own),
        of("UNSPEC: address information is ignored", v2(0x21, 0x00, b"any\xff\xffthing"), Own),
        of("UNSPEC as the family alone", v2(0x21, 0x01, V4), Own),
        of("UNSPEC as the transport alone", v2(0x21, 0x10, V4), Own),
        of("LOCAL", v2(0x20, 0x00, b""), Own),
        of("LOCAL: the family is ignored", v2(0x20, 0x11, V4), Own),
        of("LOCAL: a family without addresses", v2(0x20, 0x11, b""), Own),
        of("LOCAL: a family that does not exist", v2(0x20, 0xff, b"abc"), Own),
        of("LOCAL: the length says what to skip", v2(0x20, 0x00, &[0xff; 300]), Own),
        of("the signature", wrong_signature, Refused),
        of("the signature, then text", [SIGNATURE, b"HELO"].concat(), Refused),
        of("version 2 alone: 1", v2(0x11, 0x11, V4), Refused),
        of("version 2 alone: 3", v2(0x31, 0x11, V4), Refused),
        of("version 2 alone: 0", v2(0x01, 0x11, V4), Refused),
        of("a command that is not assigned: 2", v2(0x22, 0x11, V4), Refused),
        of("a command that is not assigned: 15", v2(0x2f, 0x11, V4), Refused),
        of("a family that is not specified: 4", v2(0x21, 0x41, &[0; 216]), Refused),
        of("a family that is not specified: 15", v2(0x21, 0xf1, &[0; 216]), Refused),
        of("a transport that is not specified: 3", v2(0x21, 0x13, V4), Refused),
        of("a transport that is not specified: 15", v2(0x21, 0x1f, V4), Refused),
        of("addresses are exactly 12 bytes of IPv4", short(11), Refused),
        of("addresses are exactly 12 bytes of IPv4: none", short(0), Refused),
        of("addresses are exactly 36 bytes of IPv6", v2(0x21, 0x21, &V6[..35]), Refused),
        of("addresses are exactly 216 bytes of Unix", v2(0x21, 0x31, &[0; 215]), Refused),
        of("more than the bound", v2(0x21, 0x11, &[V4, &tlv(0x04, &[0; 5000])].concat()), Refused),
        of("up to the bound", v2(0x21, 0x11, &[V4, &tlv(0x04, &[0; 4096 - 16 - 12 - 3])].concat()), V4_ENDS),
        of(
            "ALPN, AUTHORITY, NETNS",
            with(&[tlv(1, b"h2"), tlv(2, "exämple".as_bytes()), tlv(0x30, b"ns")]),
            V4_ENDS,
        ),
        of("NOOP of zero bytes, and of some", with(&[tlv(4, b""), tlv(4, b"padding")]), V4_ENDS),
        of("UNIQUE_ID of up to 128 bytes", with(&[tlv(5, &[7; 128])]), V4_ENDS),
        of("UNIQUE_ID of more", with(&[tlv(5, &[7; 129])]), Refused),
        of("SSL with TLVs inside", with(&[tlv(0x20, &tls)]), V4_ENDS),
        of("SSL without its fixed part", with(&[tlv(0x20, &tls[..4])]), Refused),
        of("SSL with a TLV that reaches beyond it", with(&[tlv(0x20, &tls[..tls.len() - 1])]), Refused),
        of("a TLV that is not understood is skipped", with(&[tlv(0xea, b"vpce-1"), tlv(0xff, b"")]), V4_ENDS),
        of("a TLV that reaches beyond the header", with(&[vec![1, 0, 3, b'h', b'2']]), Refused),
        of("a TLV without a length", with(&[vec![1]]), Refused),
        of("a TLV with half a length", with(&[vec![1, 0]]), Refused),
        of("a checksum that is not of 4 bytes", with(&[tlv(3, &[0; 3])]), Refused),
        of("a checksum that is wrong", with(&[tlv(3, &[0; 4])]), Refused),
        of("two checksums", with(&[tlv(3, &[0; 4]), tlv(3, &[0; 4])]), Refused),
        of("a checksum that is wrong, of LOCAL", v2(0x20, 0x00, &tlv(3, &[0; 4])), Refused),
    ];
    vectors.extend(of_haproxy());
    vectors
}

/// Headers as HAProxy 2.6 sends them (`send-proxy-v2`, `proxy-v2-options crc32c,unique-id`).
fn of_haproxy() -> Vec<Vector> {
    let of = |rule, bytes: &[u8], answer| Vector { rule, bytes: bytes.to_vec(), answer };
    vec![
        of("HAProxy, IPv4 with a checksum", b"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a\x21\x11\x00\x13\x7f\x00\x00\x01\x7f\x00\x00\x01\xaf\x16\x46\xb5\x03\x00\x04\xa0\x49\xaf\xf0", Between("127.0.0.1:44822", "127.0.0.1:18101")),
        of("HAProxy, IPv4 with a checksum before a unique id", b"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a\x21\x11\x00\x3a\x7f\x00\x00\x01\x7f\x00\x00\x01\xda\xdc\x46\xb6\x03\x00\x04\x5b\xd5\xd9\x07\x05\x00\x24\x37\x64\x35\x66\x39\x63\x35\x61\x2d\x64\x65\x32\x36\x2d\x34\x65\x31\x64\x2d\x38\x34\x66\x32\x2d\x36\x38\x33\x61\x38\x34\x32\x61\x35\x34\x66\x61", Between("127.0.0.1:56028", "127.0.0.1:18102")),
        of("HAProxy, a client of a Unix socket", b"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a\x20\x00\x00\x07\x03\x00\x04\xa9\xb8\x7e\x8f", Own),
        of("HAProxy, IPv6 with a checksum", b"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a\x21\x21\x00\x2b\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\xa8\x5c\x46\xb8\x03\x00\x04\xc7\x68\xd9\x5f", Between("[::1]:43100", "[::1]:18104")),
    ]
}
