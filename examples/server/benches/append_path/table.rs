use crate::results::{Results, Series};
use crate::subject::Subject;

/// Prints the median, minimum and maximum of all rounds, and the ratios to the earlier
/// build and to the baseline.
pub(crate) fn print(results: &Results) {
    let (mut measure, mut metric) = ("", "");
    for series in in_groups(results) {
        if series.measure != measure {
            (measure, metric) = (&series.measure, "");
            println!("\n{measure}");
            println!(
                "  {:<34} {:<18} {:>9}   {:>9} .. {:<9} {:>9} {:>11}",
                "", "", "median", "min", "max", "to before", "to baseline"
            );
        }
        let label = if series.metric == metric { "" } else { series.metric };
        metric = series.metric;
        let ratio = |other: Option<&Series>| {
            // A difference can be zero or negative, and then has no ratio.
            let other = other.filter(|other| other.min() > 0.0);
            other.map_or_else(String::new, |other| format!("{:.2}", series.ratio(other)))
        };
        println!(
            "  {label:<34} {:<18} {:>9}   {:>9} .. {:<9} {:>9} {:>11}",
            series.subject.to_string(),
            number(series.median()),
            number(series.min()),
            number(series.max()),
            ratio(series.subject.before().and_then(|before| results.same_of(series, before))),
            ratio(baseline(results, series)),
        );
    }
    println!();
    for note in &results.notes {
        println!("{note}");
    }
}

/// The series, grouped by measure and metric.
fn in_groups(results: &Results) -> Vec<&Series> {
    let group = |series: &Series| {
        let first =
            |other: &Series| other.measure == series.measure && other.metric == series.metric;
        let of_measure = results.series.iter().position(|other| other.measure == series.measure);
        (of_measure, results.series.iter().position(first))
    };
    let mut all: Vec<_> = results.series.iter().collect();
    all.sort_by_key(|series| group(series));
    all
}

fn baseline<'a>(results: &'a Results, series: &Series) -> Option<&'a Series> {
    let baselines = [Subject::Bare, Subject::DurableStreams, Subject::PlainLoop].into_iter();
    let mut same = baselines.filter_map(|baseline| results.same_of(series, baseline));
    same.next().filter(|_| series.subject.is_ours())
}

fn number(number: f64) -> String {
    match number.abs() {
        size if size >= 1_000.0 => format!("{number:.0}"),
        size if size >= 10.0 => format!("{number:.1}"),
        _ => format!("{number:.2}"),
    }
}
