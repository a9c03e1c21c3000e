//! The faults that the program injects.

use countersign::ListenerId;

use crate::builtin::AnyService;

pub use countersign::faults::Faults;
pub(crate) use countersign::faults::Faulty;

/// The services of the listeners with the faults of each, in their order: those of this worker,
/// drawn from this seed.
#[must_use]
pub fn with_faults(
    service: AnyService,
    faults: Vec<Faults>,
    (seed, worker): (u64, usize),
) -> Faulty<AnyService> {
    Faulty::of_listeners(service, faults).with_seed_of(seed, worker)
}

/// Replaces the faults of a listener.
pub fn replace_faults(service: &mut Faulty<AnyService>, listener: ListenerId, faults: Faults) {
    service.replace_faults(listener, faults);
}
