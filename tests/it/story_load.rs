//! The life of keys and callers under the load of many workflows, through the real program: rotated, overlapped, rolled back,
//! revoked and shared, while every answer is right. A change may be seen up to a second after it was acknowledged; of any two
//! requests that do not overlap, none sees the older state after the newer.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::world::{Answer, Ask, FakeUpstream, Wire, World, eventually};

const AUTH: &str = r#"auth = { location = "header", name = "X-API-Key" }"#;
/// What each client asks at, in requests per second; together a fifth more than the thousand that they must reach.
const PACE: u32 = 150;
/// How long after its acknowledgement a change may be unseen, as promised to users, and a little for a busy machine.
const FOLLOWED: Duration = Duration::from_millis(1500);

fn sidekey(world: &World, line: &str) -> String {
    world.sidekey(line.split(' ')).run().succeeds().trim_end().to_owned()
}

fn add_key(world: &World, line: &str, value: &str) {
    world.sidekey(format!("key add billing {line} --stdin").split(' ')).stdin(value).run().succeeds();
}

/// Which door a client takes.
#[derive(Clone, Copy)]
enum Door {
    Path,
    Forward,
}

/// One answer: when it was asked for, when it was there, and the key that arrived or the status.
struct Told {
    sent: Instant,
    received: Instant,
    what: String,
}

/// One workflow on one connection, asking at its pace until it is over.
struct Client {
    token: Arc<Mutex<String>>,
    thread: JoinHandle<Vec<Told>>,
}

impl Client {
    fn new(world: &World, door: Door, token: &str, over: &Arc<AtomicBool>) -> Self {
        let token = Arc::new(Mutex::new(token.to_owned()));
        let (shared, over, address) = (Arc::clone(&token), Arc::clone(over), world.proxy());
        let target = match door {
            Door::Path => "/billing/v1",
            Door::Forward => "http://billing.test/v1",
        };
        let thread = thread::spawn(move || {
            let (mut wire, began, mut told) = (Wire::to(&address), Instant::now(), Vec::new());
            while !over.load(Ordering::Relaxed) {
                let due = began + Duration::from_secs(1) / PACE * u32::try_from(told.len()).unwrap();
                thread::sleep(due.saturating_duration_since(Instant::now())); // its pace: it makes up for what it is behind
                let bearer = format!("Bearer {}", shared.lock().unwrap());
                let ask = Ask::new(&address, "GET", target).header("Proxy-Authorization", &bearer);
                let sent = Instant::now();
                let reply = ask.reply_on(&mut wire);
                let what = if reply.status == 200 { reply.text() } else { reply.status.to_string() };
                told.push(Told { sent, received: Instant::now(), what });
            }
            told
        });
        Self { token, thread }
    }

    fn shows(&self, token: &str) {
        token.clone_into(&mut self.token.lock().unwrap());
    }
}

/// What a client is to be told from which change on: when that began, when it was acknowledged, what is right from then on.
type Turns = Vec<(Instant, Instant, &'static str)>;

/// Every answer is what was right at some moment between asking and answering, and no older state follows a newer one.
fn assert_right(who: &str, told: &[Told], turns: &Turns) {
    let mut last = 0;
    for Told { sent, received, what } in told {
        // The states that this request may have met: those that began before its answer, without those whose successor was
        // acknowledged long enough before it was sent.
        let since = turns.iter().filter(|(since, ..)| since <= received).count();
        let past = turns.iter().skip(1).filter(|(_, acknowledged, _)| *acknowledged + FOLLOWED < *sent).count();
        let possible = last.max(past)..since;
        let right = possible.clone().find(|at| turns[*at].2 == what);
        let states: Vec<_> = turns.iter().map(|turn| turn.2).collect();
        last = right.unwrap_or_else(|| panic!("{who} was told {what}, and could be told {possible:?} of {states:?}"));
    }
    assert_eq!(told.last().unwrap().what, turns.last().unwrap().2, "{who}: the last change was seen");
}

/// The service: it takes the values that it knows at the moment, and tells which one arrived.
fn billing() -> (World, FakeUpstream, Arc<Mutex<Vec<String>>>) {
    let upstream = FakeUpstream::plain();
    let known = Arc::new(Mutex::new(["own-1", "own-2", "own-3", "team-1", "all-1"].map(str::to_owned).to_vec()));
    let taken = Arc::clone(&known);
    upstream.always(move |seen| match seen.values("x-api-key").join(",") {
        key if taken.lock().unwrap().contains(&key) => Answer::text(200, key),
        _ => Answer::text(401, "no"),
    });
    let tables = "[callers]\nmode = \"token\"\n";
    (World::new().service("billing", &upstream, AUTH).toml(tables), upstream, known)
}

#[test]
fn keys_and_callers_are_changed_under_a_thousand_requests_a_second_without_a_wrong_or_failed_answer() {
    let (world, upstream, known) = billing();
    for line in ["user add ada", "user add bob", "team add data --member ada --member bob"] {
        sidekey(&world, line);
    }
    add_key(&world, "--name own --owner ada", "own-1");
    add_key(&world, "--name team --owner bob", "team-1");
    add_key(&world, "--name all", "all-1");
    sidekey(&world, "key share all --with everyone");
    sidekey(&world, "key share team --with user:ada");
    let token = |line: &str| sidekey(&world, &format!("caller add {line}"));
    let (report, nightly) = (token("report --owner ada"), token("nightly --owner ada"));
    let (runner, spy) = (token("runner"), token("spy"));
    let (left, right) = (token("left --owner bob"), token("right --owner bob"));
    let world = world.serve();

    let over = Arc::new(AtomicBool::new(false));
    let client = |door, token: &str| Client::new(&world, door, token, &over);
    let ada = [
        client(Door::Path, &report),
        client(Door::Forward, &report),
        client(Door::Path, &nightly),
        client(Door::Forward, &nightly),
    ];
    let others = [client(Door::Path, &runner), client(Door::Forward, &spy)];
    let ended = [client(Door::Path, &left), client(Door::Forward, &right)];
    let began = Instant::now();
    let turn = |line: &str, value: &str, right: &'static str| {
        let since = Instant::now();
        world.sidekey(line.split(' ')).stdin(value).run().succeeds();
        (since, Instant::now(), right)
    };
    let followed = |token: &str, right: &str| {
        let bearer = format!("Bearer {token}");
        eventually(right, || {
            let reply = world.ask("GET", "/billing/v1").header("Proxy-Authorization", &bearer).reply();
            (if reply.status == 200 { reply.text() } else { reply.status.to_string() }) == right
        });
    };

    // What ada's workflows are told.
    let mut turns: Turns = vec![(began, began, "own-1")];
    turns.push(turn("key rotate own --stdin", "own-2", "own-2"));
    followed(&report, "own-2");
    turns.push(turn("key rollback own", "", "own-1"));
    followed(&report, "own-1");
    turns.push(turn("key rotate own --stdin", "own-3", "own-3"));
    followed(&report, "own-3");
    // A value that the service does not know yet: until it does, the former one helps out.
    let (since, acknowledged, _) = turn("key rotate own --overlap 1h --stdin", "own-4", "own-3");
    turns.push((since, acknowledged, "own-3"));
    eventually("the new value is tried", || {
        upstream.requests().iter().any(|seen| seen.values("x-api-key") == ["own-4"])
    });
    let since = Instant::now();
    known.lock().unwrap().push("own-4".to_owned());
    turns.push((since, Instant::now(), "own-4"));
    followed(&report, "own-4");
    known.lock().unwrap().retain(|key| key != "own-3");
    // Another token, and both are good for a while.
    let fresh = sidekey(&world, "caller rotate nightly --overlap 1h");
    followed(&fresh, "own-4");
    ada[2].shows(&fresh);
    // Personal, then shared with its owner, then shared with everyone: from step to step without a gap.
    turns.push(turn("key delete own --yes", "", "team-1"));
    followed(&report, "team-1");
    turns.push(turn("key unshare team --with user:ada", "", "all-1"));
    followed(&report, "all-1");
    turns.push(turn("key share team --with team:data", "", "team-1"));
    followed(&report, "team-1");
    turns.push(turn("team remove-member data ada", "", "all-1"));
    followed(&report, "all-1");
    turns.push(turn("key restore own", "", "own-4"));
    followed(&report, "own-4");
    // Revoked: the next request is refused, at each door in its way.
    let deleted = turn("caller delete left --yes", "", "401");
    followed(&left, "401");
    let rotated = turn("caller rotate right", "", "407");
    followed(&right, "401");
    thread::sleep(Duration::from_secs(6).saturating_sub(began.elapsed())); // the load goes on beyond the last change
    over.store(true, Ordering::Relaxed);
    let took = began.elapsed();

    let mut count = 0;
    let mut check = |who: &str, client: Client, turns: &Turns| {
        let told = client.thread.join().unwrap();
        count += told.len();
        assert_right(who, &told, turns);
    };
    for client in ada {
        check("a workflow of ada", client, &turns);
    }
    for client in others {
        check("a workflow of another", client, &vec![(began, began, "all-1")]);
    }
    let bobs = (began, began, "team-1");
    for (client, end) in ended.into_iter().zip([deleted, rotated]) {
        check("a revoked workflow", client, &vec![bobs, end]);
    }
    let rate = f64::from(u32::try_from(count).unwrap()) / took.as_secs_f64();
    println!("{count} answers in {took:.1?}: {rate:.0} a second, {} changes, none wrong or failed", turns.len() + 2);
    // On a machine with other work it may be less than a thousand; it is load in any case.
    assert!(rate > 300.0, "{rate:.0} requests a second are no load");
}
