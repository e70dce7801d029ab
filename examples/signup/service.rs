//! The system under test: a signup service with a database, as a crate of its own would have it. It shares nothing with
//! the load test but its URL, and runs on a thread of its own, so that neither is slow on the other's account.

use std::{
    error::Error,
    io,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

use argon2::{
    Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version,
    password_hash::{self, phc::PasswordHash},
};
use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use rusqlite::{Connection, OptionalExtension};
use serde::{Deserialize, Serialize};
use tokio::{net::TcpListener, runtime, sync::oneshot, task};

pub(crate) type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

/// A running service; it stops when this is dropped.
pub(crate) struct Service {
    address: SocketAddr,
    store: Arc<Store>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Service {
    /// Starts on a free port of this machine, with the users in `database`, which is made if it is not there.
    pub(crate) async fn start(database: &Path) -> Result<Service> {
        let database = database.to_owned();
        let store = Arc::new(task::spawn_blocking(move || Store::open(&database)).await??);

        let (ready, address) = oneshot::channel();
        let (stop, stopped) = oneshot::channel();
        let router = router(Arc::clone(&store));
        let thread = thread::Builder::new().name("signup".to_owned()).spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().max_blocking_threads(4).build()?;
            runtime.block_on(serve(router, ready, stopped))
        })?;

        let Ok(address) = address.await else {
            return Err(match thread.join() {
                Ok(Err(error)) => error.into(),
                _ => "the service ended before it began".into(),
            });
        };
        Ok(Service { address, store, stop: Some(stop), thread: Some(thread) })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many users have signed up, as the database has it.
    pub(crate) fn users(&self) -> Result<u64> {
        self.store.users()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in there has been printed, and nobody is left who could use the error.
            let _ = thread.join();
        }
    }
}

async fn serve(router: Router, ready: oneshot::Sender<SocketAddr>, stopped: oneshot::Receiver<()>) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    if ready.send(listener.local_addr()?).is_err() {
        return Ok(());
    }
    tokio::select! {
        served = async { axum::serve(listener, router).await } => served,
        _ = stopped => Ok(()),
    }
}

fn router(store: Arc<Store>) -> Router {
    Router::new().route("/users/create", post(create)).route("/login", post(login)).with_state(store)
}

#[derive(Deserialize)]
struct Credentials {
    username: String,
    password: String,
}

#[derive(Serialize)]
struct User {
    username: String,
}

async fn create(
    State(store): State<Arc<Store>>,
    Json(credentials): Json<Credentials>,
) -> Result<(StatusCode, Json<User>), Refusal> {
    if credentials.username.trim().is_empty() {
        return Err(Refusal::Nameless);
    }
    let user = task::spawn_blocking(move || store.create(credentials)).await??;
    Ok((StatusCode::CREATED, Json(user)))
}

async fn login(State(store): State<Arc<Store>>, Json(credentials): Json<Credentials>) -> Result<Json<User>, Refusal> {
    let user = task::spawn_blocking(move || store.login(credentials)).await??;
    Ok(Json(user))
}

/// Why a request was not carried out.
enum Refusal {
    Nameless,
    Taken,
    Stranger,
    Failed(Box<dyn Error + Send + Sync>),
}

impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Refusal::Failed(error.into())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, error) = match self {
            Refusal::Nameless => (StatusCode::UNPROCESSABLE_ENTITY, "a user needs a name".to_owned()),
            Refusal::Taken => (StatusCode::CONFLICT, "this name is taken".to_owned()),
            // One answer for both, so that it does not tell who has signed up.
            Refusal::Stranger => (StatusCode::UNAUTHORIZED, "no such user, or another password".to_owned()),
            Refusal::Failed(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        };
        (status, Json(serde_json::json!({ "error": error }))).into_response()
    }
}

/// The users, by name, with their hashed passwords. Every call may wait for the disk or takes the CPU for a while.
struct Store {
    connection: Mutex<Connection>,
    hasher: Argon2<'static>,
    /// What a login under an unknown name is compared with: it takes as long as any other.
    nobody: PasswordHash,
}

impl Store {
    fn open(database: &Path) -> Result<Store> {
        let connection = Connection::open(database)?;
        // In WAL mode a commit need not wait for the disk; a power cut may then take the last users, and nothing else.
        connection.execute_batch(
            "PRAGMA journal_mode = WAL;
             PRAGMA synchronous = NORMAL;
             CREATE TABLE IF NOT EXISTS users (
                 username TEXT PRIMARY KEY NOT NULL,
                 password TEXT NOT NULL
             ) STRICT, WITHOUT ROWID;",
        )?;
        // A hundredth of what a service on the internet should take (`Params::DEFAULT`): an example shares its machine with
        // the load test that it is for.
        let params = Params::new(256, 1, 1, None)?;
        let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let nobody = hasher.hash_password(b"nobody")?;
        Ok(Store { connection: Mutex::new(connection), hasher, nobody })
    }

    fn create(&self, Credentials { username, password }: Credentials) -> Result<User, Refusal> {
        let hash: PasswordHash = self.hasher.hash_password(password.as_bytes())?;
        let inserted = self.connection().execute(
            "INSERT INTO users (username, password) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            (&username, hash.to_string()),
        )?;
        match inserted {
            0 => Err(Refusal::Taken),
            _ => Ok(User { username }),
        }
    }

    fn login(&self, Credentials { username, password }: Credentials) -> Result<User, Refusal> {
        let stored: Option<String> = self
            .connection()
            .query_row("SELECT password FROM users WHERE username = ?1", [&username], |row| row.get(0))
            .optional()?;
        let known = stored.as_deref().map(PasswordHash::new).transpose()?;
        let hash = known.as_ref().unwrap_or(&self.nobody);
        match self.hasher.verify_password(password.as_bytes(), hash) {
            Ok(()) if known.is_some() => Ok(User { username }),
            Ok(()) | Err(password_hash::Error::PasswordInvalid) => Err(Refusal::Stranger),
            Err(error) => Err(error.into()),
        }
    }

    fn users(&self) -> Result<u64> {
        let count: i64 = self.connection().query_row("SELECT count(*) FROM users", [], |row| row.get(0))?;
        Ok(count.try_into()?)
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // Each call is one statement: there is nothing that a panic could have left half done.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::TcpStream,
    };

    use serde_json::{Value, json};
    use tempfile::TempDir;

    use super::*;

    async fn service() -> (TempDir, Service) {
        let directory = TempDir::new().unwrap();
        let service = Service::start(&directory.path().join("users.db")).await.unwrap();
        (directory, service)
    }

    fn post_text(address: SocketAddr, path: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }

    fn post_user(address: SocketAddr, path: &str, username: &str, password: &str) -> (u16, Value) {
        let user = json!({ "username": username, "password": password });
        let (status, body) = post_text(address, path, &user.to_string());
        (status, serde_json::from_str(&body).unwrap())
    }

    #[tokio::test]
    async fn who_has_signed_up_can_sign_in() {
        let (_directory, service) = service().await;
        let to = service.address;
        assert_eq!(service.url(), format!("http://{to}"));

        let ada = json!({ "username": "ada" });
        assert_eq!(post_user(to, "/users/create", "ada", "test1234"), (201, ada.clone()));
        assert_eq!(post_user(to, "/login", "ada", "test1234"), (200, ada));
        assert_eq!(service.users().unwrap(), 1);
    }

    #[tokio::test]
    async fn nobody_else_can() {
        let (_directory, service) = service().await;
        let to = service.address;
        post_user(to, "/users/create", "ada", "test1234");

        let (wrong, told) = post_user(to, "/login", "ada", "test12345");
        let (unknown, told_too) = post_user(to, "/login", "bob", "test1234");
        // The password that an unknown user is compared with lets nobody in.
        let (nobody, _) = post_user(to, "/login", "bob", "nobody");
        assert_eq!((wrong, unknown, nobody), (401, 401, 401));
        assert_eq!(told, told_too);
    }

    #[tokio::test]
    async fn a_name_is_given_once() {
        let (_directory, service) = service().await;
        let to = service.address;

        let statuses = thread::scope(|scope| {
            let requests = [0; 8].map(|_| scope.spawn(|| post_user(to, "/users/create", "ada", "test1234").0));
            requests.map(|request| request.join().unwrap())
        });
        let count = |status| statuses.iter().filter(|&&other| other == status).count();
        assert_eq!((count(201), count(409)), (1, 7));
        assert_eq!(service.users().unwrap(), 1);
    }

    #[tokio::test]
    async fn what_is_no_user_is_refused() {
        let (_directory, service) = service().await;
        let to = service.address;

        for (body, expected) in [
            (r#"{"username": "", "password": "test1234"}"#, 422),
            (r#"{"username": " ", "password": "test1234"}"#, 422),
            (r#"{"username": "ada"}"#, 422),
            (r#"{"username": 5, "password": "test1234"}"#, 422),
            (r#"{"username": "ada", "#, 400),
            ("", 400),
        ] {
            assert_eq!(post_text(to, "/users/create", body).0, expected, "{body}");
        }
        assert_eq!(service.users().unwrap(), 0);
    }

    #[tokio::test]
    async fn users_outlive_the_service() {
        let (directory, service) = service().await;
        let database = directory.path().join("users.db");
        let to = service.address;
        post_user(to, "/users/create", "ada", "test1234");
        drop(service);
        assert!(TcpStream::connect(to).is_err(), "dropped, but still listening");

        let again = Service::start(&database).await.unwrap();
        assert_eq!(again.users().unwrap(), 1);
        assert_eq!(post_user(again.address, "/login", "ada", "test1234").0, 200);
        assert_eq!(post_user(again.address, "/users/create", "ada", "other").0, 409);
    }

    #[tokio::test]
    async fn passwords_are_salted_and_hashed() {
        let (_directory, service) = service().await;
        for name in ["ada", "bob"] {
            post_user(service.address, "/users/create", name, "test1234");
        }
        let connection = service.store.connection();
        let mut statement = connection.prepare("SELECT password FROM users").unwrap();
        let stored: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        assert!(stored.iter().all(|hash| hash.starts_with("$argon2id$") && !hash.contains("test1234")));
        assert_ne!(stored[0], stored[1]);
    }

    #[tokio::test]
    async fn a_database_that_cannot_be_opened_is_an_error() {
        let directory = TempDir::new().unwrap();
        assert!(Service::start(directory.path()).await.is_err());
    }
}
