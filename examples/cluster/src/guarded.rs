use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

use crate::Result;

/// Runs its arguments, and kills that program when its own input ends. So it ends with this
/// program, however that ends.
const GUARD: &str = r#"
exec 3<&0
"$@" 3<&- &
program=$!
exec 2>/dev/null
{ read -r _ <&3; kill -9 "$program"; } &
reader=$!
wait "$program"
kill "$reader"
"#;

/// What takes longer to end hangs.
const DEADLINE: Duration = Duration::from_secs(30);

/// A program that is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Guarded {
    guard: Child,
    input: Option<ChildStdin>,
    output: Output,
}

/// Where a program writes to.
#[derive(Clone, Debug)]
pub(crate) enum Output {
    File(PathBuf),
    Terminal,
}

impl Guarded {
    pub(crate) fn start<A: AsRef<OsStr>>(
        program: &Path,
        arguments: impl IntoIterator<Item = A>,
        output: Output,
    ) -> Result<Self> {
        let mut command = Command::new("sh");
        command.args(["-c", GUARD, "guard"]).arg(program).args(arguments).stdin(Stdio::piped());
        if let Output::File(file) = &output {
            let file = File::options().create(true).append(true).open(file)?;
            command.stdout(file.try_clone()?).stderr(file);
        }
        let mut guard = in_a_group_of_its_own(&mut command)
            .spawn()
            .map_err(|error| format!("could not start {}: {error}", program.display()))?;
        let input = guard.stdin.take();
        Ok(Self { guard, input, output })
    }

    /// Whether the program has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.guard.try_wait(), Ok(None))
    }

    /// The last that it has written.
    pub(crate) fn last_output(&self) -> String {
        let Output::File(file) = &self.output else { return "see above".to_owned() };
        let text = fs::read_to_string(file).unwrap_or_default();
        let lines: Vec<_> = text.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// Kills the program, as by `kill -9`, and returns when it has ended.
    pub(crate) async fn kill(mut self) -> Result<()> {
        drop(self.input.take());
        let ended = timeout(DEADLINE, self.guard.wait()).await;
        ended.map_err(|_| "a program that was killed does not end")??;
        Ok(())
    }
}

/// A Ctrl-C then reaches this program only, which ends the others in their order.
pub(crate) fn in_a_group_of_its_own(command: &mut Command) -> &mut Command {
    #[cfg(unix)]
    command.process_group(0);
    command
}

#[cfg(all(test, unix))]
mod tests {
    use rustix::process::{Pid, test_kill_process};

    use super::*;

    async fn contents(file: &Path) -> String {
        let written = async {
            loop {
                let text = fs::read_to_string(file).unwrap_or_default();
                if text.ends_with('\n') {
                    return text;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(DEADLINE, written).await.expect("the program to write")
    }

    fn is_running(process: &str) -> bool {
        let process = process.trim().parse().expect("the number of a process");
        test_kill_process(Pid::from_raw(process).expect("not zero")).is_ok()
    }

    #[tokio::test]
    async fn a_program_is_killed_even_if_it_ignores_signals() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("output");
        let script = "trap '' INT TERM HUP; echo $$; while :; do sleep 0.1; done";
        let mut guarded =
            Guarded::start(Path::new("/bin/sh"), ["-c", script], Output::File(output.clone()))
                .unwrap();
        let process = contents(&output).await;
        assert!(is_running(&process) && !guarded.has_ended());
        guarded.kill().await.unwrap();
        assert!(!is_running(&process), "the program still runs");
    }

    #[tokio::test]
    async fn a_program_that_ends_by_itself_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("output");
        let mut guarded =
            Guarded::start(Path::new("/bin/sh"), ["-c", "echo full disk"], Output::File(output))
                .unwrap();
        let ended = async {
            while !guarded.has_ended() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(DEADLINE, ended).await.expect("the guard to end with the program");
        assert_eq!(guarded.last_output(), "full disk");
    }
}
