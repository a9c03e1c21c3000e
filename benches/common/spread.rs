//! Several measurements of one thing.

/// The median of some measurements, with the least and the greatest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) greatest: f64,
}

impl Spread {
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let (least, greatest) = (values[0], values[values.len() - 1]);
        Self { median: values[values.len() / 2], least, greatest }
    }

    pub(crate) fn shown(self, digits: usize) -> String {
        let Self { median, least, greatest } = self;
        format!("{median:.digits$} ({least:.digits$}-{greatest:.digits$})")
    }
}
