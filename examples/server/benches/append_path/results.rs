use serde_json::{Value, json};

use crate::subject::Subject;

/// The measured series, in the order of their first record.
#[derive(Debug, Default)]
pub(crate) struct Results {
    pub(crate) series: Vec<Series>,
    /// What was not measured, and why.
    pub(crate) notes: Vec<String>,
}

/// One metric of one subject, for each round.
#[derive(Debug)]
pub(crate) struct Series {
    /// The measured operation.
    pub(crate) measure: String,
    /// The metric, with its unit.
    pub(crate) metric: &'static str,
    pub(crate) subject: Subject,
    pub(crate) values: Vec<f64>,
}

impl Results {
    pub(crate) fn record(
        &mut self,
        measure: &str,
        metric: &'static str,
        subject: Subject,
        value: f64,
    ) {
        let known = self.series.iter_mut().find(|series| {
            series.measure == measure && series.metric == metric && series.subject == subject
        });
        if let Some(series) = known {
            return series.values.push(value);
        }
        let (measure, values) = (measure.to_owned(), vec![value]);
        self.series.push(Series { measure, metric, subject, values });
    }

    /// The same metric of another subject.
    pub(crate) fn same_of(&self, series: &Series, subject: Subject) -> Option<&Series> {
        self.series.iter().find(|other| {
            other.measure == series.measure
                && other.metric == series.metric
                && other.subject == subject
        })
    }

    pub(crate) fn to_json(&self) -> Value {
        let series: Vec<_> = self
            .series
            .iter()
            .map(|series| {
                json!({
                    "measure": series.measure,
                    "metric": series.metric,
                    "subject": series.subject.to_string(),
                    "median": series.median(),
                    "rounds": series.values,
                })
            })
            .collect();
        json!({ "series": series, "notes": self.notes })
    }
}

impl Series {
    pub(crate) fn median(&self) -> f64 {
        median(self.values.clone())
    }

    pub(crate) fn min(&self) -> f64 {
        self.values.iter().copied().fold(f64::INFINITY, f64::min)
    }

    pub(crate) fn max(&self) -> f64 {
        self.values.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }

    /// The median of the ratios to the other in the same round.
    pub(crate) fn ratio(&self, other: &Self) -> f64 {
        median(self.values.iter().zip(&other.values).map(|(one, other)| one / other).collect())
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
