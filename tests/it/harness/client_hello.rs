//! TLS ClientHellos, built by hand.

/// Builds the records of a ClientHello.
#[derive(Clone, Default)]
pub(crate) struct HelloBuilder {
    extensions: Vec<u8>,
}

impl HelloBuilder {
    /// The records of a ClientHello with this server name.
    pub(crate) fn to(name: &str) -> Vec<u8> {
        HelloBuilder::default().name(name.as_bytes()).records()
    }

    pub(crate) fn name(self, name: &[u8]) -> HelloBuilder {
        self.extension(0, &long(&[&[0][..], &long(name)].concat()))
    }

    pub(crate) fn protocols(self, protocols: &[&str]) -> HelloBuilder {
        let list = protocols.iter().flat_map(|it| [&[it.len() as u8], it.as_bytes()].concat());
        self.extension(16, &long(&list.collect::<Vec<u8>>()))
    }

    /// Adds unknown extensions of `bytes` bytes in total, 4 of which are the header of each.
    pub(crate) fn padding(mut self, bytes: usize) -> HelloBuilder {
        let mut left = bytes;
        for kind in 0xfe00.. {
            let size = left.min(10_000);
            if size < 4 {
                assert_eq!(left, 0, "the rest is too small for an extension");
                return self;
            }
            // Leaves no rest that is too small for another extension.
            let size = if (1..4).contains(&(left - size)) { size - 4 } else { size };
            self = self.extension(kind, &vec![0; size - 4]);
            left -= size;
        }
        self
    }

    pub(crate) fn records(self) -> Vec<u8> {
        self.records_of(16 << 10)
    }

    /// The ClientHello in records of at most `most` bytes each.
    pub(crate) fn records_of(self, most: usize) -> Vec<u8> {
        let fixed = [&[3, 3], &[7; 32][..], &[0], &long(&[0x13, 1]), &[1, 0]].concat();
        let body = [fixed, long(&self.extensions)].concat();
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        let message = [&[1], &length[1..], &body].concat();
        message.chunks(most).flat_map(|part| [&[22, 3, 1][..], &long(part)].concat()).collect()
    }

    pub(crate) fn extension(mut self, kind: u16, content: &[u8]) -> HelloBuilder {
        self.extensions.extend([&kind.to_be_bytes()[..], &long(content)].concat());
        self
    }
}

/// The bytes, preceded by their length in two bytes.
fn long(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}
