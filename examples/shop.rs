//! `cargo run --release --example shop`: visitors of a small shop who browse, fill carts and buy, each in its share.
//!
//! Of ten visitors six browse, three leave a full cart behind and one buys. They read between their clicks. Those with a cart are
//! customers from a pool that both journeys share: nobody is in the shop twice at the same time, to which the shop holds them.

mod common;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use common::Service;
use mite::prelude::*;
use mite::threshold::{error_rate, ms, p95, percent};
use mite::{Mix, Rng};
use rand::RngExt as _;
use serde_json::{Value, json};

const PRODUCTS: [(&str, u32); 5] = [("tea", 4), ("coffee", 9), ("honey", 7), ("jam", 5), ("bread", 3)];

#[mite_http(base = "shop_url")]
async fn browse(ctx: &mut Context) -> Result {
    ctx.transaction("Front page", async |ctx| {
        ctx.http().get("/products").await?.error_for_status()?;
        Ok(())
    })
    .await?;
    for _ in 0..3 {
        look_at_a_product(ctx).await?;
    }
    Ok(())
}

#[mite_http(base = "shop_url")]
async fn leave_a_cart(ctx: &mut Context, customer: String) -> Result {
    fill_cart(ctx, &customer).await?;
    ctx.transaction("Leave", async |ctx| {
        ctx.http().delete(format!("/carts/{customer}")).name("/carts/{customer}").await?.error_for_status()?;
        Ok(())
    })
    .await
}

#[mite_http(base = "shop_url")]
async fn buy(ctx: &mut Context, customer: String) -> Result {
    fill_cart(ctx, &customer).await?;
    ctx.transaction("Check out", async |ctx| {
        let path = format!("/carts/{customer}/checkout");
        let receipt = ctx.http().post(path).name("/carts/{customer}/checkout").await?.error_for_status()?;
        let total = receipt.json::<Value>()?["total"].as_u64();
        ensure!(total.is_some_and(|total| total > 0), "two products for nothing");
        ctx.counter("orders").add(1);
        ctx.histogram("basket_value").record(total.unwrap_or(0) as f64);
        Ok(())
    })
    .await
}

async fn fill_cart(ctx: &mut Context, customer: &str) -> Result {
    for _ in 0..2 {
        let product = look_at_a_product(ctx).await?;
        ctx.transaction("Add to cart", async |ctx| {
            let item = ctx.http().post(format!("/carts/{customer}")).name("/carts/{customer}");
            item.json(&json!({ "product": product })).await?.error_for_status()?;
            Ok(())
        })
        .await?;
    }
    Ok(())
}

async fn look_at_a_product(ctx: &mut Context) -> Result<usize> {
    think(ctx.rng()).await;
    let product = ctx.rng().random_range(0..PRODUCTS.len());
    ctx.transaction("Product page", async |ctx| {
        ctx.http().get(format!("/products/{product}")).name("/products/{id}").await?.error_for_status()?;
        Ok(())
    })
    .await?;
    Ok(product)
}

/// What a visitor needs to read, drawn anew for each page: no part of any transaction.
async fn think(rng: &mut Rng) {
    tokio::time::sleep(Duration::from_millis(rng.random_range(100..500))).await;
}

fn a_day_in_the_shop() -> Scenario {
    let customers = RecyclableIterableDataPool::new((1..=200).map(|number| (format!("customer-{number}"),)));
    let visitors =
        Mix::new().journey(6, browse, NoData).journey(3, leave_a_cart, customers.clone()).journey(1, buy, customers);
    // The shop opens, is busy, and closes.
    let volume = ramp(2 * SECOND).from(0) + constant(60, 4 * SECOND) + ramp(2 * SECOND).to(0);
    Scenario::new()
        .mix(volume, visitors)
        .threshold(p95("Check out").under(ms(500)))
        .threshold(error_rate().under(percent(0.1)))
}

fn main() -> Result {
    let carts = Shop::default();
    let shop = Service::start(carts.router())?;
    let report = Run::new(a_day_in_the_shop().named("a_day_in_the_shop"))
        .config("shop_url", shop.url())
        // The shop shares this machine, and a debug build of it is slow: that must not fail the demonstration.
        .max_start_lag(SECOND)
        .run_blocking()?;
    println!("{report}");
    let (sold, told) = (carts.state().sold, report.metric("orders").number());
    println!("The shop has sold {sold} carts, and the journeys have counted {} orders.", told.unwrap_or(0.0));
    ensure!(told == Some(sold.into()) && report.passed(), "these two should be the same, and the run should pass");
    Ok(())
}

/// The service under test. A customer's cart is there from the first product to the checkout, and one that is filled from two
/// places at once would be seen: it holds two products at the most.
#[derive(Clone, Default)]
struct Shop(Arc<Mutex<Carts>>);

#[derive(Default)]
struct Carts {
    carts: HashMap<String, Vec<usize>>,
    sold: u32,
}

impl Shop {
    fn router(&self) -> Router {
        Router::new()
            .route("/products", get(async || Json(PRODUCTS.map(|(name, _)| name))))
            .route("/products/{id}", get(product))
            .route("/carts/{customer}", post(add).delete(leave))
            .route("/carts/{customer}/checkout", post(check_out))
            .with_state(self.clone())
    }

    fn state(&self) -> MutexGuard<'_, Carts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn product(Path(id): Path<usize>) -> Result<Json<Value>, StatusCode> {
    let (name, price) = PRODUCTS.get(id).ok_or(StatusCode::NOT_FOUND)?;
    Ok(Json(json!({ "name": name, "price": price })))
}

async fn add(State(shop): State<Shop>, Path(customer): Path<String>, Json(item): Json<Value>) -> StatusCode {
    let product = item["product"].as_u64().filter(|product| *product < PRODUCTS.len() as u64);
    let Some(product) = product else { return StatusCode::UNPROCESSABLE_ENTITY };
    let mut state = shop.state();
    let cart = state.carts.entry(customer).or_default();
    cart.push(product as usize);
    if cart.len() <= 2 { StatusCode::CREATED } else { StatusCode::CONFLICT }
}

async fn leave(State(shop): State<Shop>, Path(customer): Path<String>) -> StatusCode {
    shop.state().carts.remove(&customer).map_or(StatusCode::NOT_FOUND, |_| StatusCode::NO_CONTENT)
}

async fn check_out(State(shop): State<Shop>, Path(customer): Path<String>) -> Result<Json<Value>, StatusCode> {
    let mut state = shop.state();
    let cart = state.carts.remove(&customer).ok_or(StatusCode::NOT_FOUND)?;
    state.sold += 1;
    Ok(Json(json!({ "total": cart.into_iter().map(|product| PRODUCTS[product].1).sum::<u32>() })))
}
