//! Where the load goes, over which connections, and what is asked for.
//! It is separate from the scenarios because all that send requests have it.

use std::time::Duration;

use mite::http::{Connections, Http1, HttpVersion, Settings};
use mite::prelude::*;
use serde::{Deserialize, Serialize};

/// A URL, and the settings that the config gives for its connections.
#[derive(Clone)]
pub(crate) struct Target {
    url: String,
    /// `None` for the default ones.
    settings: Option<Settings>,
}

/// What `post` sends: 200 bytes, for each request anew.
#[derive(Serialize)]
struct Order<'a> {
    customer: &'a str,
    product: &'a str,
    quantity: u32,
    address: [&'a str; 3],
    comment: &'a str,
}

/// What `post` is answered.
#[derive(Deserialize)]
struct Receipt {
    number: u64,
    customer: String,
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    product: String,
    quantity: u32,
    price: f64,
}

impl Target {
    /// Keys of the config: `url`; `http`: `1` or `2` (prior knowledge, or all that is offered by ALPN); `http1`: which transport
    /// carries HTTP/1.1; `insecure`: true to accept any certificate; `connections`: at most so many to a server.
    pub(crate) fn new(config: &Config) -> Result<Self> {
        let mut settings = Settings::new();
        match config.get_or("http", "auto".to_owned())?.as_str() {
            "auto" => {}
            "1" => settings = settings.http_version(HttpVersion::Http1),
            "2" => settings = settings.http_version(HttpVersion::Http2PriorKnowledge),
            other => bail!("http={other}: it is 1 or 2"),
        }
        match config.get_or("http1", "auto".to_owned())?.as_str() {
            "auto" => {}
            "hyper" => settings = settings.http1(Http1::Hyper),
            other => bail!("http1={other}: it is hyper, or not said"),
        }
        if config.get_or("insecure", false)? {
            settings = settings.danger_accept_invalid_certs(true);
        }
        let connections: u32 = config.get_or("connections", 0)?;
        if connections > 0 {
            settings = settings.max_connections_per_origin(connections);
        }
        let settings = (settings != Settings::new()).then_some(settings);
        Ok(Self { url: config.get("url")?, settings })
    }

    /// The same, with a connection for each journey that is closed when the journey ends.
    pub(crate) fn connection_of_its_own(self) -> Self {
        let settings = self.settings.unwrap_or_default().connections(Connections::PerJourney);
        Self { settings: Some(settings), ..self }
    }

    /// One GET, in one transaction.
    pub(crate) async fn get(&self, ctx: &mut Context) -> Result {
        self.visit(ctx, async |ctx| {
            ctx.http().get(&self.url).await?.error_for_status()?;
            Ok(())
        })
        .await
    }

    /// One POST of 200 bytes that are made for it, and JSON in return, which is read.
    pub(crate) async fn post(&self, ctx: &mut Context) -> Result {
        self.visit(ctx, async |ctx| {
            let customer = format!("customer-{:010}", ctx.start_index());
            let order = Order {
                customer: &customer,
                product: "a box of pencils, of twelve colours",
                quantity: 12,
                address: ["12 Mill Lane", "Llandudno", "LL30 2TW"],
                comment: "leave it with the neighbours at number 10",
            };
            let response = ctx.http().post(&self.url).json(&order).await?.error_for_status()?;
            let receipt: Receipt = response.json()?;
            let priced =
                receipt.items.iter().all(|item| item.quantity > 0 && item.price > 0.0 && !item.product.is_empty());
            ensure!(priced && receipt.number > 0 && !receipt.customer.is_empty(), "a receipt that makes no sense");
            Ok(())
        })
        .await
    }

    /// One GET whose body is read and forgotten.
    pub(crate) async fn download(&self, ctx: &mut Context) -> Result {
        self.visit(ctx, async |ctx| {
            ctx.http().get(&self.url).discard().await?.error_for_status()?;
            Ok(())
        })
        .await
    }

    /// One GET, after which the journey waits.
    pub(crate) async fn hold(&self, ctx: &mut Context, held: Duration) -> Result {
        self.visit(ctx, async |ctx| {
            ctx.http().get(&self.url).await?.error_for_status()?;
            tokio::time::sleep(held).await;
            Ok(())
        })
        .await
    }

    async fn visit(&self, ctx: &mut Context, body: impl AsyncFnOnce(&mut Context) -> Result) -> Result {
        match &self.settings {
            None => ctx.transaction("test", body).await,
            Some(settings) => ctx.http_session(settings.clone()).transaction("test", body).await,
        }
    }
}
