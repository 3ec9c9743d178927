super::name::name! {
    /// The type of an event, such as `FlightDeparted`.
    ///
    /// 1 to 255 bytes of UTF-8 without control characters, compared byte by
    /// byte. Clones share the text.
    EventType, "an event type"
}
