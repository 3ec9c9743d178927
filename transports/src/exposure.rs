/// Which clients a feed serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Exposure {
    /// Programs on this machine only: neither
    /// [`authorize`](crate::feed::Feed::authorize) nor
    /// [`open_to_everyone`](crate::feed::Feed::open_to_everyone) was called.
    LocalOnly,
    /// Clients that the application authorizes, request by request.
    Authorized,
    /// All clients that can connect, because the application asked for it.
    Everyone,
}
