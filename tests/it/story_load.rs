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

use crate::life::{SEEN, assert_followed_in_time};
use crate::world::{Answer, Ask, FakeUpstream, Reply, Seen, Wire, World, eventually};

const AUTH: &str = r#"auth = { location = "header", name = "X-API-Key" }"#;
/// How many workflows ask, on how many connections each, and how often all of them together in a second. Each connection
/// follows its own times, however late the answers come; one that was held up makes up for it.
const WORKFLOWS: u32 = 8;
const CONNECTIONS: u32 = 4;
const OFFERED: u32 = 1_040;
/// How many requests a second must be answered over the whole of it, changes included.
const REACHED: f64 = 1_000.0;

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

fn what(reply: &Reply) -> String {
    if reply.status == 200 { reply.text() } else { reply.status.to_string() }
}

/// One workflow, asking on its connections until it is over.
struct Client {
    token: Arc<Mutex<String>>,
    connections: Vec<Connection>,
}

struct Connection {
    /// When the latest request was sent that has its answer.
    answered: Arc<Mutex<Instant>>,
    told: JoinHandle<Vec<Told>>,
}

impl Client {
    fn new(world: &World, door: Door, token: &str, over: &Arc<AtomicBool>) -> Self {
        let token = Arc::new(Mutex::new(token.to_owned()));
        let target = match door {
            Door::Path => "/billing/v1",
            Door::Forward => "http://billing.test/v1",
        };
        let connection = |number: u32| {
            let answered = Arc::new(Mutex::new(Instant::now()));
            let (shared, over, address) = (Arc::clone(&token), Arc::clone(over), world.proxy());
            let notes = Arc::clone(&answered);
            let told = thread::spawn(move || asked(&address, target, &shared, &over, &notes, number));
            Connection { answered, told }
        };
        let connections = (0..CONNECTIONS).map(connection).collect();
        Self { token, connections }
    }

    fn shows(&self, token: &str) {
        token.clone_into(&mut self.token.lock().unwrap());
    }

    /// Waits until nothing is on its way that was sent before now: each connection asks for one thing at a time.
    fn let_arrive(&self) {
        let now = Instant::now();
        let has_arrived = |connection: &Connection| *connection.answered.lock().unwrap() > now;
        eventually("what was on its way has arrived", || self.connections.iter().all(has_arrived));
    }
}

/// Asks on one connection at its times until it is over, and then once more, which the last change must be seen in.
fn asked(
    address: &str,
    target: &str,
    token: &Mutex<String>,
    over: &AtomicBool,
    answered: &Mutex<Instant>,
    number: u32,
) -> Vec<Told> {
    let every = Duration::from_secs(1) * WORKFLOWS * CONNECTIONS / OFFERED;
    let (mut wire, mut told) = (Wire::to(address), Vec::new());
    let began = Instant::now() + every / CONNECTIONS * number;
    loop {
        let is_last = over.load(Ordering::Relaxed);
        let due = began + every * u32::try_from(told.len()).unwrap();
        thread::sleep(due.saturating_duration_since(Instant::now())); // its own time
        let bearer = format!("Bearer {}", token.lock().unwrap());
        let ask = Ask::new(address, "GET", target).header("Proxy-Authorization", &bearer);
        let sent = Instant::now();
        let what = what(&ask.reply_on(&mut wire));
        told.push(Told { due, sent, received: Instant::now(), what });
        *answered.lock().unwrap() = sent;
        if is_last {
            return told;
        }
    }
}

/// What a client may be told from `since` on, and must be told in answer to what is sent after it was `seen`.
#[derive(Clone, Copy)]
struct Turn {
    since: Instant,
    seen: Instant,
    right: &'static str,
}

/// Every answer is what was right at some moment between asking and answering, and no older state follows a newer one.
fn assert_right(who: &str, told: &[Told], first: &str, turns: &[Turn]) {
    let states: Vec<&str> = [first].into_iter().chain(turns.iter().map(|turn| turn.right)).collect();
    let mut last = 0;
    for Told { sent, received, what, .. } in told {
        // The states that this request may have met: those that began before its answer, without those whose successor
        // was seen, on whatever connection, before it was sent.
        let begun = turns.iter().filter(|turn| turn.since <= *received).count();
        let past = turns.iter().filter(|turn| turn.seen < *sent).count();
        let possible = last.max(past)..=begun;
        let right = possible.clone().find(|at| states[*at] == what);
        last = right.unwrap_or_else(|| panic!("{who} was told {what}, and could be told {possible:?} of {states:?}"));
    }
    assert_eq!(told.last().unwrap().what, *states.last().unwrap(), "{who}: the last change was seen");
}

/// A service, and the callers that use it with their tokens.
struct Company {
    world: World,
    upstream: FakeUpstream,
    /// The values that the service takes at the moment.
    known: Arc<Mutex<Vec<String>>>,
    /// Of ada.
    report: String,
    nightly: String,
    /// Of others.
    runner: String,
    spy: String,
    /// Of bob.
    left: String,
    right: String,
}

/// The service tells which value arrived.
fn company() -> Company {
    let upstream = FakeUpstream::plain();
    let known = Arc::new(Mutex::new(["own-1", "own-2", "own-3", "team-1", "all-1"].map(str::to_owned).to_vec()));
    let valid = Arc::clone(&known);
    upstream.always(move |seen| match seen.values("x-api-key").join(",") {
        key if valid.lock().unwrap().contains(&key) => Answer::text(200, key),
        _ => Answer::text(401, "no"),
    });
    let world = World::new().service("billing", &upstream, AUTH).toml("[callers]\nmode = \"token\"\n");
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
    Company { world: world.serve(), upstream, known, report, nightly, runner, spy, left, right }
}

/// The changes, made one after the other.
struct Changes<'a> {
    company: &'a Company,
    /// How long each was unseen after it was acknowledged.
    delays: Vec<Duration>,
}

impl Changes<'_> {
    /// Waits until the caller with `token` is told what is right.
    fn are_followed(&self, token: &str, right: &str) -> Duration {
        let bearer = format!("Bearer {token}");
        let ask = || self.company.world.ask("GET", "/billing/v1").header("Proxy-Authorization", &bearer);
        eventually(right, || what(&ask().reply()) == right)
    }

    fn turn(&mut self, line: &str, value: &str, token: &str, right: &'static str) -> Turn {
        let since = Instant::now();
        self.company.world.sidekey(line.split(' ')).stdin(value).run().succeeds();
        let delay = self.are_followed(token, right);
        assert!(delay < SEEN, "{line} took {delay:?}");
        self.delays.push(delay);
        Turn { since, seen: Instant::now(), right }
    }

    /// A value that the service does not know yet: until it does, the former one helps out.
    fn overlap(&self, ada: &[Client]) -> [Turn; 2] {
        let Company { world, upstream, known, report, .. } = self.company;
        upstream.forget();
        let rotated = Instant::now();
        world.sidekey("key rotate own --overlap 1h --stdin".split(' ')).stdin("own-4").run().succeeds();
        let is_tried = |seen: &[Seen]| seen.iter().any(|seen| seen.values("x-api-key") == ["own-4"]);
        upstream.wait_until("the new value is tried", is_tried);
        let helps_out = Turn { since: rotated, seen: Instant::now(), right: "own-3" };
        let since = Instant::now();
        known.lock().unwrap().push("own-4".to_owned());
        self.are_followed(report, "own-4");
        let is_known = Turn { since, seen: Instant::now(), right: "own-4" };
        // What was refused the moment before is still on its way with the former value, so that is taken for a while.
        ada.iter().for_each(Client::let_arrive);
        known.lock().unwrap().retain(|key| key != "own-3");
        [helps_out, is_known]
    }

    /// What ada's workflows are told after `own-1`.
    fn of_ada(&mut self, ada: &[Client]) -> Vec<Turn> {
        let Company { world, report, .. } = self.company;
        let mut turns = vec![self.turn("key rotate own --stdin", "own-2", report, "own-2")];
        turns.push(self.turn("key rollback own", "", report, "own-1"));
        turns.push(self.turn("key rotate own --stdin", "own-3", report, "own-3"));
        turns.extend(self.overlap(ada));
        // Another token, and both are good for a while.
        let fresh = sidekey(world, "caller rotate nightly --overlap 1h");
        self.are_followed(&fresh, "own-4");
        ada[2].shows(&fresh);
        // Personal, then shared with its owner, then shared with everyone: from step to step without a gap.
        turns.push(self.turn("key delete own --yes", "", report, "team-1"));
        turns.push(self.turn("key unshare team --with user:ada", "", report, "all-1"));
        turns.push(self.turn("key share team --with team:data", "", report, "team-1"));
        turns.push(self.turn("team remove-member data ada", "", report, "all-1"));
        turns.push(self.turn("key restore own", "", report, "own-4"));
        turns
    }

    /// Revoked: the next request is refused, at each door in its way.
    fn of_bob(&mut self) -> [Turn; 2] {
        let Company { left, right, .. } = self.company;
        let deleted = self.turn("caller delete left --yes", "", left, "401");
        let rotated = self.turn("caller rotate right", "", right, "401");
        [deleted, Turn { right: "407", ..rotated }]
    }
}

/// How many requests a second were answered, all of them right, and what is to be told of them.
struct Reached {
    rate: f64,
    told: String,
}

/// The whole story once.
fn changed_under_load() -> Reached {
    let company = company();
    let over = Arc::new(AtomicBool::new(false));
    let began = Instant::now();
    let client = |door, token: &str| Client::new(&company.world, door, token, &over);
    let ada = [
        client(Door::Path, &company.report),
        client(Door::Forward, &company.report),
        client(Door::Path, &company.nightly),
        client(Door::Forward, &company.nightly),
    ];
    let others = [client(Door::Path, &company.runner), client(Door::Forward, &company.spy)];
    let ended = [client(Door::Path, &company.left), client(Door::Forward, &company.right)];
    let mut changes = Changes { company: &company, delays: Vec::new() };
    let turns = changes.of_ada(&ada);
    let ends = changes.of_bob();
    thread::sleep(Duration::from_secs(6).saturating_sub(began.elapsed())); // the load goes on beyond the last change
    over.store(true, Ordering::Relaxed);

    let (mut count, mut late, mut end) = (0, Duration::ZERO, began);
    let mut check = |who: &str, client: Client, first: &str, turns: &[Turn]| {
        for connection in client.connections {
            let told = connection.told.join().unwrap();
            count += told.len();
            late = told.iter().map(|told| told.sent.saturating_duration_since(told.due)).max().unwrap().max(late);
            end = told.last().unwrap().received.max(end);
            assert_right(who, &told, first, turns);
        }
    };
    for client in ada {
        check("a workflow of ada", client, "own-1", &turns);
    }
    for client in others {
        check("a workflow of another", client, "all-1", &[]);
    }
    for (client, end) in ended.into_iter().zip(ends) {
        check("a revoked workflow", client, "team-1", &[end]);
    }
    assert_followed_in_time(&changes.delays);
    let took = end - began;
    let rate = f64::from(u32::try_from(count).unwrap()) / took.as_secs_f64();
    let told = format!(
        "{count} answers in {took:.1?}: {rate:.0} a second, {} changes, none wrong or failed; the latest was asked for \
         {late:.1?} after it was due",
        turns.len() + ends.len()
    );
    Reached { rate, told }
}

/// What this machine had to do in the last minute, and whether that is as much as its cores can.
fn load_of_the_machine() -> (String, bool) {
    let average = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let load: f64 = average.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or_default();
    (format!("{} on {cores} cores", average.trim()), load >= f64::from(u32::try_from(cores).unwrap()))
}

/// Past the harness's capture.
fn say(line: &str) {
    std::io::Write::write_all(&mut std::io::stderr(), format!("{line}\n").as_bytes()).unwrap();
}

#[test]
fn keys_and_callers_are_changed_under_a_thousand_requests_a_second_without_a_wrong_or_failed_answer() {
    let Reached { rate, told } = changed_under_load();
    if rate >= REACHED {
        return println!("{told}");
    }
    say(&format!("{told}; that is less than {REACHED}, load {}: once more", load_of_the_machine().0));
    let Reached { rate, told } = changed_under_load();
    if rate >= REACHED {
        return println!("{told}");
    }
    let (load, is_busy) = load_of_the_machine();
    let line = format!(
        "{told}; every answer was right, but twice there was no load of {REACHED} a second on this machine, \
         load {load}: run it where less else runs"
    );
    // On a busy machine the rate tells of what else runs there, and not of the proxy.
    assert!(is_busy, "{line}");
    say(&line);
}
