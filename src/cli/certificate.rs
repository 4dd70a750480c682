//! `loopgate certificate NAME…`: a self-signed certificate and its key, for trying TLS. It overwrites nothing.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clap::{Args, ValueHint};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};

use super::output::{answer, code, complain};
use crate::units::shown_path;

pub(super) const HELP: &str = "\
Writes FIRST-NAME.pem and FIRST-NAME.key, readable by you alone (mode 0600), and
prints what to add to the configuration. Only clients you configure will trust
the certificate.

Examples:
  loopgate certificate localhost 127.0.0.1
  loopgate certificate '*.example.com' example.com --folder /etc/loopgate

Exit codes:
  0  both files are written
  1  one of them exists already, or cannot be written
  2  a name is not valid";

/// Days of validity by default: the most that browsers accept.
const DAYS: u32 = 397;

/// The certificate's names and validity, and the folder for both files.
#[derive(Args)]
pub(super) struct CertificateArgs {
    /// The names it is valid for: hosts, *.hosts or IP addresses
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,

    /// The folder to write to
    #[arg(long, value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
    folder: PathBuf,

    /// Days until it expires
    #[arg(long, value_name = "DAYS", default_value_t = DAYS, value_parser = clap::value_parser!(u32).range(1..=36500))]
    days: u32,
}

/// Writes both files and prints how to use them. The exit code is 0, 1 if a file cannot be written, 2 for a name that
/// is not valid.
pub(super) fn certificate(args: &CertificateArgs) -> u8 {
    let pair = match make(&args.names, args.days) {
        Ok(pair) => pair,
        Err(why) => {
            complain(&format!("error: {why}"));
            return code::CONFIG;
        }
    };
    let stem = file_stem(&args.names[0]);
    let file = |end: &str| args.folder.join(format!("{stem}.{end}"));
    let (certificate, key) = (file("pem"), file("key"));
    match write_both(&certificate, &key, &pair) {
        Ok(()) => answer(|out| print_usage(out, &args.names, &certificate, &key)),
        Err(why) => {
            complain(&format!("error: {why}"));
            code::INTERNAL
        }
    }
}

/// The certificate and the key, both as PEM.
struct Made {
    certificate: String,
    key: String,
}

fn make(names: &[String], days: u32) -> Result<Made, String> {
    if let Some(wrong) = names.iter().find(|name| !is_name(name)) {
        return Err(format!(
            "{wrong:?} is not a valid name\n = help: write a host, such as localhost or *.example.com, or an IP address"
        ));
    }
    let failed = |error: rcgen::Error| format!("cannot create a certificate: {error}");
    let mut params = CertificateParams::new(names.to_vec()).map_err(failed)?;
    params.distinguished_name.push(DnType::CommonName, names[0].as_str());
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    // Valid since an hour ago, for clients whose clock is behind ours.
    params.not_before = epoch + now.saturating_sub(Duration::from_secs(3600));
    params.not_after = epoch + (now + Duration::from_secs(u64::from(days) * 86400));
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = params.self_signed(&key).map_err(failed)?.pem();
    Ok(Made { certificate, key: key.serialize_pem() })
}

fn is_name(text: &str) -> bool {
    let host = text.strip_prefix("*.").unwrap_or(text);
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_".contains(&c))
    };
    text.parse::<IpAddr>().is_ok() || (host.len() <= 253 && host.split('.').all(is_label))
}

/// `*.example.com` → `_.example.com`, `::1` → `__1`
fn file_stem(name: &str) -> String {
    name.replace(['*', ':'], "_")
}

/// Writes the key first: a certificate without its key is useless.
fn write_both(certificate: &Path, key: &Path, made: &Made) -> Result<(), String> {
    let failed = |path: &Path, error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => format!(
            "{} exists already; nothing was written\n = help: remove it first, or write to another --folder",
            shown_path(path)
        ),
        _ => format!("cannot write {}: {error}", shown_path(path)),
    };
    if certificate.exists() {
        return Err(failed(certificate, io::ErrorKind::AlreadyExists.into()));
    }
    write_new(key, &made.key).map_err(|error| failed(key, error))?;
    write_new(certificate, &made.certificate).map_err(|error| {
        let _ = fs::remove_file(key);
        failed(certificate, error)
    })
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    // A part of a key is of no use, and would be in the way of the next try.
    file.write_all(text.as_bytes()).inspect_err(|_| {
        let _ = fs::remove_file(path);
    })
}

fn print_usage(out: &mut dyn Write, names: &[String], certificate: &Path, key: &Path) -> io::Result<u8> {
    let absolute =
        |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()).display().to_string();
    writeln!(out, "# Wrote {} and {} for {}.", certificate.display(), key.display(), names.join(", "))?;
    writeln!(out, "# Add this to the configuration, with the route's name for NAME:\n")?;
    writeln!(out, "[routes.NAME.tls]")?;
    writeln!(out, "certificate = {:?}", absolute(certificate))?;
    writeln!(out, "key = {:?}", absolute(key))?;
    let host = names[0].replacen('*', "www", 1);
    writeln!(out, "\n# Try it: curl --cacert {} https://{host}:PORT/", certificate.display())?;
    Ok(code::OK)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;
    use crate::plan;

    fn args(names: &[&str], folder: &Path) -> CertificateArgs {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        CertificateArgs { names, folder: folder.to_owned(), days: DAYS }
    }

    #[test]
    fn the_files_serve_a_route_and_only_their_owner_can_read_them() {
        let folder = tempfile::tempdir().unwrap();

        assert_eq!(certificate(&args(&["*.example.com", "127.0.0.1"], folder.path())), 0);

        let file = |name: &str| folder.path().join(name);
        assert_eq!(fs::metadata(file("_.example.com.key")).unwrap().mode() & 0o777, 0o600);
        let mut usage = Vec::new();
        print_usage(&mut usage, &["x".into()], &file("_.example.com.pem"), &file("_.example.com.key"))
            .unwrap();
        let text = String::from_utf8(usage).unwrap().replace("NAME", "web")
            + "\n[routes.web]\nlisten = '8443'\ntarget = '3000'\n";
        let plan = plan::parse("f.toml", &text, &[]).unwrap_or_else(|problems| panic!("{problems}"));
        let tls = plan.routes.values().next().unwrap().tls.clone().unwrap();
        assert_eq!(tls.parts().pairs[0].certificate.dns, ["*.example.com"]);
    }

    #[test]
    fn no_file_is_overwritten_or_written_outside_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(certificate(&args(&["localhost"], folder.path())), 0);
        let before = fs::read(folder.path().join("localhost.key")).unwrap();

        assert_eq!(certificate(&args(&["localhost"], folder.path())), 1);
        assert_eq!(certificate(&args(&["../x"], folder.path())), 2);
        assert_eq!(certificate(&args(&["a b"], folder.path())), 2);

        assert_eq!(fs::read(folder.path().join("localhost.key")).unwrap(), before);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
