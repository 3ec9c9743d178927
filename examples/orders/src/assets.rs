/// The files of the page, which needs no build step.
pub(crate) const FILES: [(&str, &[u8]); 8] = [
    ("index.html", include_bytes!("../assets/index.html")),
    ("style.css", include_bytes!("../assets/style.css")),
    ("favicon.svg", include_bytes!("../assets/favicon.svg")),
    ("app.js", include_bytes!("../assets/app.js")),
    ("api.js", include_bytes!("../assets/api.js")),
    ("dashboard.js", include_bytes!("../assets/dashboard.js")),
    ("orders.js", include_bytes!("../assets/orders.js")),
    ("downlink.js", include_bytes!("../../../transports/typescript/bundle/downlink.js")),
];
