//! What holds for the options of all verbs, and for the pages that are made of them.

mod man;
mod numbers;
