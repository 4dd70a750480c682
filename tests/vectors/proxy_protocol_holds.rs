//! Properties of any bytes that are parsed as a PROXY header; checked by a unit test and by the fuzz target.

use super::proxy_protocol::{Ends, Form, LONGEST, read};

/// Panics where something does not hold of these bytes.
pub fn of(bytes: &[u8]) {
    match read(bytes) {
        None => assert!(bytes.len() < LONGEST, "undecided at the bound"),
        Some(Err(_)) => {}
        Some(Ok((header, length))) => {
            assert!(length <= bytes.len() && length <= LONGEST, "it is {length} bytes long");
            assert_eq!(read(&bytes[..length]), Some(Ok((header.clone(), length))), "what follows matters");
            assert_eq!(read(&bytes[..length - 1]), None, "its last byte does not matter");
            sent_on(
                &header.ends,
                header.tlvs.bytes().len(),
                &Form::V2Crc32c.announce(&header.ends, &header.tlvs),
            );
            sent_on(&header.ends, header.tlvs.bytes().len(), &Form::V2.announce(&header.ends, &header.tlvs));
            match (&header.ends, read(&Form::V1.announce(&header.ends, &header.tlvs))) {
                (ends @ Ends::Net { .. }, Some(Ok((again, _)))) => assert_eq!(*ends, again.ends),
                (_, Some(Ok((again, _)))) => assert_eq!(again.ends, Ends::Own),
                (_, unread) => panic!("version 1 says {unread:?}"),
            }
        }
    }
    // The result of a prefix never contradicts that of the whole.
    let early = (0..bytes.len()).find_map(|end| read(&bytes[..end]).map(|answer| (end, answer)));
    if let Some((end, answer)) = early {
        assert_eq!(read(bytes), Some(answer), "decided after {end} bytes already");
    }
}

/// A header that is passed on has the same meaning.
fn sent_on(ends: &Ends, tlvs: usize, sent: &[u8]) {
    if sent.len() > LONGEST {
        return;
    }
    match read(sent) {
        Some(Ok((again, length))) => {
            assert_eq!((&again.ends, length), (ends, sent.len()));
            assert!(*ends == Ends::Own || again.tlvs.bytes().len() == tlvs);
        }
        unread => panic!("version 2 says {unread:?}"),
    }
}
