//! Why a connection could not be made, and what to do about it.

use std::io;

use downlink::{Error, ErrorKind};
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;

use crate::error::failed;

const CONNECT: &str = "connect to PostgreSQL";

/// The error of an attempt to connect with these options.
pub(crate) async fn not_connected(options: &PgConnectOptions, error: sqlx::Error) -> Error {
    let at = format!("PostgreSQL at {}, port {}", options.get_host(), options.get_port());
    let (kind, message) = match &error {
        sqlx::Error::Io(cause) => match unreadable_file(options, cause).await {
            Some(file) => (
                ErrorKind::Invalid,
                format!(
                    "could not read {file}, which the URL names: correct its path, or its rights"
                ),
            ),
            // That is how the handshake ends when rustls refuses the server.
            None if cause.to_string().contains("received fatal alert") => {
                (ErrorKind::Invalid, not_accepted(&at))
            }
            None if cause.kind() == io::ErrorKind::InvalidData => {
                (ErrorKind::Invalid, not_trusted(&at))
            }
            None => (ErrorKind::Unavailable, not_there(&at)),
        },
        sqlx::Error::Tls(cause) if cause.to_string().contains("does not support TLS") => {
            (ErrorKind::Invalid, no_tls(&at, options))
        }
        sqlx::Error::Tls(_) => (
            ErrorKind::Invalid,
            format!(
                "could not use TLS with {at}: check sslrootcert, sslcert and sslkey in the URL"
            ),
        ),
        sqlx::Error::Database(refusal) if refusal.message().contains("startup parameter") => (
            ErrorKind::Invalid,
            format!(
                "{at} is a pooler, which has no session for each client: connect with \
                 Options::with_pooler, or add statement-cache-capacity=0 to the URL"
            ),
        ),
        _ => return failed(CONNECT)(error),
    };
    Error::with_source(kind, message, error)
}

fn not_there(at: &str) -> String {
    format!(
        "could not {CONNECT}: nothing answers as {at}: start it there, or install it (Debian: \
         apt-get install postgresql), and check the URL"
    )
}

fn not_trusted(at: &str) -> String {
    format!(
        "could not trust {at}: name the file of the CA that has signed its certificate, \
         sslrootcert=FILE in the URL, and with sslmode=verify-full a host that the certificate is for"
    )
}

fn not_accepted(at: &str) -> String {
    format!(
        "{at} refused the TLS handshake: add sslcert=FILE and sslkey=FILE to the URL if it demands a \
         certificate, or check its ssl_min_protocol_version"
    )
}

fn no_tls(at: &str, options: &PgConnectOptions) -> String {
    let url = options.to_url_lossy();
    let mode = url.query_pairs().find_map(|(name, value)| (name == "sslmode").then_some(value));
    format!(
        "{at} offers no TLS, which sslmode={} in the URL demands: set ssl = on in its \
         postgresql.conf, or leave sslmode out where the network is trusted",
        mode.unwrap_or_default()
    )
}

/// The first file of these options that cannot be read, if that can be the cause.
async fn unreadable_file(options: &PgConnectOptions, cause: &io::Error) -> Option<String> {
    if !matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) {
        return None;
    }
    let url = options.to_url_lossy();
    for (name, file) in url.query_pairs() {
        let is_file = matches!(&*name, "sslrootcert" | "sslcert" | "sslkey");
        if is_file && tokio::fs::File::open(&*file).await.is_err() {
            return Some(file.into_owned());
        }
    }
    None
}
