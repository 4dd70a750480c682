//! Masks secrets in the command lines of other programs. Which names mark one is in [`super::secret_names`].
//!
//! It masks too much rather than too little: a hidden path is a nuisance, a shown password is a leak. It does not know
//! every program's options; a secret that nothing marks as one is not masked.

use super::secret_names::{Kind, names, secret_name};

/// The text shown in place of a secret.
const MASK: &str = "***";

/// A command line without its secrets, word by word.
pub(crate) fn mask_secrets(arguments: &[String]) -> Vec<String> {
    let program = arguments.first().map(|path| path.rsplit('/').next().unwrap_or(path)).unwrap_or_default();
    let mut shown = Vec::with_capacity(arguments.len());
    let mut next = Next::Shown;
    for argument in arguments {
        let (text, after) = match next {
            Next::Secret => (MASK.to_owned(), Next::Shown),
            Next::Login => (mask_login(argument), Next::Shown),
            Next::Shown => mask_argument(program, argument),
        };
        next = after;
        shown.push(text);
    }
    shown
}

/// How to treat the argument after this one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Shown,
    Secret,
    Login,
}

fn mask_argument(program: &str, argument: &str) -> (String, Next) {
    if let Some(answer) = mask_short_option(program, argument) {
        return answer;
    }
    let (text, next) = mask_named(argument);
    (mask_url(&text), next)
}

/// Short options whose meaning depends on the program: `mysql -pSECRET`, `redis-cli -a SECRET`, `curl -u me:SECRET`.
fn mask_short_option(program: &str, argument: &str) -> Option<(String, Next)> {
    let is = |names: &[&str]| names.iter().any(|name| program.starts_with(name));
    let (option, value) = argument.split_at_checked(2)?;
    let secret = match option {
        "-p" => is(&["mysql", "mariadb", "sshpass"]),
        "-a" => is(&["redis", "valkey"]),
        _ => false,
    };
    if secret && !value.is_empty() {
        return Some((format!("{option}{MASK}"), Next::Shown));
    }
    // `mysql -p` alone prompts at the terminal, and the next argument is the database.
    if secret && is(&["sshpass", "redis", "valkey"]) {
        return Some((argument.to_owned(), Next::Secret));
    }
    if option == "-u" && !value.is_empty() && is(&["curl"]) {
        return Some((format!("-u{}", mask_login(value)), Next::Shown));
    }
    // socat's -u and -U are directions, and an address follows.
    let login = ["-u", "-U", "--user", "--proxy-user"].contains(&argument) && !is(&["socat"]);
    login.then(|| (argument.to_owned(), Next::Login))
}

/// `me:SECRET` → `me:***`; `1000:1000` is a user and a group.
fn mask_login(argument: &str) -> String {
    match argument.split_once(':') {
        Some((_, group)) if !group.is_empty() && group.bytes().all(|byte| byte.is_ascii_digit()) => {
            argument.to_owned()
        }
        Some((name, _)) => format!("{name}:{MASK}"),
        None => argument.to_owned(),
    }
}

/// `--token=X`, `PASSWORD=X`, `Authorization: X`, `{"secret":"X"}`, `--password X`: masks everything after the name.
fn mask_named(argument: &str) -> (String, Next) {
    let is_option = argument.starts_with('-');
    for (start, name) in names(argument) {
        let Some(kind) = secret_name(name) else { continue };
        let end = start + name.len();
        let rest = &argument[end..];
        let sign = match kind {
            Kind::Plain => rest.find(['=', ':', ' ', '\t', '\n']),
            // A short word says something only where a value follows it at once.
            Kind::Short if name.starts_with('-') => rest.find(['=', ':', ' ']).filter(|sign| *sign == 0),
            Kind::Short => rest.trim_start_matches(['"', '\'']).find(['=', ':']).filter(|sign| *sign == 0),
        };
        if sign.is_some() {
            let sign = rest.find(['=', ':', ' ', '\t', '\n']).unwrap_or_default();
            return (format!("{}{MASK}", &argument[..=end + sign]), Next::Shown);
        }
        let is_whole = name.len() == argument.len();
        if is_option && (is_whole || kind == Kind::Plain) || is_whole && kind == Kind::Plain {
            return (argument.to_owned(), Next::Secret);
        }
    }
    (argument.to_owned(), Next::Shown)
}

/// `scheme://me:SECRET@host` → `scheme://me:***@host`, for each URL in the argument; a long user name without a
/// password counts as a token.
fn mask_url(argument: &str) -> String {
    let Some(start) = argument.find("://").map(|at| at + 3) else { return argument.to_owned() };
    let rest = &argument[start..];
    let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
    let authority = rest[..end].find(['/', '?', '#']).unwrap_or(end);
    // A password may contain an unescaped '/'; then the last '@' of the word ends it.
    let word = &rest[..rest.find("://").map_or(end, |next| next.min(end))];
    let at = rest[..authority].rfind('@').or_else(|| word.rfind('@'));
    let Some(at) = at else { return format!("{}{}", &argument[..start], mask_url(rest)) };
    let login = &rest[..at];
    let shown = match login.split_once(':') {
        Some((name, _)) => format!("{name}:{MASK}"),
        None if login.len() >= 20 => MASK.to_owned(),
        None => login.to_owned(),
    };
    format!("{}{shown}{}", &argument[..start], mask_url(&rest[at..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(command: &[&str]) -> String {
        mask_secrets(&command.iter().map(|&argument| argument.to_owned()).collect::<Vec<_>>()).join(" ")
    }

    #[test]
    fn secrets_are_masked_in_every_usual_spelling() {
        for (command, want) in [
            (&["x", "--password", "S3", "-v"][..], "x --password *** -v"),
            (&["x", "--api-token=S3"], "x --api-token=***"),
            (&["env", "PGPASSWORD=S3 two"], "env PGPASSWORD=***"),
            (&["curl", "-H", "Authorization: Bearer S3"], "curl -H Authorization:***"),
            (&["curl", "-u", "ana:S3"], "curl -u ana:***"),
            (&["curl", "-uana:S3"], "curl -uana:***"),
            (&["/usr/bin/mysql", "-pS3", "shop"], "/usr/bin/mysql -p*** shop"),
            (&["redis-cli", "-a", "S3"], "redis-cli -a ***"),
            (&["sshpass", "-p", "S3", "ssh", "h"], "sshpass -p *** ssh h"),
            (&["app", "postgres://ana:S3@db/shop"], "app postgres://ana:***@db/shop"),
            (&["app", "postgres://ana:S/3@db/shop"], "app postgres://ana:***@db/shop"),
            (&["app", "http://a,http://b:S3@c"], "app http://a,http://b:***@c"),
            (&["sh", "-c", "app --password S3"], "sh -c app --password ***"),
            (&["app", "{\"secret\":\"S3\"}"], "app {\"secret\":***"),
            (&["app", "--pass", "S3"], "app --pass ***"),
            (&["redis-server", "--requirepass", "S3"], "redis-server --requirepass ***"),
            (&["app", "--encryption-key", "S3"], "app --encryption-key ***"),
            (&["app", "--hmac-key=S3"], "app --hmac-key=***"),
            (&["keytool", "-storepass", "S3", "-list"], "keytool -storepass *** -list"),
            (&["env", "MYSQL_PWD=S3", "mysql"], "env MYSQL_PWD=*** mysql"),
            (&["app", "Server=x;Uid=u;Pwd=S3;Port=1"], "app Server=x;Uid=u;Pwd=***"),
            (&["java", "-Djavax.net.ssl.keyStorePassword=S3"], "java -Djavax.net.ssl.keyStorePassword=***"),
            (&["app", "--dbpass", "S3"], "app --dbpass ***"),
            (&["app", "--loginPwd", "S3"], "app --loginPwd ***"),
            (&["app", "--auth-token:S3"], "app --auth-token:***"),
            (&["sh", "-c", "app --key S3"], "sh -c app --key ***"),
            (&["sh", "-c", "PGPASS='S3 x' app"], "sh -c PGPASS=***"),
            (&["app", "{\"key\": \"S3\"}"], "app {\"key\":***"),
            (&["app", "https://h/?jwt=S3"], "app https://h/?jwt=***"),
        ] {
            assert_eq!(shown(command), want);
            assert!(!shown(command).contains("S3"));
        }
    }

    #[test]
    fn what_is_no_secret_stays_readable() {
        for command in [
            &["python3", "-m", "http.server", "8080"][..],
            &["ssh", "-p", "2222", "host"],
            &["docker", "run", "--user", "1000:1000", "img"],
            &["app", "--bypass", "http://127.0.0.1:3000/a"],
            &["loopgate", "8080:3000"],
            &["socat", "-u", "TCP-LISTEN:8080,fork,reuseaddr", "TCP:127.0.0.1:3000"],
            &["socat", "TCP-LISTEN:8080,fork", "UNIX-CONNECT:/run/x.sock"],
            &["vllm", "--max-tokens", "4096", "--tokenizer=llama", "--num_tokens:7"],
            &["app", "--public-key", "ed25519.pub", "--primary-key=id", "--key-file", "/etc/key"],
            &["app", "--no-auth", "8080", "--disable-password", "x"],
            &["app", "--compass=n", "--author", "ana", "--keyboard=de", "--monkey=1"],
            &["sh", "-c", "cd $(pwd) && exec app"],
        ] {
            assert_eq!(shown(command), command.join(" "));
        }
    }

    proptest! {
        #[test]
        fn no_command_line_breaks_the_masking(arguments in proptest::collection::vec(".{0,40}", 0..6)) {
            let text = crate::units::shown(&mask_secrets(&arguments).join(" "), 160);
            prop_assert!(!text.chars().any(char::is_control));
        }

        #[test]
        fn the_value_of_a_named_secret_never_shows(value in "[!-~]{4,20}") {
            prop_assume!(!"--password=***".contains(&value));
            for command in [vec!["x".to_owned(), "--password".into(), value.clone()],
                            vec!["x".to_owned(), format!("--password={value}")]] {
                prop_assert!(!mask_secrets(&command).join(" ").contains(&value));
            }
        }
    }
}
