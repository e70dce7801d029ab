//! What is read again from the beginning by whoever comes to a run that goes on: one that takes it over, or follows it.

use std::collections::BTreeMap;

use super::protocol::{MembersRecord, Order, unpack};
use crate::bus::{BusError, Reader};

/// Reads the orders up to this item of their log.
///
/// # Errors
/// They cannot be read.
pub(super) async fn recall_orders(
    orders: &mut dyn Reader,
    end: u64,
    mut recall: impl FnMut(Order),
) -> Result<(), BusError> {
    let mut at = 0;
    while at < end {
        let item = orders.next().await?;
        at = item.sequence;
        recall(unpack("an order", &item.payload)?);
    }
    Ok(())
}

/// From which second on each runner has had a share.
pub(super) fn first_shares(lists: &[MembersRecord]) -> BTreeMap<u32, u64> {
    let mut first = BTreeMap::new();
    for list in lists {
        for member in &list.members {
            first.entry(member.rid).or_insert(list.at / 1_000_000_000);
        }
    }
    first
}
