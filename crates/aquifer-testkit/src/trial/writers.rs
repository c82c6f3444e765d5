use std::ops::Range;
use std::sync::Arc;

use tokio::time::timeout;

use super::layer::{CELLS, Cached, Way};
use super::part::Part;
use super::record::now;
use super::tasks::{Shared, below};
use crate::numbers::Numbers;

/// Writes what is read and written all the time.
pub(super) async fn write<C: Cached>(shared: Arc<Shared<C>>, task: u64, mut numbers: Numbers) {
    while shared.goes_on(numbers.milliseconds(0, 100)).await {
        let own = own_cell(&shared.part);
        let cell = if task == 0 && numbers.one_in(2) {
            own
        } else {
            below(&mut numbers, CELLS)
        };
        let (way, begun) = (Way::of(cell), now());
        if way == Way::Set && (task, cell) != (0, own) {
            continue;
        }
        if way == Way::Delete && numbers.one_in(30) {
            let taken_back = shared.cached.take_back(cell).await;
            shared.complain(taken_back);
            continue;
        }
        if way != Way::Set && numbers.one_in(30) {
            // Whatever it has done by then, nobody was told.
            let _gone = timeout(numbers.milliseconds(0, 20), shared.write(cell, begun)).await;
        } else {
            shared.write(cell, begun).await;
        }
    }
}

/// Writes these now and then.
pub(super) async fn write_calm<C: Cached>(
    shared: Arc<Shared<C>>,
    mut numbers: Numbers,
    cells: Range<u32>,
) {
    while shared.goes_on(numbers.milliseconds(0, 500)).await {
        let cell = cells.start + below(&mut numbers, cells.end - cells.start);
        if Way::of(cell) != Way::Set || is_of(&shared.part, cell) {
            shared.write(cell, now()).await;
        }
    }
}

/// Values that take the place of others must not come in another order than they were written, so one
/// task writes them.
fn own_cell(part: &Part) -> u32 {
    let place = u32::try_from(part.place()).unwrap_or(0);
    4 * place + 2
}

/// Of calm cells too.
fn is_of(part: &Part, cell: u32) -> bool {
    let processes = u32::try_from(super::PROCESSES).unwrap_or(1);
    cell % (4 * processes) == own_cell(part)
}
