/// A number for people, with three digits or more; `-` if nothing was measured.
pub(crate) fn number(number: f64) -> String {
    match number.abs() {
        size if !size.is_finite() => "-".to_owned(),
        0.0 => "0".to_owned(),
        size if size >= 100.0 => format!("{number:.0}"),
        size if size >= 10.0 => format!("{number:.1}"),
        _ => format!("{number:.2}"),
    }
}
