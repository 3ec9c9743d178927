/// The median; not a number if there are none.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The median of the ratios within the rounds.
pub(crate) fn median_ratio(values: &[f64], baselines: &[f64]) -> f64 {
    median(values.iter().zip(baselines).map(|(value, baseline)| value / baseline))
}
