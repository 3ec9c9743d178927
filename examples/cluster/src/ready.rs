use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::Result;
use crate::client::http;
use crate::guarded::Guarded;

/// What takes longer to start hangs.
const DEADLINE: Duration = Duration::from_mins(1);

/// One question.
const PATIENCE: Duration = Duration::from_secs(5);

const PAUSE: Duration = Duration::from_millis(20);

/// Waits until `check` succeeds, as long as the program runs.
pub(crate) async fn until(
    name: &str,
    program: &mut Guarded,
    mut check: impl AsyncFnMut() -> Result<()>,
) -> Result<()> {
    let ready = async {
        loop {
            let problem = match timeout(PATIENCE, check()).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(problem)) => problem.to_string(),
                Err(_) => "no answer".to_owned(),
            };
            if program.has_ended() {
                return Err(problem);
            }
            sleep(PAUSE).await;
        }
    };
    let problem = match timeout(DEADLINE, ready).await {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(problem)) => problem,
        Err(_) => format!("it was not ready after {} seconds", DEADLINE.as_secs()),
    };
    Err(format!("{name} did not start: {problem}\n{}", program.last_output()).into())
}

/// Whether a server, or one behind a proxy, serves the log.
pub(crate) async fn serves(authority: &str) -> Result<()> {
    let mut connection = http::Connection::open(authority).await?;
    let status = connection.get_status("/health/ready").await?;
    if status.is_success() { Ok(()) } else { Err(format!("it answers {status}").into()) }
}
