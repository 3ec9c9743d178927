use std::time::Duration;

/// The shortest delay before a reconnect, whatever a server asks for.
const SHORTEST: Duration = Duration::from_millis(100);

/// The delay before a reconnect: random between `min` and `max`, unless the
/// server asks for another one.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReconnectDelay {
    pub(super) min: Duration,
    pub(super) max: Duration,
    /// The longest delay that a server may ask for.
    pub(super) server_max: Duration,
}

/// The delay that a server asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ServerDelay {
    Unspecified,
    /// A delay for this client alone.
    Exactly(Duration),
    /// A delay that all clients are asked for, to be spread by them.
    AtLeast(Duration),
}

impl ReconnectDelay {
    pub(super) fn next(&self, server: ServerDelay) -> Duration {
        let delay = match server {
            ServerDelay::Unspecified => between(self.min, self.max),
            ServerDelay::Exactly(delay) => delay,
            ServerDelay::AtLeast(delay) => between(delay, delay.saturating_mul(3) / 2),
        };
        let floor = SHORTEST.min(self.min).max(Duration::from_millis(1));
        delay.clamp(floor, self.server_max.max(floor))
    }
}

fn between(min: Duration, max: Duration) -> Duration {
    if min < max { rand::random_range(min..=max) } else { min }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAY: ReconnectDelay = ReconnectDelay {
        min: Duration::from_secs(1),
        max: Duration::from_secs(10),
        server_max: Duration::from_mins(1),
    };

    #[test]
    fn unspecified_delays_are_spread_over_the_whole_range() {
        let drawn: Vec<_> = (0..1_000).map(|_| DELAY.next(ServerDelay::Unspecified)).collect();
        assert!(drawn.iter().all(|delay| (DELAY.min..=DELAY.max).contains(delay)));
        assert!(drawn.iter().any(|delay| *delay < Duration::from_secs(3)));
        assert!(drawn.iter().any(|delay| *delay > Duration::from_secs(8)));
    }

    #[test]
    fn a_server_cannot_ask_for_a_busy_loop_or_for_an_endless_delay() {
        let zero = Duration::ZERO;
        for server in [ServerDelay::Exactly(zero), ServerDelay::AtLeast(zero)] {
            assert_eq!(DELAY.next(server), SHORTEST);
        }
        for server in [ServerDelay::Exactly(Duration::MAX), ServerDelay::AtLeast(Duration::MAX)] {
            assert_eq!(DELAY.next(server), DELAY.server_max);
        }
        let delay = ReconnectDelay { min: zero, max: zero, server_max: zero };
        assert!(delay.next(ServerDelay::Unspecified) > zero);
    }

    #[test]
    fn a_delay_for_all_clients_is_spread() {
        let ten_seconds = ServerDelay::AtLeast(Duration::from_secs(10));
        let drawn: Vec<_> = (0..100).map(|_| DELAY.next(ten_seconds)).collect();
        assert!(drawn.iter().all(|delay| (10..=15).contains(&delay.as_secs())));
        assert!(drawn.iter().any(|delay| *delay != drawn[0]));
        let exact = Duration::from_millis(1_234);
        assert_eq!(DELAY.next(ServerDelay::Exactly(exact)), exact);
    }
}
