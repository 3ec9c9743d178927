use crate::aim::Aim;

pub(crate) fn print_head() {
    println!("{:<64} {:>16} {:>8} {:>8}  reached", "", "measured", "ratio", "aim");
}

/// Prints a measured value to which others are compared.
pub(crate) fn print(measure: &str, value: &str) {
    println!("{measure:<64} {value:>16}");
}

/// Prints a measured value, and its ratio to another.
pub(crate) fn print_ratio(measure: &str, value: &str, ratio: f64, aim: Aim) {
    let reached = if aim.is_reached(ratio) { "yes" } else { "NO" };
    println!("{measure:<64} {value:>16} {ratio:>8.2} {:>8}  {reached}", aim.to_string());
}

pub(crate) fn rate(per_second: f64) -> String {
    format!("{per_second:.0} events/s")
}

pub(crate) fn micros(micros: f64) -> String {
    format!("{micros:.0} µs")
}
