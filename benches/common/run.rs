//! How a bench is run, and its table.

/// How a bench is run: whole by `cargo bench`, tiny by `cargo test` and with `--quick`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    /// With small numbers, to see that the bench works.
    pub(crate) tiny: bool,
    /// Tab-separated values instead of a table for people.
    pub(crate) tsv: bool,
}

impl Run {
    pub(crate) fn from_arguments() -> Self {
        let has = |wanted: &str| std::env::args().any(|argument| argument == wanted);
        Self { tiny: !has("--bench") || has("--quick"), tsv: has("--tsv") }
    }

    /// An odd number, so that the median is one of them.
    pub(crate) fn repeats(self) -> usize {
        if self.tiny { 1 } else { 5 }
    }

    /// One line of the table; the first names what the others say.
    pub(crate) fn row<const N: usize>(self, columns: [&str; N]) {
        if self.tsv {
            return println!("{}", columns.join("\t"));
        }
        let [first, rest @ ..] = &columns[..] else { return };
        let rest: String = rest.iter().map(|column| format!("  {column:>18}")).collect();
        println!("{first:<30}{rest}");
    }
}
