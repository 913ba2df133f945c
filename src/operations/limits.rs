//! The gates of the running proxy, as it noted them last, with what is pinned on them and used of quotas; and having it forget
//! what it learnt. The proxy is another process than the command that asks, so all of it goes by way of the store.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::Known;
use crate::domain::{
    CallerId, Credential, GateReset, Name, Origin, OwnerQuotaUse, PinnedTo, ServiceName, Share, TeamId, UserId,
};

use crate::throttle::state::Phase;

use super::names::Names;
use super::pins::{PinShown, as_shown, no_limit_owner};
use super::view::moment;
use super::{Actor, OperationError, Operations};

/// A proxy that noted nothing for so long, in seconds, is not running.
const SILENT: i64 = 30;

/// How all limit owners of a service together are shown.
const EVERY_OWNER: &str = "*";
/// Whose limit most gates keep: what the service allows.
const UPSTREAM: &str = "upstream";
/// Whose limit it is that certain requests of a limit owner have.
const ROUTE: &str = "route";
/// The state of a gate that lets everything pass.
const OPEN: &str = Phase::Open.as_str();

/// The gates of the running proxy.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct GatesShown {
    /// When the proxy noted them; none when it never did.
    pub noted_at: Option<Timestamp>,
    /// Whether a proxy is running.
    pub running: bool,
    /// The gates that learnt something, or before which somebody waits.
    pub gates: Vec<GateShown>,
}

/// One gate: what a service allows one limit owner, as far as it was found out; or a limit of sidekey's own, while somebody
/// waits for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GateShown {
    /// The service.
    pub service: String,
    /// Whose limit it keeps: `upstream` for what the service allows; else one of its configuration, `service`, `caller`,
    /// `team`, `credential`, `route`, `owner` or `share`, which is listed only while somebody waits for it.
    #[serde(default = "upstream")]
    pub of: String,
    /// Whom the service counts: the limit owner of the key; `*` for all of them together. Of a limit of the configuration,
    /// which caller, team, key or share.
    pub owner: String,
    /// The key through which it was found out, or to which the limit belongs.
    pub key: Option<String>,
    /// Which of the owner's limits; none: all of its requests. Of one that is a path, what stays when identifiers are taken out.
    pub bucket: Option<String>,
    /// Tells buckets apart that are paths and look the same without their identifiers: the same for one path until the proxy
    /// starts anew.
    #[serde(default)]
    pub mark: Option<String>,
    /// The bucket itself, which is not shown: a path may have tokens and names in it.
    #[serde(skip)]
    pub exact_bucket: Option<String>,
    /// `open`, `closed`, `probing` (its time is over, and the answer to one request decides) or `slow_start`.
    pub state: String,
    /// Until when it is closed.
    pub closed_until: Option<Timestamp>,
    /// Why it closed last: `throttled`, `exhausted` or `overloaded`.
    pub reason: Option<String>,
    /// How often it closed since the proxy started.
    pub closures: u64,
    /// The status and the headers of limits of the answer that closed it last, such as `retry-after: 30`.
    #[serde(default)]
    pub last_refusal: Vec<String>,
    /// When that was.
    #[serde(default)]
    pub last_refusal_at: Option<Timestamp>,
    /// What the service said was left.
    pub limits: Vec<GateLimit>,
    /// The pace that was found, in requests per second.
    pub pace_per_s: Option<f64>,
    /// How many requests may be under way, when that is limited.
    pub places: Option<u32>,
    /// How many are under way.
    pub under_way: u32,
    /// Who waits.
    pub waiting: Vec<GateWaiters>,
    /// The limit that an administrator pinned here.
    #[serde(default)]
    pub pin: Option<PinShown>,
    /// What the owner used of the service's quotas.
    #[serde(default)]
    pub quotas: Vec<QuotaShown>,
    /// Of all limit owners together: the circuits in front of the service's upstreams that do not let everything pass.
    #[serde(default)]
    pub circuits: Vec<CircuitShown>,
}

fn upstream() -> String {
    UPSTREAM.to_owned()
}

/// The circuit in front of an upstream that fails again and again, or fails more than half of what it gets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CircuitShown {
    /// The upstream, such as `https://api.stripe.com`.
    pub origin: String,
    /// Until when nothing is sent to it; null when it is not open.
    pub open_until: Option<Timestamp>,
    /// Which part of the requests it is spared, from 0 to 1.
    pub held_back: f64,
}

/// What was used of a quota of the day or the month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuotaShown {
    /// The quota, such as `10000/day`.
    pub quota: String,
    /// How much was used in this period; noted every five seconds.
    pub used: u32,
    /// How much is left.
    pub left: u32,
    /// When the next period begins.
    pub reset_at: Timestamp,
}

/// A limit that answers told of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GateLimit {
    /// Its name.
    pub name: String,
    /// How many are allowed.
    pub limit: Option<u64>,
    /// How many were left.
    pub left: u64,
    /// When there are more.
    pub reset_at: Timestamp,
}

/// How many requests of one caller wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GateWaiters {
    /// The caller.
    pub caller: String,
    /// How many.
    pub waiting: u64,
}

impl GateShown {
    /// A gate of which there is nothing to say; without an owner, that of all of them together.
    pub fn quiet(service: &ServiceName, owner: Option<&str>, bucket: Option<&str>) -> Self {
        Self {
            service: service.to_string(),
            of: upstream(),
            owner: owner.unwrap_or(EVERY_OWNER).to_owned(),
            key: None,
            bucket: bucket.map(str::to_owned),
            mark: None,
            exact_bucket: None,
            state: OPEN.to_owned(),
            closed_until: None,
            reason: None,
            closures: 0,
            last_refusal: Vec::new(),
            last_refusal_at: None,
            limits: Vec::new(),
            pace_per_s: None,
            places: None,
            under_way: 0,
            waiting: Vec::new(),
            pin: None,
            quotas: Vec::new(),
            circuits: Vec::new(),
        }
    }

    /// That gate among `gates`, which is added when it is not there; of buckets that look the same, all.
    fn among<'a>(
        gates: &'a mut Vec<Self>,
        service: &'a ServiceName,
        owner: Option<&'a str>,
        bucket: Option<&'a str>,
    ) -> impl Iterator<Item = &'a mut Self> {
        let is_it = move |gate: &Self| {
            gate.is_of_upstream()
                && gate.service == service.as_str()
                && gate.owner == owner.unwrap_or(EVERY_OWNER)
                && gate.bucket.as_deref() == bucket
        };
        if !gates.iter().any(&is_it) {
            gates.push(Self::quiet(service, owner, bucket));
        }
        gates.iter_mut().filter(move |gate| is_it(gate))
    }

    /// The bucket with what tells it apart.
    pub fn marked_bucket(&self) -> Option<String> {
        let mark = self.mark.as_ref().map(|mark| format!(" #{mark}")).unwrap_or_default();
        self.bucket.as_ref().map(|bucket| format!("{bucket}{mark}"))
    }

    /// Whether it keeps what the service allows, and not a limit of the configuration.
    pub fn is_of_upstream(&self) -> bool {
        self.of == UPSTREAM
    }

    /// Whether it is for all limit owners of the service together.
    pub fn is_of_every_owner(&self) -> bool {
        self.owner == EVERY_OWNER
    }

    /// How many wait.
    pub fn waiters(&self) -> u64 {
        self.waiting.iter().map(|one| one.waiting).sum()
    }

    /// What of it outlives its proxy, for which nobody waits any more; none when that is nothing.
    pub fn outliving(mut self) -> Option<Self> {
        self.waiting.clear();
        self.under_way = 0;
        let was_learnt =
            self.closures > 0 || self.state != OPEN || !self.limits.is_empty() || !self.circuits.is_empty();
        (was_learnt && self.is_of_upstream()).then_some(self)
    }

    /// How it stands at `now` (Unix seconds), which may be a moment after it was noted.
    fn at(mut self, now: i64) -> Self {
        if self.closed_until.is_some_and(|until| until.as_second() <= now) {
            self.closed_until = None;
            Phase::Probing.as_str().clone_into(&mut self.state);
        }
        self
    }

    fn named(mut self, names: &Names) -> Self {
        for one in &mut self.waiting {
            one.caller = names.caller(&CallerId::new(&one.caller));
        }
        match (self.of.as_str(), self.owner.split_once(':')) {
            ("caller", _) => self.owner = names.caller(&CallerId::new(&self.owner)),
            ("team", _) => self.owner = names.team(&TeamId::new(&self.owner)),
            ("share", Some(("user", id))) => self.owner = names.share(&Share::User(UserId::new(id))),
            ("share", Some(("team", id))) => self.owner = names.share(&Share::Team(TeamId::new(id))),
            ("share", Some(("caller", id))) => self.owner = names.share(&Share::Caller(CallerId::new(id))),
            _ => {}
        }
        self
    }

    /// Whether it keeps a limit that the configuration has for certain requests, whose rule is its bucket.
    pub fn is_of_route(&self) -> bool {
        self.of == ROUTE
    }

    /// Whether a request by `known`, whose owner is in these teams, with the key `credential` meets it.
    fn is_met(&self, known: &Known, teams: &[Name], credential: &Credential) -> bool {
        let is_its_key = || self.key.as_deref() == Some(credential.name.as_str());
        self.service == credential.service.as_str()
            && match self.of.as_str() {
                UPSTREAM => self.owner == credential.counted_as() || self.owner == EVERY_OWNER,
                "owner" | ROUTE => self.owner == credential.counted_as(),
                "caller" => self.owner == known.caller.name.as_str(),
                "team" => teams.iter().any(|team| self.owner == team.as_str()),
                "credential" | "share" => is_its_key(),
                _ => true,
            }
    }
}

impl Operations {
    /// The gates of the running proxy, by service.
    ///
    /// # Errors
    /// When `actor` does not administer, or the store fails.
    pub fn gates(&self, actor: &Actor) -> Result<GatesShown, OperationError> {
        actor.must_administer()?;
        let (noted, gates) = self.vault.noted_gates()?;
        let (names, now) = (self.names()?, self.now());
        let running = noted.is_some_and(|at| now - at <= SILENT);
        let shown = gates.into_iter().filter_map(|gate| {
            let shown: GateShown = serde_json::from_str(&gate.shown).ok()?;
            let shown = GateShown { exact_bucket: Some(gate.bucket), ..shown };
            Some((if running { shown } else { shown.outliving()? }).at(now).named(&names))
        });
        let mut gates: Vec<_> = shown.collect();
        for pin in self.vault.pins()? {
            let PinnedTo { service, owner, bucket } = &pin.to;
            for gate in GateShown::among(&mut gates, service, owner.as_deref(), bucket.as_deref()) {
                gate.pin = Some(PinShown::of(&pin));
            }
        }
        for used in self.vault.owner_quota_uses()? {
            let Some(shown) = self.quota_shown(&used) else { continue };
            if let Some(gate) = GateShown::among(&mut gates, &used.service, Some(&used.owner), None).next() {
                gate.quotas.push(shown);
            }
        }
        gates.sort_by(|a, b| (&a.service, &a.owner, &a.bucket, &a.of).cmp(&(&b.service, &b.owner, &b.bucket, &b.of)));
        Ok(GatesShown { noted_at: noted.map(moment), running, gates })
    }

    /// Those of them that a request meets which `known` sends to `origin` with one of `keys`, as far as `may_meet` agrees.
    ///
    /// # Errors
    /// When `actor` does not administer, or the store fails.
    pub fn gates_met(
        &self,
        actor: &Actor,
        known: &Known,
        keys: &[&Credential],
        origin: Option<&Origin>,
        may_meet: impl Fn(&GateShown) -> bool,
    ) -> Result<GatesShown, OperationError> {
        let (mut all, teams) = (self.gates(actor)?, self.names()?.teams(&known.owner.teams));
        all.gates.retain(|gate| keys.iter().any(|key| gate.is_met(known, &teams, key)) && may_meet(gate));
        for gate in &mut all.gates {
            gate.circuits.retain(|circuit| origin.is_some_and(|origin| circuit.origin == origin.to_string()));
        }
        Ok(all)
    }

    /// What is used of a quota in its present period; none when the service has no such quota any more.
    fn quota_shown(&self, used: &OwnerQuotaUse) -> Option<QuotaShown> {
        let (config, now) = (self.config.load(), self.now());
        let quotas = &config.service(used.service.as_str())?.service.gating.quotas;
        let quota = quotas.each.iter().find(|quota| quota.per == used.per)?;
        let is_current = used.period == used.per.number(now, &quotas.zone);
        let count = if is_current { used.used } else { 0 };
        Some(QuotaShown {
            quota: quota.to_string(),
            used: count,
            left: quota.count.get().saturating_sub(count),
            reset_at: moment(used.per.end(now, &quotas.zone)),
        })
    }

    /// Has the running proxy forget within a second what it learnt of these limits. Who waits there is let through. Returns of
    /// how many gates something was noted.
    ///
    /// # Errors
    /// When `actor` does not administer, there is no such service, limit owner or bucket, or it cannot be kept or recorded.
    pub fn reset_gates(&self, actor: &Actor, reset: &GateReset) -> Result<usize, OperationError> {
        actor.must_administer()?;
        if self.config.load().service(reset.service.as_str()).is_none() {
            return Err(OperationError::no_service(&self.config.load(), &reset.service));
        }
        let reset = &GateReset { bucket: reset.bucket.as_deref().map(as_shown), ..reset.clone() };
        let mut noted = self.learnt(&reset.service)?;
        if let Some(owner) = &reset.owner {
            noted.retain(|gate| gate.owner == *owner);
            // What was learnt of an owner outlives its last key.
            if noted.is_empty() && !self.has_limit_owner(&reset.service, owner)? {
                return Err(no_limit_owner(&reset.service, owner));
            }
        }
        if let Some(bucket) = &reset.bucket {
            noted.retain(|gate| gate.bucket.as_ref() == Some(bucket));
            if noted.is_empty() && !self.declares_bucket(&reset.service, bucket) {
                let text = format!(
                    "nothing is known of a bucket `{bucket}` of `{}`; `sidekey limits list` shows its buckets",
                    reset.service
                );
                return Err(OperationError::NotFound(text));
            }
        }
        let pen = self.pen(actor)?;
        let bucket = reset.bucket.as_deref().map(|bucket| ("bucket", bucket));
        let details: Vec<_> = reset.owner.as_deref().map(|owner| ("owner", owner)).into_iter().chain(bucket).collect();
        pen.act("gate.reset", &details, |vault| vault.order_gate_reset(reset))?;
        Ok(noted.len())
    }

    /// Whether a bucket of a service is one that its record declares, or that answers named.
    ///
    /// # Errors
    /// When the store fails.
    pub fn knows_bucket(&self, service: &ServiceName, bucket: &str) -> Result<bool, OperationError> {
        let bucket = as_shown(bucket);
        let is_its = |gate: &GateShown| gate.bucket.as_deref() == Some(&*bucket);
        Ok(self.declares_bucket(service, &bucket) || self.learnt(service)?.iter().any(is_its))
    }

    fn declares_bucket(&self, service: &ServiceName, bucket: &str) -> bool {
        let config = self.config.load();
        let declared = config.service(service.as_str()).map(|entry| &entry.service.signals.buckets);
        declared.is_some_and(|buckets| buckets.iter().any(|one| &*one.name == bucket))
    }

    /// What a proxy noted of what a service allows.
    fn learnt(&self, service: &ServiceName) -> Result<Vec<GateShown>, OperationError> {
        let (_, noted) = self.vault.noted_gates()?;
        let of_service = noted.iter().filter(|gate| gate.service == *service);
        let shown = of_service.filter_map(|gate| serde_json::from_str::<GateShown>(&gate.shown).ok());
        Ok(shown.filter(GateShown::is_of_upstream).collect())
    }
}
