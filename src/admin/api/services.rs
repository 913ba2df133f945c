//! Services: the built-in ones, those that the store or proxy.toml adds, and drafts from API descriptions.

use std::borrow::Cow;
use std::sync::Arc;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema};
use utoipa::{IntoParams, PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::admin::Admin;
use crate::admin::answer::{Answer, Shown};
use crate::admin::ask::{Asked, At, Named, Told};
use crate::admin::page::{Page, PageQuery};
use crate::admin::problem::Problem;
use crate::admin::who::Who;
use crate::domain::Name;
use crate::openapi::{self, Given};
use crate::operations::{Actor, ConcernedKey, Consent, Operations, ServiceChange, ServiceDetail, ServiceView};
use crate::record::{ServiceRecord, to_toml};

use super::Shared;

pub(super) fn routes() -> OpenApiRouter<Arc<Admin>> {
    OpenApiRouter::new().routes(routes!(list_services, add_service)).routes(routes!(draft_service)).routes(routes!(
        show_service,
        change_service,
        delete_service
    ))
}

/// Which services, and which page of them.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// How many items, 1 to 500; 50 unless given.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u16>,
    /// `next` of the page before.
    after: Option<String>,
    /// Words, all of which are in the name, title, category or address.
    #[param(example = "payments")]
    search: Option<String>,
    /// Only those that the store or proxy.toml adds or changes.
    #[serde(default)]
    #[param(required = false)]
    custom: bool,
}

/// A record as in proxy.toml. Its schema is that of the record itself, put in by `describe`.
#[derive(Deserialize)]
pub(in crate::admin) struct RecordTold(ServiceRecord);

impl PartialSchema for RecordTold {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().into()
    }
}

impl ToSchema for RecordTold {
    fn name() -> Cow<'static, str> {
        "ServiceRecord".into()
    }
}

/// A service to be kept in the store.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewService {
    /// What to call it; a built-in one of this name is overridden key by key.
    #[schema(value_type = Name, example = "billing")]
    name: Named,
    /// Its record.
    record: RecordTold,
    /// Whether you agree to what it does to keys that exist; without, such a change is refused with 409 and names them.
    #[serde(default)]
    #[schema(required = false)]
    agreed: bool,
}

/// Another record for a service of the store.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ServiceEdit {
    /// The revision that it replaces: 409 when somebody else was faster.
    revision: u32,
    /// Its record, as a whole.
    record: RecordTold,
    /// Whether you agree to what it does to keys that exist.
    #[serde(default)]
    #[schema(required = false)]
    agreed: bool,
}

/// A service that was kept, and what that does besides.
#[derive(Serialize, ToSchema)]
struct KeptService {
    /// The service.
    service: ServiceView,
    /// What it overrides and shadows, a sentence each.
    tells: Vec<String>,
    /// The keys that go elsewhere now or do not fit any more.
    concerned: Vec<ConcernedKey>,
}

impl From<ServiceChange> for KeptService {
    fn from(change: ServiceChange) -> Self {
        Self { service: ServiceView::of(&change.entry), tells: change.tells, concerned: change.concerned }
    }
}

const fn consent(agreed: bool) -> Consent {
    if agreed { Consent::Given } else { Consent::Absent }
}

/// List the services
#[utoipa::path(get, path = "/services", tag = "services", params(Wanted),
    responses((status = 200, description = "The services, by name", body = Page<ServiceView>)))]
async fn list_services(admin: Shared, who: Who, Asked(wanted): Asked<Wanted>) -> Answer<Page<ServiceView>> {
    let page = PageQuery { limit: wanted.limit, after: wanted.after };
    let words = wanted.search.unwrap_or_default();
    let mut services = admin.act(&who, move |operations, actor| Ok(operations.services(actor, &words))).await?;
    services.retain(|service| !wanted.custom || service.declared || service.stored);
    Ok(Shown::found(page.cut(services, |service| service.name.to_string())?))
}

/// Add a service
///
/// For administrators. What is stored stands between the catalogue and proxy.toml.
#[utoipa::path(post, path = "/services", tag = "services", request_body = NewService,
    responses((status = 201, description = "The service", body = KeptService)))]
async fn add_service(admin: Shared, who: Who, Told(new): Told<NewService>) -> Answer<KeptService> {
    let (name, record, consent) = (new.name.0, new.record.0, consent(new.agreed));
    let add = move |operations: &Operations, actor: &Actor| operations.add_service(actor, &name, &record, consent);
    let kept: KeptService = admin.act(&who, add).await?.into();
    let location = format!("/api/v1/services/{}", kept.service.name);
    Ok(Shown::made(kept, location))
}

/// Show a service with its record
#[utoipa::path(get, path = "/services/{service}", tag = "services",
    params(("service" = Name, Path, description = "Its name")),
    responses((status = 200, description = "The service", body = ServiceDetail)))]
async fn show_service(admin: Shared, who: Who, At(service): At<Named>) -> Answer<ServiceDetail> {
    let found = admin.act(&who, move |operations, actor| operations.service_detail(actor, &service.0)).await?;
    Ok(Shown::found(found))
}

/// Change a service of the store
///
/// For administrators.
#[utoipa::path(put, path = "/services/{service}", tag = "services",
    params(("service" = Name, Path, description = "Its name")), request_body = ServiceEdit,
    responses((status = 200, description = "The service", body = KeptService)))]
async fn change_service(
    admin: Shared,
    who: Who,
    At(service): At<Named>,
    Told(edit): Told<ServiceEdit>,
) -> Answer<KeptService> {
    let (record, consent) = (edit.record.0, consent(edit.agreed));
    let change = move |operations: &Operations, actor: &Actor| {
        operations.change_service(actor, &service.0, edit.revision, &record, consent)
    };
    Ok(Shown::found(admin.act(&who, change).await?.into()))
}

/// Delete a service of the store
///
/// For administrators. A built-in one is again as it is built in. One that keys are for stays.
#[utoipa::path(delete, path = "/services/{service}", tag = "services",
    params(("service" = Name, Path, description = "Its name")), responses((status = 204, description = "It is gone")))]
async fn delete_service(admin: Shared, who: Who, At(service): At<Named>) -> Result<StatusCode, Problem> {
    admin.act(&who, move |operations, actor| operations.delete_service(actor, &service.0, Consent::Absent)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// An API description to make a service of.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Description {
    /// OpenAPI 3.0 to 3.2 or Swagger 2.0: the document itself, or its text in JSON or YAML. Nothing is fetched.
    document: Value,
    /// Where the API is, when that is known better.
    base_url: Option<String>,
}

/// A draft of a service. Nothing is stored.
#[derive(Serialize, ToSchema)]
struct ServiceDraft {
    /// What it may be called.
    name: Option<Name>,
    /// Its record, to be looked through and added.
    #[schema(value_type = Object)]
    record: Value,
    /// One `allow` rule for each method and path, for who wants them.
    rules: Vec<String>,
    /// What was assumed, and where.
    notes: Vec<DraftNote>,
    /// What the document says it is.
    dialect: String,
    /// How many operations it has.
    operations: usize,
}

/// What a description leaves open.
#[derive(Serialize, ToSchema)]
struct DraftNote {
    /// Where in the document.
    at: String,
    /// What was found.
    found: String,
    /// What was assumed.
    assumed: String,
}

/// Draft a service from an API description
///
/// Stores nothing: look the draft through and add it.
#[utoipa::path(post, path = "/services/draft", tag = "services", request_body = Description,
    responses((status = 200, description = "The draft", body = ServiceDraft)))]
async fn draft_service(admin: Shared, who: Who, Told(description): Told<Description>) -> Answer<ServiceDraft> {
    let drafted = admin.act(&who, move |_, _| Ok(draft(&description))).await?;
    Ok(Shown::found(drafted?))
}

fn draft(description: &Description) -> Result<ServiceDraft, Problem> {
    let text = match &description.document {
        Value::String(text) => text.clone(),
        document => document.to_string(),
    };
    let given = Given { base_url: description.base_url.as_deref(), auth: None };
    let draft =
        openapi::read(text.as_bytes(), given).map_err(|error| Problem::invalid(format!("`document`: {error}")))?;
    let record: toml::Table = to_toml(&draft.record).parse().map_err(|error| Problem::internal(&error))?;
    let note = |note: &openapi::Note| DraftNote {
        at: note.at.clone(),
        found: note.found.clone(),
        assumed: note.assumed.clone(),
    };
    Ok(ServiceDraft {
        name: draft.name,
        record: serde_json::to_value(record).map_err(|error| Problem::internal(&error))?,
        rules: draft.rules,
        notes: draft.notes.iter().map(note).collect(),
        dialect: draft.dialect,
        operations: draft.operations,
    })
}
