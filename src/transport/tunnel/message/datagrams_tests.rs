//! What a control says of QUIC.

use super::*;

const TOKEN: Token = Token([7; 16]);

#[test]
fn a_control_says_where_it_is_reached_by_quic_and_once_more_when_it_is_asked() {
    let datagrams = Datagrams { port: 4433, token: TOKEN };
    let welcome = Message::Welcome(Welcome {
        session: TOKEN,
        time: String::new(),
        name: "home".into(),
        you: String::new(),
        ping_s: 10,
        datagrams: Some(datagrams),
    });
    let digits = "07".repeat(16);
    let given = format!(r#""port":4433,"token":"{digits}""#);
    let all = [
        (Message::AskDatagrams, r#"{"type":"ask_datagrams"}"#.to_owned()),
        (Message::Datagrams(datagrams), format!(r#"{{"type":"datagrams",{given}}}"#)),
        (
            welcome,
            format!(
                r#"{{"type":"welcome","session":"{digits}","time":"","name":"home","you":"","ping_s":10,"datagrams":{{{given}}}}}"#
            ),
        ),
    ];
    for (message, json) in all {
        assert_eq!(String::from_utf8(encode(&message)).unwrap(), json);
        assert_eq!(decode(json.as_bytes()), Ok(message));
    }
}

#[test]
fn a_port_and_a_token_are_what_they_must_be_and_keys_of_a_later_version_are_ignored() {
    let read = |json: &str| decode(json.replace("DIGITS", &"07".repeat(16)).as_bytes());

    for wrong in [
        r#"{"type":"datagrams","port":4433}"#,
        r#"{"type":"datagrams","port":65536,"token":"DIGITS"}"#,
        r#"{"type":"datagrams","port":4433,"token":"07"}"#,
        r#"{"type":"datagrams","port":4433,"port":4434,"token":"DIGITS"}"#,
    ] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
    let later = r#"{"type":"datagrams","port":4433,"token":"DIGITS","by":"another"}"#;
    assert_eq!(read(later), Ok(Message::Datagrams(Datagrams { port: 4433, token: TOKEN })));
    assert_eq!(read(r#"{"type":"ask_datagrams","by":"another"}"#), Ok(Message::AskDatagrams));
}
