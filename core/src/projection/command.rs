use tokio::sync::oneshot;

use crate::Result;

/// Commands that may wait for the task.
pub(super) const QUEUE: usize = 16;

/// What a handle asks the task for, which answers when it is done.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) wish: Wish,
    pub(super) answer: oneshot::Sender<Result<()>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Pause,
    Resume,
    Reset,
}
