/// Who can reach a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Programs on this machine only: neither
    /// [`with_authorizer`](crate::feed::Feed::with_authorizer) nor
    /// [`with_public_access`](crate::feed::Feed::with_public_access) was called.
    LocalOnly,
    /// Clients that the application authorizes, request by request.
    Authorized,
    /// Every client that can connect; the application asked for this explicitly.
    Public,
}
