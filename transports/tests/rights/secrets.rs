use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use downlink::{MemoryStore, Subscribe};
use downlink_transports::auth::{JwtKey, JwtKeys, Keys, SigningKey};
use futures::StreamExt;
use http::HeaderValue;
use http::header::{AUTHORIZATION, COOKIE};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::company::{JWT_SECRET, Logins, Process, TRANSPORTS, User, token};
use crate::logins::{cookie, jwt};
use crate::support::{Raw, soon};

/// Everything that is traced, at every level, by every crate.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<String>>);

impl Captured {
    fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn write(&self, what: &str, record: impl FnOnce(&mut Fields)) {
        let mut fields = Fields(what.to_owned());
        record(&mut fields);
        let mut text = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(text, "{}", fields.0).unwrap();
    }
}

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl Subscriber for Captured {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.write(span.metadata().name(), |fields| span.record(fields));
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        self.write("record", |fields| values.record(fields));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        self.write(event.metadata().target(), |fields| event.record(fields));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Sends every secret in every place, valid and not, on every transport.
async fn use_secrets(process: &Process, secrets: &[(&str, String)]) -> String {
    let mut answers = String::new();
    for (_, secret) in secrets {
        for request in [
            format!("GET /feed?ticket={secret} HTTP/1.1\r\n"),
            format!("GET /feed?ticket={secret}&ticket={secret} HTTP/1.1\r\n"),
            format!(
                "GET /feed?after={secret} HTTP/1.1\r\nAuthorization: Bearer {}\r\n",
                token("ann")
            ),
            format!("GET /feed?{secret}=1 HTTP/1.1\r\nAuthorization: Bearer {secret}\r\n"),
            format!("GET /feed HTTP/1.1\r\nAuthorization: Bearer {secret}\r\n"),
            format!("GET /feed HTTP/1.1\r\nAuthorization: Bearer {secret}x\r\n"),
            format!("GET /feed HTTP/1.1\r\nAuthorization: {secret}\r\n"),
            format!(
                "GET /feed HTTP/1.1\r\nCookie: __Host-session={secret}\r\nSec-Fetch-Site: same-origin\r\n"
            ),
            format!("GET /feed HTTP/1.1\r\nCookie: {secret}\r\nOrigin: https://evil.example\r\n"),
            format!("GET /feed/ws?ticket={secret} HTTP/1.1\r\n"),
            format!("POST /streams/s?ticket={secret} HTTP/1.1\r\nContent-Length: 0\r\n"),
        ] {
            // Parameters that are unknown are named in a problem: those are no secrets.
            let names_it = request.contains(&format!("?{secret}=1"));
            let mut raw = Raw::connect(process.address()).await;
            raw.send(&format!("{request}Host: localhost\r\nConnection: close\r\n\r\n")).await;
            let answer = raw.rest().await;
            if !names_it {
                answers += &answer;
            }
        }
    }
    answers
}

#[test]
fn secrets_reach_neither_the_log_nor_an_answer() {
    let captured = Captured::default();
    tracing::subscriber::set_global_default(captured.clone()).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (secrets, answers) = runtime.block_on(async {
        let logins = Logins::new();
        let key = "planted-key-of-tickets-in-32-bytes";
        logins.keys.replace(SigningKey::new(key).unwrap(), []);
        let process = Process::with(Arc::new(MemoryStore::new()), &logins, |feed| feed).await;
        process.has_role("ann", "customer").await;
        let ticket = logins.tickets.issue(&User::new("ann")).unwrap();
        let secrets = [
            ("a bearer token", token("ann")),
            ("a JSON Web Token", jwt("ann", 60)),
            ("an expired JSON Web Token", jwt("ann", -120)),
            ("a cookie", cookie(&logins, "ann").split_once('=').unwrap().1.to_owned()),
            ("a ticket", ticket.as_str().to_owned()),
            ("the key of tickets", key.to_owned()),
        ];
        let answers = use_secrets(&process, &secrets).await;
        for transport in TRANSPORTS {
            for (name, value) in [
                (AUTHORIZATION, format!("Bearer {}", secrets[0].1)),
                (AUTHORIZATION, format!("Bearer {}", secrets[1].1)),
                (COOKIE, format!("__Host-session={}", secrets[3].1)),
            ] {
                let value = HeaderValue::try_from(value).unwrap();
                let client = process.anonymous(transport).with_header(name, value);
                if let Ok(mut frames) = client.connect(Subscribe::new()).await {
                    soon("a frame", frames.next()).await;
                }
                tracing::debug!(?client, "what a client shows of itself");
            }
        }
        process.set_role("ann", "none").await;
        let jwt_keys = JwtKeys::new([JwtKey::hs256(JWT_SECRET).unwrap()]);
        tracing::debug!(?logins, ?ticket, ?jwt_keys, "what secrets show of themselves");
        let keys = Keys::new(SigningKey::new(key).unwrap());
        tracing::debug!(?keys, error = ?JwtKey::rs256(key), "and keys");
        (secrets, answers)
    });
    let text = captured.text();
    assert!(text.contains("what secrets show"), "nothing was captured");
    let secret = String::from_utf8(JWT_SECRET.to_vec()).unwrap();
    for (what, secret) in secrets.into_iter().chain([("the key of JSON Web Tokens", secret)]) {
        // Also the part that would be enough to forge or to guess.
        for part in [secret.as_str(), secret.rsplit('.').next().unwrap()] {
            for (place, text) in [("the log", &text), ("an answer", &answers)] {
                let line = text.lines().find(|line| line.contains(part));
                assert!(line.is_none(), "{what} is in {place}: {line:?}");
            }
        }
    }
}
