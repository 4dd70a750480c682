//! Hellos of every shape for tests.

/// A ClientHello message with these extensions, including its header.
pub(super) fn message(extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let listed: Vec<u8> = extensions
        .iter()
        .flat_map(|(kind, content)| [&kind.to_be_bytes()[..], &long(content)].concat())
        .collect();
    let fixed = [&[3, 3], &[7; 32][..], &short(&[9; 32]), &long(&[0x13, 1, 0x13, 2]), &short(&[0])];
    message_of(&fixed.concat(), &long(&listed))
}

/// A message whose body is these two parts.
pub(super) fn message_of(fixed: &[u8], extensions: &[u8]) -> Vec<u8> {
    let body = [fixed, extensions].concat();
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[1], &length[1..], &body].concat()
}

/// The message in records with fragments of these lengths, repeated as needed.
pub(super) fn records(message: &[u8], lengths: &[usize]) -> Vec<u8> {
    let (mut rest, mut wire) = (message, Vec::new());
    for length in lengths.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (fragment, after) = rest.split_at((*length).min(rest.len()));
        wire.extend([&[22, 3, 1][..], &long(fragment)].concat());
        rest = after;
    }
    wire
}

/// The message in as few records as possible.
pub(super) fn wire(message: &[u8]) -> Vec<u8> {
    records(message, &[1 << 14])
}

/// A server_name extension with one name.
pub(super) fn name(name: &str) -> (u16, Vec<u8>) {
    (0, long(&[&[0][..], &long(name.as_bytes())].concat()))
}

/// An ALPN extension.
pub(super) fn protocols(protocols: &[&str]) -> (u16, Vec<u8>) {
    (16, long(&protocols.iter().flat_map(|protocol| short(protocol.as_bytes())).collect::<Vec<u8>>()))
}

/// The extension without which today's servers answer no hello.
pub(super) fn signatures() -> (u16, Vec<u8>) {
    (13, long(&[4, 3, 8, 4]))
}

/// An extension of reserved kind and content (GREASE; RFC 8701).
pub(super) fn grease() -> (u16, Vec<u8>) {
    (0x4a4a, vec![0])
}

/// An extension of this size that servers ignore.
pub(super) fn padding(size: usize) -> (u16, Vec<u8>) {
    (21, vec![0; size])
}

/// The bytes preceded by their length in two bytes.
pub(super) fn long(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}

/// The bytes preceded by their length in one byte.
pub(super) fn short(bytes: &[u8]) -> Vec<u8> {
    [&[u8::try_from(bytes.len()).unwrap()], bytes].concat()
}
