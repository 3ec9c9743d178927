//! How the body of a response gets a socket of its own.
//!
//! A server that can write a body to the socket itself offers it with the request. A
//! handler whose response lasts accepts, and the mark passes through every layer in
//! between, which neither side has to know.

use http::Extensions;

/// The mark of a request that offers.
#[derive(Clone, Copy, Debug)]
struct Offered;

/// The mark of a response that accepts. Another one, because a layer may copy the
/// extensions of a request.
#[derive(Clone, Copy, Debug)]
struct Accepted;

/// Offers the socket to the handler of a request.
pub(crate) fn offer(request: &mut Extensions) {
    request.insert(Offered);
}

/// Accepts what was offered with the request, if anything was.
pub(crate) fn accept(request: &Extensions, response: &mut Extensions) {
    if request.get::<Offered>().is_some() {
        response.insert(Accepted);
    }
}

/// Whether the response accepts the offer.
pub(crate) fn is_accepted(response: &Extensions) -> bool {
    response.get::<Accepted>().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_handler_accepts_what_was_offered() {
        let (mut request, mut response) = (Extensions::new(), Extensions::new());
        accept(&request, &mut response);
        assert!(!is_accepted(&response), "nothing was offered");
        offer(&mut request);
        assert!(!is_accepted(&request), "a layer may copy the extensions of the request");
        accept(&request, &mut response);
        assert!(is_accepted(&response));
    }
}
