//! Several journeys under one volume model, by weight.
//!
//! It is apart from rows, of which it makes several that share one plan.

use crate::journey::Journey;
use crate::pool_of::PoolOf;
use crate::row::Row;
use crate::schedule::Stripe;
use crate::volume::Model;

/// Journeys that share one volume model by their weights: see [`Scenario::mix`](crate::Scenario::mix).
///
/// ```
/// # use mite_core::volume::{HOUR, MINUTE, SECOND, at_once, constant};
/// # use mite_core::{Context, NoData, Result, Row, Run, Scenario};
/// # async fn browse(_ctx: &mut Context) -> Result { Ok(()) }
/// # async fn buy(_ctx: &mut Context) -> Result { Ok(()) }
/// use mite_core::Mix;
///
/// let mix = Mix::new().journey(7, browse, NoData).journey(3, buy, NoData);
/// let preview = mite_core::preview(Scenario::new().mix(constant(100, 10 * SECOND), mix))?;
/// assert_eq!((preview.rows[0].planned, preview.rows[1].planned), (Some(700), Some(300)));
/// # Ok::<(), mite_core::Error>(())
/// ```
#[derive(Debug, Default)]
#[must_use = "a mix does nothing until a scenario is given it"]
pub struct Mix {
    parts: Vec<(u32, Row)>,
    spawn_rate: Option<f64>,
}

impl Mix {
    /// Without journeys.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a journey: of all starts of the mix it gets `weight` in the sum of all weights.
    ///
    /// ```
    /// # use mite_core::volume::{HOUR, MINUTE, SECOND, at_once, constant};
    /// # use mite_core::{Context, NoData, Result, Row, Run, Scenario};
    /// # async fn browse(_ctx: &mut Context) -> Result { Ok(()) }
    /// # async fn buy(_ctx: &mut Context) -> Result { Ok(()) }
    /// use mite_core::Mix;
    ///
    /// let mix = Mix::new().journey(7, browse, NoData).journey(3, buy, NoData);
    /// ```
    #[track_caller]
    pub fn journey<Args, J, P>(self, weight: u32, journey: J, data: P) -> Self
    where
        J: Journey<Args>,
        P: PoolOf<Args>,
        Args: 'static,
    {
        self.row(weight, Row::of_mix(journey, data))
    }

    /// Adds a row with its options; the mix's volume takes the place of the row's own.
    ///
    /// ```
    /// # use mite_core::volume::{HOUR, MINUTE, SECOND, at_once, constant};
    /// # use mite_core::{Context, NoData, Result, Row, Run, Scenario};
    /// # async fn browse(_ctx: &mut Context) -> Result { Ok(()) }
    /// # async fn buy(_ctx: &mut Context) -> Result { Ok(()) }
    /// use mite_core::Mix;
    ///
    /// let slow = Row::new(buy, NoData, constant(1, SECOND)).timeout(30 * SECOND);
    /// let mix = Mix::new().journey(7, browse, NoData).row(3, slow);
    /// let scenario = Scenario::new().mix(constant(100, MINUTE), mix);
    /// ```
    pub fn row(mut self, weight: u32, row: Row) -> Self {
        self.parts.push((weight, row));
        self
    }

    /// How fast the number running of the whole mix may rise: as [`Row::spawn_rate`], before it is shared out.
    ///
    /// ```
    /// # use mite_core::volume::{HOUR, MINUTE, SECOND, at_once, constant};
    /// # use mite_core::{Context, NoData, Result, Row, Run, Scenario};
    /// # async fn browse(_ctx: &mut Context) -> Result { Ok(()) }
    /// # async fn buy(_ctx: &mut Context) -> Result { Ok(()) }
    /// use mite_core::Mix;
    ///
    /// let mix = Mix::new().journey(7, browse, NoData).journey(3, buy, NoData).spawn_rate(10.0);
    /// let preview = mite_core::preview(Scenario::new().mix(constant(100, MINUTE).running(), mix))?;
    /// // All of them run after ten seconds: 70 and 30.
    /// assert_eq!((preview.rows[0].points[10], preview.rows[1].points[10]), (70, 30));
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn spawn_rate(mut self, journeys_per_second: f64) -> Self {
        self.spawn_rate = Some(journeys_per_second);
        self
    }

    /// The rows, each with its part of the model; `first_row` is the number that the first of them gets.
    pub(crate) fn into_rows(self, model: &Result<Model, String>, first_row: usize) -> Vec<Row> {
        let weights: Vec<u32> = self.parts.iter().map(|(weight, _)| *weight).collect();
        if weights.contains(&0) {
            let refused = |(_, mut row): (u32, Row)| {
                row.volume = Err("a mix with a weight of zero: leave that journey out".to_owned());
                row
            };
            return self.parts.into_iter().map(refused).collect();
        }
        let stripes = Stripe::by_weights(&weights);
        let part = |((_, mut row), stripe): ((u32, Row), Stripe)| {
            row.volume.clone_from(model);
            if row.spawn_rate.is_some() {
                row.volume = Err("the rows of a mix rise together: say `.spawn_rate(…)` on the mix".to_owned());
            }
            row.spawn_rate = self.spawn_rate;
            row.part = Some((stripe, first_row));
            row
        };
        self.parts.into_iter().zip(stripes).map(part).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }
}
