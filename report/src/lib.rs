//! The results of a load: saved, read back and written in several forms.
//!
//! A [`SavedReport`] is what `countersign load --output json` writes: a summary with the keys that
//! oha uses, the histograms themselves, so that reports can be merged without averaging
//! percentiles, and the parameters of the load.

mod compare;
mod csv;
mod error;
mod figures;
mod hgrm;
mod histogram;
mod hlog;
mod html;
mod interval_record;
mod ladder;
mod live_view;
mod merge;
mod parameters;
mod saved_report;
mod server_load;
mod text;

pub use compare::{Comparison, ComparisonRow, Difference, FigureKind, Strictness};
pub use csv::{csv, intervals_csv};
pub use error::SavedReportError;
pub use figures::{Counts, Percentiles};
pub use hgrm::hgrm;
pub use hlog::hlog;
pub use html::{comparison_html, html};
pub use interval_record::IntervalRecord;
pub use ladder::{Ladder, ProbeRecord};
pub use live_view::LiveView;
pub use merge::{MergeError, merge};
pub use parameters::Parameters;
pub use saved_report::{Histograms, SavedReport, Summary};
pub use server_load::ServerLoad;
pub use text::text;

// What an embedder moves to a thread of its own, or shares.
const _: () = {
    const fn is_send_and_sync<T: Send + Sync>() {}
    is_send_and_sync::<Comparison>();
    is_send_and_sync::<MergeError>();
    is_send_and_sync::<SavedReport>();
    is_send_and_sync::<SavedReportError>();
    is_send_and_sync::<Parameters>();
};
