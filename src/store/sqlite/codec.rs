//! Between columns and nouns. What does not read as what it must be is reported as damage, never guessed.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Row;
use serde::{Deserialize, Serialize};

use crate::domain::{
    Allowed, Bounds, CallerId, CredentialId, Name, Period, Quota, Rate, Rule, Sealed, Share, Shared, TeamId, UserId,
};

use super::super::StoreError;

/// A field's name and its sealed bytes.
pub(in crate::store) type Field = (Name, Box<[u8]>);

pub(super) fn damaged(what: &str) -> StoreError {
    StoreError::Corrupt(format!("a {what} does not read as one"))
}

pub(super) fn name(text: &str) -> Result<Name, StoreError> {
    Name::new(text).map_err(|_| damaged("name"))
}

pub(super) fn optional_name(row: &Row<'_>, column: usize) -> Result<Option<Name>, StoreError> {
    match row.get_ref(column)?.as_str_or_null().map_err(|_| damaged("name"))? {
        Some(text) => name(text).map(Some),
        None => Ok(None),
    }
}

pub(super) fn number(value: i64) -> Result<u32, StoreError> {
    u32::try_from(value).map_err(|_| damaged("version number"))
}

pub(super) fn text<'a>(row: &'a Row<'_>, column: usize) -> Result<&'a str, StoreError> {
    row.get_ref(column)?.as_str().map_err(|_| damaged("text"))
}

pub(super) fn variables_to_text(variables: &BTreeMap<Name, String>) -> Result<String, StoreError> {
    let plain: BTreeMap<&str, &str> = variables.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    serde_json::to_string(&plain).map_err(|_| damaged("list of variables"))
}

pub(super) fn variables(text: &str) -> Result<BTreeMap<Name, String>, StoreError> {
    if text == "{}" {
        return Ok(BTreeMap::new());
    }
    let plain: BTreeMap<String, String> = serde_json::from_str(text).map_err(|_| damaged("list of variables"))?;
    plain.into_iter().map(|(k, v)| Ok((name(&k)?, v))).collect()
}

/// Columns `master`, `wrapped_key`, `fields` from `first` on; none when the value was destroyed.
pub(super) fn sealed(row: &Row<'_>, first: usize) -> Result<Option<Arc<Sealed>>, StoreError> {
    let Some(master) = row.get::<_, Option<i64>>(first)? else { return Ok(None) };
    let wrapped_key = row.get_ref(first + 1)?.as_blob().map_err(|_| damaged("wrapped key"))?.into();
    let fields = fields(row.get_ref(first + 2)?.as_blob().map_err(|_| damaged("sealed value"))?)?;
    Ok(Some(Arc::new(Sealed { master: number(master)?, wrapped_key, fields })))
}

/// Each field as the length of its name (one byte), the name, the length of its bytes (u32, big endian), the bytes.
pub(super) fn fields_to_blob(sealed: &Sealed) -> Result<Vec<u8>, StoreError> {
    let mut out = Vec::new();
    for (name, bytes) in &sealed.fields {
        let name = name.as_str().as_bytes();
        out.push(u8::try_from(name.len()).map_err(|_| damaged("field name"))?);
        out.extend_from_slice(name);
        out.extend_from_slice(&u32::try_from(bytes.len()).map_err(|_| damaged("sealed field"))?.to_be_bytes());
        out.extend_from_slice(bytes);
    }
    Ok(out)
}

pub(in crate::store) fn fields(blob: &[u8]) -> Result<Box<[Field]>, StoreError> {
    let mut out = Vec::new();
    let mut rest = blob;
    while !rest.is_empty() {
        let (field, after) = field(rest).ok_or_else(|| damaged("sealed value"))?;
        out.push(field);
        rest = after;
    }
    Ok(out.into())
}

fn field(blob: &[u8]) -> Option<(Field, &[u8])> {
    let (length, rest) = blob.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(*length))?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (bytes, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    let name = Name::new(std::str::from_utf8(name).ok()?).ok()?;
    Some(((name, bytes.into()), rest))
}

/// The columns `kind` and `target`.
pub(super) fn share_to_columns(share: &Share) -> (&'static str, &str) {
    match share {
        Share::User(id) => ("user", id.as_str()),
        Share::Team(id) => ("team", id.as_str()),
        Share::Caller(id) => ("caller", id.as_str()),
        Share::Everyone => ("everyone", ""),
    }
}

pub(super) fn share(kind: &str, target: &str) -> Result<Share, StoreError> {
    match kind {
        "user" => Ok(Share::User(UserId::new(target))),
        "team" => Ok(Share::Team(TeamId::new(target))),
        "caller" => Ok(Share::Caller(CallerId::new(target))),
        "everyone" => Ok(Share::Everyone),
        _ => Err(damaged("share")),
    }
}

/// What a share may be used for, as the column has it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BoundsColumn {
    #[serde(skip_serializing_if = "Option::is_none")]
    allow: Option<Vec<String>>,
    #[serde(default)]
    read_only: bool,
    /// How many in how many seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<(NonZeroU32, u64)>,
    /// How many in which period.
    #[serde(skip_serializing_if = "Option::is_none")]
    quota: Option<(NonZeroU32, String)>,
}

pub(super) fn bounds_to_text(bounds: &Bounds) -> Result<String, StoreError> {
    let Bounds { allowed: Allowed { rules, read_only }, rate, quota } = bounds;
    let allow = rules.as_ref().map(|rules| rules.iter().map(ToString::to_string).collect());
    let rate = rate.map(|rate| (rate.count, rate.period.as_secs()));
    let quota = quota.map(|quota| (quota.count, quota.per.as_str().to_owned()));
    serde_json::to_string(&BoundsColumn { allow, read_only: *read_only, rate, quota }).map_err(|_| damaged("share"))
}

pub(super) fn bounds(text: &str) -> Result<Bounds, StoreError> {
    let BoundsColumn { allow, read_only, rate, quota } = serde_json::from_str(text).map_err(|_| damaged("share"))?;
    let rules = |texts: Vec<String>| texts.iter().map(|text| Rule::parse(text)).collect::<Result<_, _>>();
    let period = |quota: Option<Quota>| quota.ok_or_else(|| damaged("share"));
    Ok(Bounds {
        allowed: Allowed { rules: allow.map(rules).transpose().map_err(|_| damaged("share"))?, read_only },
        rate: rate.map(|(count, seconds)| Rate { count, period: Duration::from_secs(seconds) }),
        quota: quota.map(|(count, per)| Some(Quota { count, per: Period::parse(&per)? })).map(period).transpose()?,
    })
}

/// Columns `kind`, `target`, `bounds` from `first` on.
pub(super) fn shared(row: &Row<'_>, first: usize) -> Result<Shared, StoreError> {
    let with = share(text(row, first)?, text(row, first + 1)?)?;
    let bounds = row.get_ref(first + 2)?.as_str_or_null().map_err(|_| damaged("share"))?.map(bounds).transpose()?;
    Ok(Shared { with, bounds: bounds.map(Arc::new) })
}

pub(super) fn credential_id(row: &Row<'_>, column: usize) -> Result<CredentialId, StoreError> {
    text(row, column).map(CredentialId::new)
}

pub(super) fn user_id(row: &Row<'_>, column: usize) -> Result<UserId, StoreError> {
    text(row, column).map(UserId::new)
}
