/// Who may reach a feed, as it was built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Exposure {
    /// Programs on this machine only: neither
    /// [`authorize`](crate::feed::Feed::authorize) nor
    /// [`open_to_everyone`](crate::feed::Feed::open_to_everyone) was called.
    LocalOnly,
    /// Whoever the application lets in, request by request.
    Authorized,
    /// Everyone who can connect, by the application's explicit wish.
    Everyone,
}
