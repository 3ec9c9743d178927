use crate::Result;
use crate::server::TransportKind;

/// The arguments: what is measured, and in the clients' process what is read.
#[derive(Debug)]
pub(crate) struct Arguments {
    /// The others are compared with the first.
    pub(crate) transports: Vec<TransportKind>,
    pub(crate) connections: usize,
    /// Events of one burst.
    pub(crate) events: usize,
    /// Events of one append in a burst.
    pub(crate) batch: usize,
    pub(crate) rounds: usize,
    /// Events under light load.
    pub(crate) light: usize,
    pub(crate) read: Option<TransportKind>,
    pub(crate) address: String,
}

impl Arguments {
    pub(crate) fn parse() -> Result<Self> {
        let arguments: Vec<String> = std::env::args().collect();
        let text = |name: &str| {
            let at = arguments.iter().position(|argument| argument == name)?;
            arguments.get(at + 1).cloned()
        };
        let number = |name: &str, default: usize| {
            text(name).map_or(Ok(default), |number| number.parse::<usize>())
        };
        let is_test = arguments.iter().any(|argument| argument == "--test");
        let or = |default, tested| if is_test { tested } else { default };
        let transports = match text("--transports") {
            Some(names) => names.split(',').map(TransportKind::named).collect::<Result<_>>()?,
            None => TransportKind::ALL.to_vec(),
        };
        Ok(Self {
            transports,
            connections: number("--connections", or(1_000, 10))?,
            events: number("--events", or(2_000, 100))?,
            batch: number("--batch", 50)?.max(1),
            rounds: number("--rounds", or(10, 1))?,
            light: number("--light", or(100, 2))?,
            read: text("--read").map(|name| TransportKind::named(&name)).transpose()?,
            address: text("--address").unwrap_or_default(),
        })
    }
}
