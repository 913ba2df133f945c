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
/// How many workflows ask, on how many connections each, and how often all of them together in a second. Each connection
/// follows its own times, however late the answers come; one that was held up makes up for it.
const WORKFLOWS: u32 = 8;
const CONNECTIONS: u32 = 4;
const OFFERED: u32 = 1_040;
/// How many requests a second must be answered over the whole of it, changes included.
const REACHED: f64 = 1_000.0;
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

/// One answer: when it was due, when it was asked for, when it was there, and the key that arrived or the status.
struct Told {
    due: Instant,
    sent: Instant,
    received: Instant,
    what: String,
}

/// One workflow, asking on its connections until it is over.
struct Client {
    token: Arc<Mutex<String>>,
    connections: Vec<JoinHandle<Vec<Told>>>,
}

impl Client {
    fn new(world: &World, door: Door, token: &str, over: &Arc<AtomicBool>) -> Self {
        let token = Arc::new(Mutex::new(token.to_owned()));
        let target = match door {
            Door::Path => "/billing/v1",
            Door::Forward => "http://billing.test/v1",
        };
        let connection = |number: u32| {
            let (shared, over, address) = (Arc::clone(&token), Arc::clone(over), world.proxy());
            thread::spawn(move || asked(&address, target, &shared, &over, number))
        };
        let connections = (0..CONNECTIONS).map(connection).collect();
        Self { token, connections }
    }

    fn shows(&self, token: &str) {
        token.clone_into(&mut self.token.lock().unwrap());
    }
}

/// Asks on one connection at its times until it is over.
fn asked(address: &str, target: &str, token: &Mutex<String>, over: &AtomicBool, number: u32) -> Vec<Told> {
    let every = Duration::from_secs(1) * WORKFLOWS * CONNECTIONS / OFFERED;
    let (mut wire, mut told) = (Wire::to(address), Vec::new());
    let began = Instant::now() + every / CONNECTIONS * number;
    while !over.load(Ordering::Relaxed) {
        let due = began + every * u32::try_from(told.len()).unwrap();
        thread::sleep(due.saturating_duration_since(Instant::now())); // its own time
        let bearer = format!("Bearer {}", token.lock().unwrap());
        let ask = Ask::new(address, "GET", target).header("Proxy-Authorization", &bearer);
        let sent = Instant::now();
        let reply = ask.reply_on(&mut wire);
        let what = if reply.status == 200 { reply.text() } else { reply.status.to_string() };
        told.push(Told { due, sent, received: Instant::now(), what });
    }
    told
}

/// What a client is to be told from which change on: when that began, when it was acknowledged, what is right from then on.
type Turns = Vec<(Instant, Instant, &'static str)>;

/// Every answer is what was right at some moment between asking and answering, and no older state follows a newer one.
fn assert_right(who: &str, told: &[Told], turns: &Turns) {
    let mut last = 0;
    for Told { sent, received, what, .. } in told {
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

/// How many requests a second were answered, all of them right, and what is to be told of them.
struct Reached {
    rate: f64,
    told: String,
}

/// What this machine has to do beside it, as far as it tells.
fn load_of_the_machine() -> String {
    let average = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let cores = thread::available_parallelism().map_or(0, usize::from);
    format!("{} on {cores} cores", average.trim())
}

#[test]
fn keys_and_callers_are_changed_under_a_thousand_requests_a_second_without_a_wrong_or_failed_answer() {
    let Reached { rate, told } = changed_under_load();
    if rate >= REACHED {
        return println!("{told}");
    }
    let line = format!("{told}; that is less than {REACHED}, load {}: once more\n", load_of_the_machine());
    std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes()).unwrap(); // past the harness's capture
    let Reached { rate, told } = changed_under_load();
    assert!(
        rate >= REACHED,
        "{told}; every answer was right, but twice there was no load of {REACHED} a second on this \
        machine, load {}: run it where less else runs",
        load_of_the_machine()
    );
}

/// What was refused the moment before is still on its way with the former value: waits until none arrives with it, since a
/// service takes both for a while, too.
fn let_arrive(upstream: &FakeUpstream, former: &str) {
    eventually("nothing is on its way with the former value", || {
        upstream.forget();
        thread::sleep(Duration::from_millis(300)); // time in which some would arrive
        let seen = upstream.requests();
        !seen.is_empty() && seen.iter().all(|seen| seen.values("x-api-key") != [former])
    });
}

/// From now on the service takes `value`.
fn comes_to_know(known: &Mutex<Vec<String>>, value: &'static str) -> (Instant, Instant, &'static str) {
    let since = Instant::now();
    known.lock().unwrap().push(value.to_owned());
    (since, Instant::now(), value)
}

/// The whole story once.
fn changed_under_load() -> Reached {
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
    let began = Instant::now();
    let client = |door, token: &str| Client::new(&world, door, token, &over);
    let ada = [
        client(Door::Path, &report),
        client(Door::Forward, &report),
        client(Door::Path, &nightly),
        client(Door::Forward, &nightly),
    ];
    let others = [client(Door::Path, &runner), client(Door::Forward, &spy)];
    let ended = [client(Door::Path, &left), client(Door::Forward, &right)];
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
    turns.push(comes_to_know(&known, "own-4"));
    followed(&report, "own-4");
    let_arrive(&upstream, "own-3");
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

    let (mut count, mut late) = (0, Duration::ZERO);
    let mut check = |who: &str, client: Client, turns: &Turns| {
        for connection in client.connections {
            let told = connection.join().unwrap();
            count += told.len();
            late = told.iter().map(|told| told.sent.saturating_duration_since(told.due)).max().unwrap().max(late);
            assert_right(who, &told, turns);
        }
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
    let told = format!(
        "{count} answers in {took:.1?}: {rate:.0} a second, {} changes, none wrong or failed; the latest was asked for {late:.1?} \
         after it was due",
        turns.len() + 2
    );
    Reached { rate, told }
}
