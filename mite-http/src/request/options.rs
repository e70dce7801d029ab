//! What a request may say beside what it sends: its name, its fields, how long each phase may take, how far it is followed.
//! It is separate from the builder's other methods because these show in the report and not on the wire.

use std::{borrow::Cow, sync::Arc, time::Duration};

use serde::Serialize;

use super::Request;
use crate::{
    draft::options::Options,
    fields::Fields,
    metrics,
    name::{LONGEST_NAME, Name},
    redirect::Redirects,
};

impl Request {
    /// Calls the request by a name, for URLs that have ids in them: `/users/{id}`.
    ///
    /// Requests with different names, or none, are counted apart in the report. In `http_metrics` the name is the field
    /// `name`, after those of the format; in the text of an error it stands in the place of the URL's path, so that one kind of
    /// request makes one kind of error. It holds for the redirects on the way too.
    ///
    /// A name of no bytes, or of more than 200, fails the request with class `request`: names are kept for the whole run.
    ///
    /// ```no_run
    /// # use mite_core::{Context, Result};
    /// # use mite_http::HttpContext;
    /// async fn look_up(ctx: &mut Context, id: u64) -> Result {
    ///     let url = format!("http://localhost:8080/users/{id}");
    ///     ctx.http().get(url).name("/users/{id}").await?.error_for_status()?;
    ///     Ok(())
    /// }
    /// ```
    pub fn name(self, name: impl AsRef<str>) -> Self {
        let name = name.as_ref();
        self.with(|draft| {
            if name.is_empty() || name.len() > LONGEST_NAME {
                let what = format!("its name has {} bytes: 1 to {LONGEST_NAME} are possible", name.len());
                return Err(draft.mistake(what));
            }
            draft.options().name = Some(Name { text: Arc::from(name), redirected: false });
            Ok(())
        })
    }

    /// Adds a field to the `http_metrics` of this request, after those of the format, and to those of the redirects on the way.
    ///
    /// The value is serialised now, and not at all if no sink wants `http_metrics`. A key that the format has itself fails the
    /// request with class `request`.
    ///
    /// ```
    /// # use mite_core::{Context, Result, ensure};
    /// # use mite_http::HttpContext;
    /// # async fn visit(ctx: &mut Context) -> Result {
    /// ctx.http().get("http://localhost:8080/search?q=green+tea").field("words", 2).await?.error_for_status()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn field(self, key: impl Into<Cow<'static, str>>, value: impl Serialize) -> Self {
        let wanted = metrics::are_wanted(&self.scope);
        self.with(|draft| {
            let options = draft.options();
            let outcome = if wanted {
                options.fields.try_add(key.into(), &value)
            } else {
                Fields::new(false).try_add(key.into(), &value)
            };
            outcome.map_err(|mistake| draft.mistake(mistake))
        })
    }

    /// Follows so many redirects and no more, in the place of what the session says. See
    /// [`Settings::redirects`](crate::Settings::redirects).
    ///
    /// ```
    /// # use mite_core::{Context, Result, ensure};
    /// # use mite_http::HttpContext;
    /// # async fn visit(ctx: &mut Context) -> Result {
    /// ctx.http().get("http://localhost:8080/").redirects(3).await?.error_for_status()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn redirects(self, most: u32) -> Self {
        self.option(|options| options.redirects = Some(Redirects::UpTo(most)))
    }

    /// Follows no redirect: the response is what came first.
    ///
    /// ```
    /// # use mite_core::{Context, Result, ensure};
    /// # use mite_http::HttpContext;
    /// # async fn visit(ctx: &mut Context) -> Result {
    /// let login = ctx.http().post("http://localhost:8080/login").no_redirects().await?;
    /// ensure!(login.status().is_redirection());
    /// # Ok(())
    /// # }
    /// ```
    pub fn no_redirects(self) -> Self {
        self.option(|options| options.redirects = Some(Redirects::NotFollowed))
    }

    /// How long a new connection may take, in the place of the session's
    /// [`connect_timeout`](crate::Settings::connect_timeout).
    ///
    /// ```
    /// # use mite_core::{Context, Result, ensure};
    /// # use mite_http::HttpContext;
    /// use std::time::Duration;
    ///
    /// # async fn visit(ctx: &mut Context) -> Result {
    /// ctx.http().get("http://localhost:8080/").connect_timeout(Duration::from_secs(1)).await?.error_for_status()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn connect_timeout(self, timeout: Duration) -> Self {
        self.option(|options| options.connect_timeout = Some(timeout))
    }

    /// How long the server may take from the end of the request to the head of its response, in the place of the session's
    /// [`first_byte_timeout`](crate::Settings::first_byte_timeout).
    ///
    /// ```
    /// # use mite_core::{Context, Result, ensure};
    /// # use mite_http::HttpContext;
    /// use std::time::Duration;
    ///
    /// # async fn visit(ctx: &mut Context) -> Result {
    /// ctx.http().get("http://localhost:8080/").first_byte_timeout(Duration::from_secs(1)).await?.error_for_status()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn first_byte_timeout(self, timeout: Duration) -> Self {
        self.option(|options| options.first_byte_timeout = Some(timeout))
    }

    pub(super) fn option(self, set: impl FnOnce(&mut Options)) -> Self {
        self.with(|draft| {
            set(draft.options());
            Ok(())
        })
    }

    /// The request as a command line of curl, for a look at what would be sent: with the session's headers and cookies.
    ///
    /// **Its secrets are in it**, passwords, tokens and cookies, as they would be sent: it is not for logs that others read. A
    /// request with a mistake is a comment that tells the mistake.
    ///
    /// ```
    /// # use mite_core::{Context, Result, ensure};
    /// # use mite_http::HttpContext;
    /// # async fn visit(ctx: &mut Context) -> Result {
    /// println!("{}", ctx.http().get("http://localhost:8080/").to_curl());
    /// # Ok(())
    /// # }
    /// ```
    pub fn to_curl(&self) -> String {
        match &self.draft {
            Ok(draft) => self.session.to_curl(draft),
            Err(mistake) => format!("# nothing would be sent: {}", mistake.to_string().replace('\n', " ")),
        }
    }
}
