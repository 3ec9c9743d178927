//! A browser's own `EventSource` and `WebSocket`, which can send neither a header nor a body.

use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::response::Html;
use axum::routing::{get, post};
use downlink::MemoryStore;
use downlink_transports::auth::{SigningKey, Ticket};
use downlink_transports::serve::Server;
use serde::Deserialize;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::company::{Logins, Process, User};
use crate::support::{listener, soon};

/// What the page has seen.
#[derive(Debug, Deserialize)]
struct Report {
    /// How often the event source was opened.
    opened: usize,
    /// Streams and versions of its events.
    events: Vec<(String, u64)>,
    /// The same from the socket.
    from_socket: Vec<(String, u64)>,
}

/// Chromium with one page, killed when this is dropped.
struct Browser {
    process: Child,
    _profile: tempfile::TempDir,
}

impl Browser {
    fn open(url: &str) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let process = Command::new(std::env::var_os("CHROMIUM").unwrap_or("chromium".into()))
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(url)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Chromium is installed: see ./check pages");
        Self { process, _profile: profile }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn page(ticket: &Ticket) -> Html<String> {
    Html(include_str!("browser.html").replace("TICKET", ticket.as_str()))
}

/// Every version follows the one before, and nothing of another user is there.
fn assert_dense(events: &[(String, u64)]) {
    assert!(events.iter().all(|(stream, _)| stream == "order-ann"), "{events:?}");
    assert!(events.windows(2).all(|pair| pair[1].1 == pair[0].1 + 1), "{events:?}");
}

/// Streams rotate and the key is replaced while the page goes on with the ticket that it has.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium: ./check pages"]
async fn a_browser_reuses_its_ticket_over_rotations_of_streams_and_keys() {
    let logins = Logins::new();
    let rotation = Duration::from_millis(500);
    let store = Arc::new(MemoryStore::new());
    let process = Process::with(store, &logins, |feed| feed.with_rotation(rotation)).await;
    process.has_role("ann", "customer").await;
    let (old, new) = (SigningKey::generate(), SigningKey::generate());
    logins.keys.replace(old.clone(), []);
    let ticket = logins.tickets.issue(&User::new("ann")).unwrap();

    let (reported, report) = oneshot::channel();
    let reported = Arc::new(Mutex::new(Some(reported)));
    let router: Router = Router::new()
        .route("/", get(async move || page(&ticket)))
        .route(
            "/report",
            post(async move |body: String| {
                reported.lock().unwrap().take().unwrap().send(body).unwrap();
            }),
        )
        .nest("/api", process.router.clone());
    let (listener, address) = listener().await;
    let shutdown = CancellationToken::new();
    let serving = tokio::spawn(Server::new(router).serve(listener, shutdown.clone()));

    let _browser = Browser::open(&format!("http://localhost:{}/", address.port()));
    let appending = async {
        for number in 0_u64.. {
            process.order("bob").await;
            process.order("ann").await;
            if number == 10 {
                logins.keys.replace(new.clone(), [old.clone()]);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let report = tokio::select! {
        report = soon("the page's report", report) => report.unwrap(),
        () = appending => unreachable!("it goes on"),
    };
    let report: Report = serde_json::from_str(&report).unwrap_or_else(|_| panic!("{report}"));
    assert!(report.opened >= 3, "{report:?}");
    assert!(report.events.len() >= 20 && report.from_socket.len() >= 5, "{report:?}");
    assert_dense(&report.events);
    assert_dense(&report.from_socket);
    shutdown.cancel();
    serving.await.unwrap().unwrap();
}
