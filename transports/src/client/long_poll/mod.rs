//! Reads frames from pages, requested one after the other.

mod frames;
mod page;
mod poller;

use downlink::Subscribe;

use self::poller::Poller;
use super::connect_options::ConnectOptions;
use super::failure::Failure;

pub(super) use self::frames::Frames;

pub(super) async fn open(
    options: &ConnectOptions,
    subscribe: &Subscribe,
) -> Result<Frames, Failure> {
    let mut poller = Poller::new(options, subscribe)?;
    let page = poller.first_page(subscribe.after()).await?;
    Ok(Frames::new(poller, subscribe.after(), page))
}
