//! Writing a part of the log for other programs: JSON lines as they are, or one CSV table for requests and acts.

use std::io::Write;

use super::error::AuditError;
use super::read::Reader;
use super::record::{ActRecord, NoteRecord, Record, Recorded, RequestRecord};

/// The shape of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line, numbered by `seq`; times in microseconds since the Unix epoch.
    JsonLines,
    /// RFC 4180 with a header line; times as RFC 3339 in UTC. A field that a spreadsheet would take for a formula is
    /// preceded by an apostrophe.
    Csv,
}

/// The columns of the CSV table. New ones are added at the end.
const COLUMNS: &str = "seq,time,kind,request_id,door,client,caller,owner,service,credential,credential_id,version,method,\
                       host,path,status,code,attempts,bytes_in,bytes_out,wait_us,upstream_us,total_us,outcome,act,actor,\
                       object,object_id,details,reason";

/// Writes the records that `reader` yields to `out`, oldest first, one after the other. Returns how many there were.
///
/// # Errors
/// When the log cannot be read or `out` cannot be written.
pub fn export(reader: Reader, format: Format, out: &mut dyn Write) -> Result<u64, AuditError> {
    let failed = |source| AuditError::Export { source };
    if format == Format::Csv {
        out.write_all(COLUMNS.as_bytes()).and_then(|()| out.write_all(b"\r\n")).map_err(failed)?;
    }
    let mut count = 0;
    let mut line = Vec::new();
    for record in reader {
        let record = record?;
        line.clear();
        match format {
            Format::JsonLines => {
                serde_json::to_writer(&mut line, &record).map_err(|error| failed(error.into()))?;
                line.push(b'\n');
            }
            Format::Csv => csv(&record, &mut line),
        }
        out.write_all(&line).map_err(failed)?;
        count += 1;
    }
    out.flush().map_err(failed)?;
    Ok(count)
}

fn csv(record: &Record, out: &mut Vec<u8>) {
    let row = match &record.line {
        Recorded::Request(request) => request_row(request),
        Recorded::Act(act) => act_row(act),
        Recorded::Note(note) => note_row(note),
    };
    field(out, &record.seq.to_string());
    out.push(b',');
    field(out, &rfc3339(record.time()));
    for value in &row {
        out.push(b',');
        field(out, value);
    }
    out.extend_from_slice(b"\r\n");
}

/// The columns from `kind` to `outcome`, empty but for the first, for what is no request.
fn empty_columns(kind: &str) -> Vec<String> {
    let mut row = vec![String::new(); 22];
    row.splice(..1, [kind.to_owned()]);
    row
}

fn request_row(r: &RequestRecord) -> Vec<String> {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let mut row = vec!["request".to_owned(), r.request.clone(), r.door.clone(), r.client.clone()];
    row.extend([&r.caller, &r.owner, &r.service, &r.credential, &r.credential_id].map(text));
    row.push(r.version.map(|version| version.to_string()).unwrap_or_default());
    row.extend([&r.method, &r.host, &r.path].map(Clone::clone));
    row.extend([r.status.to_string(), text(&r.code), r.attempts.to_string()]);
    row.extend([r.bytes_in, r.bytes_out, r.wait_us, r.upstream_us, r.total_us].map(|number| number.to_string()));
    row.push(r.outcome.clone());
    row.extend(vec![String::new(); 5]);
    row.push(text(&r.reason));
    row
}

fn act_row(act: &ActRecord) -> Vec<String> {
    let mut row = empty_columns("act");
    let details: Vec<String> = act.details.iter().map(|(name, value)| format!("{name}={value}")).collect();
    row.extend([act.act.clone(), act.actor.clone(), act.object.clone()]);
    row.extend([act.object_id.clone().unwrap_or_default(), details.join(" "), String::new()]);
    row
}

fn note_row(note: &NoteRecord) -> Vec<String> {
    let mut row = empty_columns("note");
    row.extend([note.note.clone(), String::new(), String::new(), String::new()]);
    row.extend([format!("entries={}", note.entries), String::new()]);
    row
}

/// A field, quoted when it has to be.
fn field(out: &mut Vec<u8>, value: &str) {
    let formula = value.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if !formula && !value.contains(['"', ',', '\n', '\r']) {
        out.extend_from_slice(value.as_bytes());
        return;
    }
    out.push(b'"');
    if formula {
        out.push(b'\'');
    }
    out.extend_from_slice(value.replace('"', "\"\"").as_bytes());
    out.push(b'"');
}

fn rfc3339(micros: u64) -> String {
    let time = i64::try_from(micros).ok().and_then(|micros| jiff::Timestamp::from_microsecond(micros).ok());
    time.map(|time| format!("{time:.6}")).unwrap_or_default()
}
