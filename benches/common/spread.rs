//! Several measurements of one thing.

/// Several measurements of one thing, the least first.
#[derive(Debug, Clone)]
pub(crate) struct Spread(Vec<f64>);

impl Spread {
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    pub(crate) fn median(&self) -> Option<f64> {
        self.0.get(self.0.len() / 2).copied()
    }

    /// The median, with the least and the greatest; a dash where nothing was measured.
    pub(crate) fn shown(&self, digits: usize) -> String {
        let Self(values) = self;
        match (self.median(), values.first(), values.last()) {
            (Some(median), Some(least), Some(greatest)) => {
                format!("{median:.digits$} ({least:.digits$}-{greatest:.digits$})")
            }
            _ => "-".to_owned(),
        }
    }
}
