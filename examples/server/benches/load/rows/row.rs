use serde_json::{Value, json};

use super::aim::Aim;

/// A line of the table.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) measure: String,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    /// The figure before the delivery was improved.
    pub(crate) before: &'static str,
    pub(crate) aim: Option<Aim>,
    /// What the value was computed from.
    pub(crate) detail: String,
}

impl Row {
    pub(crate) fn new(measure: impl Into<String>, value: f64, unit: &'static str) -> Self {
        let (measure, detail) = (measure.into(), String::new());
        Self { measure, value, unit, before: "", aim: None, detail }
    }

    pub(crate) fn with_before(self, before: &'static str) -> Self {
        Self { before, ..self }
    }

    pub(crate) fn with_aim(self, aim: Aim) -> Self {
        Self { aim: Some(aim), ..self }
    }

    pub(crate) fn with_detail(self, detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), ..self }
    }

    pub(crate) fn is_reached(&self) -> Option<bool> {
        self.aim.map(|aim| aim.is_reached(self.value))
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "measure": self.measure,
            "value": self.value,
            "unit": self.unit,
            "before": self.before,
            "aim": self.aim.map(|aim| aim.to_string()),
            "reached": self.is_reached(),
            "detail": self.detail,
        })
    }
}
