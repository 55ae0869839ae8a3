//! Files of the hub.

use super::*;

/// What the loopback hub does.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    Good,
    NoRanges,
    Cut,
    Other,
    NotFound,
    Denied,
    Broken,
    Short,
    Shifted,
    /// Sends on to another server.
    Elsewhere(&'static str),
    Hang,
}

struct Loopback {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Loopback {
    fn new(manner: Manner) -> Loopback {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let log = Arc::clone(&log);
                std::thread::spawn(move || answer(stream, manner, &log));
            }
        });
        Loopback { address, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn answer(mut stream: TcpStream, manner: Manner, log: &Mutex<Vec<String>>) {
    let mut request = Vec::new();
    let mut block = [0; 1024];
    while !request.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read(&mut block) {
            Ok(count @ 1..) => request.extend_from_slice(&block[..count]),
            _ => return,
        }
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let line = request.lines().next().unwrap_or_default().replace(" HTTP/1.1", "");
    let start: usize = request
        .lines()
        .find_map(|line| line.to_lowercase().strip_prefix("range: bytes=").map(str::to_owned))
        .and_then(|range| range.split('-').next().unwrap_or_default().parse().ok())
        .unwrap_or(0);
    let token = match request.to_lowercase().contains("\r\nauthorization: bearer secret\r\n") {
        true => "with token, ",
        false => "",
    };
    log.lock().unwrap().push(format!("{line} {token}from {start}"));
    let whole = if manner == Manner::Other { "other second third" } else { WHOLE };
    let start = if manner == Manner::NoRanges { 0 } else { start };
    let (status, body) = match manner {
        Manner::NotFound => ("404 Not Found", "no"),
        Manner::Denied => ("401 Unauthorized", "no"),
        Manner::Short => ("200 OK", &whole[..5]),
        Manner::Shifted => ("206 Partial Content", &whole[1..]),
        Manner::Elsewhere(_) => ("302 Found", ""),
        Manner::Broken => ("500 Internal Server Error", "no"),
        Manner::Hang => {
            std::thread::sleep(Duration::from_secs(20));
            return;
        }
        _ if start > 0 => ("206 Partial Content", &whole[start..]),
        _ => ("200 OK", whole),
    };
    let more = match manner {
        Manner::Elsewhere(address) => {
            format!("Location: {address}{}\r\n", line.split(' ').nth(1).unwrap_or_default())
        }
        Manner::Shifted => format!("Content-Range: bytes 1-17/{}\r\n", whole.len()),
        _ => String::new(),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\nETag: \"git\"\r\n{more}\
         X-Linked-Etag: \"{}\"\r\nX-Linked-Size: {}\r\nX-Repo-Commit: c0ffee\r\n\r\n",
        body.len(),
        digest(WHOLE),
        whole.len()
    );
    let _ = stream.write_all(head.as_bytes());
    if !line.starts_with("HEAD") {
        let sent = if manner == Manner::Cut { body.len().div_ceil(2) } else { body.len() };
        let _ = stream.write_all(&body.as_bytes()[..sent]);
    }
}

#[test]
fn the_hub_comes_before_the_wheels() {
    for manner in [Manner::Good, Manner::Cut] {
        let (place, hub) = (Place::new(), Loopback::new(manner));
        place.wheels();
        let resolver = place.resolver().with_endpoint(&hub.address);
        assert_eq!(place.get(&resolver, &tiny(&digest(WHOLE), true)).unwrap(), WHOLE);
        assert_eq!(place.asked(), "");
        assert!(hub.asked()[0].contains("/o/r/resolve/main/tiny.gguf"), "{:?}", hub.asked());
    }
}

#[test]
fn the_hub_goes_on_from_what_came_or_begins_anew() {
    for (manner, left, ranges) in [
        (Manner::Good, "first sec", "[9]"),
        (Manner::NoRanges, "first sec", "[9]"),
        (Manner::Good, "WRONG sec", "[9, 0]"),
        (Manner::Good, "more than there is to come", "[0]"),
        (Manner::Good, WHOLE, "[]"),
    ] {
        let (place, hub) = (Place::new(), Loopback::new(manner));
        fs_err::create_dir_all(place.partial().parent().unwrap()).unwrap();
        fs_err::write(place.partial(), left).unwrap();
        let resolver = place.resolver().with_endpoint(&hub.address);
        assert_eq!(place.get(&resolver, &tiny(&digest(WHOLE), true)).unwrap(), WHOLE);
        let asked: Vec<usize> = hub
            .asked()
            .iter()
            .filter(|line| line.starts_with("GET"))
            .map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
            .collect();
        assert_eq!(format!("{asked:?}"), ranges, "{left}");
    }
}

#[test]
fn a_hub_that_fails_gives_way_to_the_wheels_soon() {
    for (manner, said) in [
        (Manner::NotFound, "the hub has no tiny.gguf in o/r at main"),
        (Manner::Denied, "access to o/r was denied"),
        (Manner::Broken, "answered 500"),
        (Manner::Short, "has 5 bytes, not 18"),
        (Manner::Shifted, "came from byte 1, not 0"),
        (Manner::Hang, "gave no answer"),
        (Manner::Other, "SHA-256"),
    ] {
        let (place, hub) = (Place::new(), Loopback::new(manner));
        let resolver =
            place.resolver().with_endpoint(&hub.address).with_patience(Duration::from_millis(500));
        let manifest = tiny(&digest(WHOLE), true);
        let error = place.get(&resolver, &manifest).unwrap_err();
        assert!(error.to_string().contains(said), "{said}: {error}");
        assert!(error.to_string().contains("No matching distribution"), "{error}");
        place.wheels();
        let start = Instant::now();
        assert_eq!(place.get(&resolver, &manifest).unwrap(), WHOLE);
        assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
        assert!(place.said(said), "{said}");
    }
}

#[test]
fn the_token_goes_to_the_hub_and_to_no_other_host() {
    for choice in [false, true] {
        let (place, store) = (Place::new(), Loopback::new(Manner::Good));
        let hub = Loopback::new(Manner::Elsewhere(store.address.clone().leak()));
        let mut resolver = place.resolver().with_endpoint(&hub.address);
        resolver.origins.access.token = Some("Secret".to_owned());
        match choice {
            true => drop(choose(&place, &resolver, "hub:o/r/some.gguf").unwrap()),
            false => drop(place.get(&resolver, &tiny(&digest(WHOLE), true)).unwrap()),
        }
        let (at_hub, at_store) = (hub.asked(), store.asked());
        assert!(!at_hub.is_empty() && at_hub.iter().all(|line| line.contains("with token")));
        assert!(at_store.iter().any(|line| line.starts_with("GET")), "{at_store:?}");
        assert!(!at_store.iter().any(|line| line.contains("with token")), "{at_store:?}");
    }
}

#[test]
fn a_hub_that_denies_access_asks_for_a_token() {
    let (place, hub) = (Place::new(), Loopback::new(Manner::Denied));
    let resolver = place.resolver().with_endpoint(&hub.address);
    let error = choose(&place, &resolver, "hub:o/r/some.gguf").unwrap_err();
    assert!(format!("{:?}", error.steps()).contains("HF_TOKEN"), "{error}");
}

#[test]
fn a_hub_that_cannot_be_reached_is_not_asked_twice() {
    let place = Place::new();
    place.wheels();
    // A port that nobody listens on any more.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let resolver = place.resolver().with_endpoint(&format!("http://{address}"));
    let manifest = tiny(&digest(WHOLE), true);
    assert_eq!(place.get(&resolver, &manifest).unwrap(), WHOLE);
    assert!(place.said("can't be reached"));
    let hub = TcpListener::bind(address).unwrap();
    hub.set_nonblocking(true).unwrap();
    fs_err::remove_file(place.file()).unwrap();
    assert_eq!(place.get(&resolver, &manifest).unwrap(), WHOLE);
    assert!(hub.accept().is_err());
}

#[test]
fn a_stop_ends_the_wait_for_the_hub() {
    let (place, hub) = (Place::new(), Loopback::new(Manner::Hang));
    let resolver = place.resolver().with_endpoint(&hub.address);
    std::thread::scope(|scope| {
        let fetching = scope.spawn(|| place.get(&resolver, &tiny(&digest(WHOLE), true)));
        std::thread::sleep(Duration::from_millis(300));
        let start = Instant::now();
        place.cancel.raise();
        assert_eq!(fetching.join().unwrap().unwrap_err().kind(), ErrorKind::Interrupted);
        assert!(start.elapsed() < Duration::from_millis(400), "{:?}", start.elapsed());
    });
}

fn choose(
    place: &Place,
    resolver: &Resolver,
    choice: &str,
) -> Result<crate::models::GeneratorFile, Error> {
    let events = |event| place.said.lock().unwrap().push(event);
    let manifests = crate::models::manifests(None).unwrap();
    resolver.resolve_choice(&Choice::parse(choice).unwrap(), &manifests, &events, &place.cancel)
}

#[test]
fn a_file_of_the_hub_needs_no_manifest() {
    let (place, hub) = (Place::new(), Loopback::new(Manner::Good));
    let resolver = place.resolver().with_endpoint(&hub.address);
    let name = "hub:o/r/q4/some.gguf@v1";
    assert_eq!(choose(&place, &place.offline(), name).unwrap_err().kind(), ErrorKind::Model);
    let file = choose(&place, &resolver, name).unwrap();
    assert_eq!((file.name.as_str(), file.sha256.unwrap()), ("some", digest(WHOLE)));
    assert_eq!(file.path, place.cache().join("hub/o/r/v1/q4/some.gguf"));
    assert!(place.said("is in no manifest"));
    assert!(hub.asked().iter().any(|line| line.contains("GET /o/r/resolve/c0ffee/q4/some.gguf")));
    let asked = hub.asked().len();
    choose(&place, &resolver, name).unwrap();
    choose(&place, &place.offline(), name).unwrap();
    assert_eq!(hub.asked().len(), asked);
    std::thread::sleep(Duration::from_millis(20));
    fs_err::write(&file.path, "something else").unwrap();
    for _ in 0..2 {
        let error = choose(&place, &place.offline(), name).unwrap_err();
        assert!(error.to_string().contains("some.gguf was changed"), "{error}");
    }
    choose(&place, &resolver, name).unwrap();
}

#[test]
fn a_file_of_the_hub_that_is_not_what_it_says_is_deleted() {
    for (manner, said) in [
        (Manner::Other, "deleted"),
        (Manner::NotFound, "has no some.gguf"),
        (Manner::Denied, "access to o/r was denied"),
        (Manner::Broken, "answered 500"),
    ] {
        let (place, hub) = (Place::new(), Loopback::new(manner));
        let resolver = place.resolver().with_endpoint(&hub.address);
        let error = choose(&place, &resolver, "hub:o/r/some.gguf").unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
        assert!(!error.steps().is_empty());
        assert!(!place.cache().join("hub/o/r/main/some.gguf").exists());
    }
}

#[test]
fn a_path_is_taken_as_it_is() {
    let place = Place::new();
    let path = place.dir.path().join("My Model.gguf");
    let text = path.display().to_string();
    let error = choose(&place, &place.offline(), &text).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("My Model.gguf"));
    fs_err::write(&path, "GGUF").unwrap();
    let file = choose(&place, &place.offline(), &text).unwrap();
    assert_eq!((file.path.as_path(), file.name.as_str(), file.sha256), (&*path, "My Model", None));
    let error = choose(&place, &place.offline(), "all-minilm-l6-v2").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    let error = choose(&place, &place.offline(), "no-such-model").unwrap_err();
    assert!(error.to_string().contains("no-such-model"));
    assert!(Path::new(&text).exists());
}
