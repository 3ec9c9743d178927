use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

/// Polls a future this many times, each time that it is woken, and then drops
/// it, as a caller does that is cancelled at that await. Returns `None` if the
/// future was dropped before its end.
pub async fn drop_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|cx| {
        let Some(next) = left.checked_sub(1) else { return Poll::Ready(None) };
        left = next;
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_future_is_dropped_at_its_nth_await() {
        let two_awaits = || async {
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
            7
        };
        for (polls, outcome) in [(0, None), (1, None), (2, None), (3, Some(7)), (9, Some(7))] {
            assert_eq!(drop_after(polls, two_awaits()).await, outcome, "{polls} polls");
        }
    }
}
