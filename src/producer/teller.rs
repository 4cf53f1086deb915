//! The three doors of a send: a delivery, a tag for the sink, a callback.

use super::batch::{Batch, Callback, Receipt};
use super::Delivery;

/// Who is to be told of a record, and what its sender holds meanwhile.
pub(super) trait Teller {
    type Told;
    /// The record of `receipt` is in `batch` now.
    fn join(self, batch: &mut Batch, receipt: Receipt) -> Self::Told;
}

/// A delivery.
pub(super) struct ByDelivery;

impl Teller for ByDelivery {
    type Told = Delivery;
    #[inline]
    fn join(self, batch: &mut Batch, receipt: Receipt) -> Delivery {
        Delivery::new(batch.completion.clone(), receipt)
    }
}

/// The sink, by a tag.
pub(super) struct ByTag(pub u64);

impl Teller for ByTag {
    type Told = ();
    #[inline]
    fn join(self, batch: &mut Batch, receipt: Receipt) {
        if batch.completion.shared.sink.is_some() {
            batch.audience.add_tag(self.0, &receipt);
        }
    }
}

/// A callback.
pub(super) struct ByCallback(pub Callback);

impl Teller for ByCallback {
    type Told = ();
    fn join(self, batch: &mut Batch, receipt: Receipt) {
        batch.audience.callbacks.push((receipt, self.0));
    }
}
