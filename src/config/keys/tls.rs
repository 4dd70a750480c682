//! `[routes.NAME.tls]` and `[routes.NAME.target_tls]`, and the same under `[defaults]`.

use crate::config::decode::FileName;
use crate::config::key::Given::{InWords, Required, Value};
use crate::config::key::Range::MoreThanZero;
use crate::config::key::{Form, Key, Range, Section};
use crate::config::kind::{Kind, List, ListOrOff, One, OneOrOff, Placed, Time, Truth, Word};
use crate::config::problem::Place;
use crate::config::table::Table;
use crate::transport::tls::{
    Alpn, ClientName, CloseNotify, MaxVersion, MinVersion, Pin, Sni, TargetName, Verify,
};

const OF_CERTIFICATE: &[&str] = &["cert", "crt", "ssl_certificate", "certfile", "chain", "pem"];
const OF_KEY: &[&str] = &["private_key", "ssl_certificate_key", "keyfile"];
const OF_ALPN: &[&str] = &["protocols", "alpn_protocols"];
const OF_TICKETS: &[&str] = &[
    "ssl_session_tickets",
    "proxy_ssl_session_reuse",
    "no_tls_tickets",
    "no_ssl_reuse",
    "session_reuse",
    "resumption",
    "tickets",
];
const OF_MAX_VERSION: &[&str] = &["ssl_max_ver", "tls_max"];
const OF_PIN: &[&str] =
    &["pins", "pinnedpubkey", "pinned_public_key", "public_key_pin", "spki", "fingerprint"];
const OF_MIN_VERSION: &[&str] = &["ssl_min_ver", "ssl_protocols", "tls_min", "version"];

/// TLS with clients.
pub(super) mod clients {
    use super::*;

    table! {
        /// The settings of TLS with a route's clients.
        WrittenTls, KEYS, TLS:
        "TLS with clients. A route that has a table [routes.NAME.tls], even an empty one, uses TLS; keys that its table \
         leaves out are taken from here. Paths start at the folder of this file, and the files are read again when they change.";

        certificate: List<FileName> {
            doc: "PEM: our own certificate first, then those that signed it; a list has one for each name",
            takes: "path",
            default: Required("here or in `[defaults.tls]`"),
            example: r#""web.pem""#,
            aliases: OF_CERTIFICATE,
        }
        key: List<FileName> {
            doc: "PEM, not encrypted, one for each certificate",
            takes: "path",
            default: InWords("in the certificate's file"),
            example: r#""web.key""#,
            aliases: OF_KEY,
        }
        client_ca: OneOrOff<FileName> {
            doc: "clients must show a certificate signed by one of these",
            takes: "path",
            default: InWords("`\"off\"`, none is asked for"),
            example: r#""clients.pem""#,
            aliases: &["ca_file", "cafile", "client_ca_file", "ssl_client_certificate", "verify_client"],
        }
        client_names: ListOrOff<ClientName> {
            doc: "the certificate must have one of these names: DNS, mail or URI, with a leading or a trailing `*`",
            takes: "names",
            default: InWords("`\"off\"`, any"),
            example: r#"["*.example.com"]"#,
        }
        client_pin: ListOrOff<Pin> {
            doc: "the certificate must have one of these public keys, as curl's `--pinnedpubkey` writes them; without \
                  `client_ca` whoever signed it, and whatever its dates",
            takes: "pins",
            default: InWords("`\"off\"`, any"),
            example: r#"["sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="]"#,
            aliases: OF_PIN,
        }
        alpn: ListOrOff<Alpn> {
            doc: "the protocols offered (ALPN), preferred ones first",
            takes: "protocols",
            default: InWords("`\"off\"`, none is agreed"),
            example: r#"["h2", "http/1.1"]"#,
            aliases: OF_ALPN,
        }
        min_version: Word<MinVersion> {
            doc: "the oldest version accepted",
            default: Value("1.2"),
            aliases: OF_MIN_VERSION,
        }
        max_version: Word<MaxVersion> {
            doc: "the newest version accepted",
            default: Value("1.3"),
            aliases: OF_MAX_VERSION,
        }
        handshake_timeout: Time {
            doc: "how long a client may take for the handshake",
            range: MoreThanZero("1h"),
            default: Value("10s"),
        }
        session_tickets: Truth {
            doc: "whether clients can resume a session by a ticket, which spares both the most of a handshake",
            default: Value("true"),
            aliases: OF_TICKETS,
        }
        close_notify: Word<CloseNotify> {
            doc: "`\"require\"` resets a session whose client closes without it, as what it sent may be cut",
            default: Value("optional"),
        }
    }
}

/// TLS with targets.
pub(super) mod targets {
    use super::*;

    table! {
        /// The settings of TLS with a route's targets.
        WrittenTargetTls, KEYS, TARGET_TLS:
        "TLS with targets, for routes with a table [routes.NAME.target_tls].";

        name: One<TargetName> {
            doc: "the name its certificate must have: a host, which is also sent as SNI, an address, or a URI",
            takes: "name",
            default: InWords("that of `sni`, or the host in `target`"),
            example: r#""db.example.com""#,
            aliases: &["server_name", "hostname", "verifyhost", "check_host", "ssl_name", "spiffe_id"],
        }
        sni: OneOrOff<Sni> {
            doc: "the name it is asked for (SNI), where that is another; `\"off\"` asks for none",
            takes: "name",
            default: InWords("`name`, or the host in `target`"),
            example: r#""db.internal""#,
            aliases: &["proxy_ssl_name", "proxy_ssl_server_name", "server_name_indication", "no_sni"],
        }
        common_name: Truth {
            doc: "whether the common name counts in a certificate without any list of names; needs `ca`",
            default: Value("false"),
            aliases: &["cn", "allow_cn", "verify_cn", "check_cn"],
        }
        ca: One<FileName> {
            doc: "the authorities that may have signed it, or the certificate itself",
            takes: "path",
            default: InWords("the authorities this system trusts"),
            example: r#""authority.pem""#,
            aliases: &["ca_file", "cafile", "trusted_root", "ssl_trusted_certificate", "roots"],
        }
        verify: Word<Verify> {
            doc: "`\"none\"` accepts any certificate, with a warning unless `pin` is set",
            default: Value("full"),
        }
        pin: ListOrOff<Pin> {
            doc: "its certificate must also have one of these public keys, as curl's `--pinnedpubkey` writes them",
            takes: "pins",
            default: InWords("`\"off\"`, any"),
            example: r#"["sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="]"#,
            aliases: OF_PIN,
        }
        certificate: ListOrOff<FileName> {
            doc: "PEM: the certificate shown to the target",
            takes: "path",
            default: InWords("`\"off\"`"),
            example: r#""client.pem""#,
            aliases: OF_CERTIFICATE,
        }
        key: List<FileName> {
            doc: "PEM, not encrypted",
            takes: "path",
            default: InWords("in the certificate's file"),
            example: r#""client.key""#,
            aliases: OF_KEY,
        }
        alpn: ListOrOff<Alpn> {
            doc: "the protocols offered (ALPN)",
            takes: "protocols",
            default: InWords("`\"off\"`"),
            example: r#"["h2"]"#,
            aliases: OF_ALPN,
        }
        min_version: Word<MinVersion> {
            doc: "the oldest version accepted",
            default: Value("1.2"),
            aliases: OF_MIN_VERSION,
        }
        max_version: Word<MaxVersion> {
            doc: "the newest version accepted",
            default: Value("1.3"),
            aliases: OF_MAX_VERSION,
        }
        handshake_timeout: Time {
            doc: "how long the target may take for the handshake",
            range: MoreThanZero("1h"),
            default: Value("10s"),
        }
        session_tickets: Truth {
            doc: "whether a session with the target is resumed, by its tickets or by its number",
            default: Value("true"),
            aliases: OF_TICKETS,
        }
        close_notify: Word<CloseNotify> {
            doc: "`\"require\"` resets a session whose target closes without it, as what it sent may be cut",
            default: Value("optional"),
        }
    }
}

pub(crate) use clients::WrittenTls;
pub(crate) use targets::WrittenTargetTls;
