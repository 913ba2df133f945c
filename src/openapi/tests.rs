//! Tables of documents and what becomes of them, and garbage of every kind. Real documents of some megabytes are read by
//! `tests/sdk/test_descriptions.py`.

use proptest::prelude::*;
use serde_json::json;

use crate::domain::Service;
use crate::record::{Auth, compile};

use super::*;

/// Reads a document that is written as JSON here.
fn drafted(document: &Value) -> Draft {
    read(document.to_string().as_bytes(), Given::default()).unwrap_or_else(|error| panic!("{document:#}\n{error}"))
}

/// An OpenAPI 3 document with these members more.
fn three(more: &Value) -> Draft {
    let mut document =
        json!({ "openapi": "3.1.0", "info": { "title": "Blue Bikes API", "version": "1" }, "paths": {} });
    for (key, value) in more.as_object().unwrap() {
        document[key] = value.clone();
    }
    if document.get("servers").is_none() {
        document["servers"] = json!([{ "url": "https://api.bikes.example/v2" }]);
    }
    drafted(&document)
}

fn compiled(draft: &Draft) -> Service {
    compile(&Name::new("draft").unwrap(), &draft.record).unwrap_or_else(|errors| panic!("{draft:#?}\n{errors}"))
}

/// Where the key goes, in words.
fn places(draft: &Draft) -> Vec<String> {
    compiled(draft).auth.iter().map(crate::domain::Placement::describe).collect()
}

fn found(draft: &Draft, text: &str) -> bool {
    draft.notes.iter().any(|note| note.to_string().contains(text))
}

#[test]
fn a_plain_document_becomes_a_record_without_a_note() {
    let draft = three(&json!({
        "externalDocs": { "url": "https://bikes.example/docs" },
        "security": [{ "key": [] }],
        "components": { "securitySchemes": { "key": { "type": "apiKey", "in": "header", "name": "X-API-Key" } } },
        "paths": {
            "/bikes": { "get": { "responses": { "200": {} } }, "post": { "responses": { "201": {} } } },
            "/bikes/{id}": { "delete": { "responses": { "204": {} } }, "parameters": [{ "in": "path", "name": "id" }] },
            "/me": { "get": { "responses": { "200": {}, "429": { "headers": { "Retry-After": {} } } } } }
        }
    }));
    assert_eq!(draft.notes, []);
    assert_eq!((draft.name.as_ref().map(Name::as_str), draft.dialect.as_str()), (Some("blue-bikes"), "OpenAPI 3.1.0"));
    assert_eq!(draft.operations, 4);
    let record = &draft.record;
    assert_eq!(record.title.as_deref(), Some("Blue Bikes API"));
    assert_eq!(record.base_url.as_deref(), Some("https://api.bikes.example/v2"));
    assert_eq!((&record.hosts, &record.vars, &record.upstream), (&None, &None, &None));
    assert_eq!(record.docs.as_deref(), Some("https://bikes.example/docs"));
    assert_eq!(record.verify.as_ref().unwrap().path.as_deref(), Some("/v2/me"));
    assert_eq!(record.limits.as_ref().unwrap().family.as_deref(), Some("retry-after"));
    assert_eq!(places(&draft), ["header X-API-Key: {key}"]);
    assert_eq!(draft.rules, ["GET /v2/bikes", "POST /v2/bikes", "DELETE /v2/bikes/*", "GET /v2/me"]);
}

#[test]
fn the_same_document_reads_alike_in_yaml_and_in_the_older_dialect() {
    let yaml = "
openapi: 3.0.3
info: {title: Blue Bikes, version: 1.0}
servers: [{url: https://api.bikes.example/v2}]
security: [{key: []}]
components:
  securitySchemes:
    key: {type: apiKey, in: query, name: api_key}
paths:
  /bikes/{id}:
    get:
      parameters: [{in: path, name: id, required: true}]
      responses: {200: {description: ok}}
";
    let two = json!({
        "swagger": 2.0,
        "info": { "title": "Blue Bikes" },
        "host": "api.bikes.example", "basePath": "/v2", "schemes": ["http", "https"],
        "security": [{ "key": [] }],
        "securityDefinitions": { "key": { "type": "apiKey", "in": "query", "name": "api_key" } },
        "paths": { "/bikes/{id}": { "get": { "responses": { "200": {} } } } }
    });
    let (yaml, two) = (read(yaml.as_bytes(), Given::default()).unwrap(), drafted(&two));
    assert_eq!(yaml.record, two.record);
    assert_eq!((yaml.dialect.as_str(), two.dialect.as_str()), ("OpenAPI 3.0.3", "Swagger 2.0"));
    assert_eq!(yaml.rules, ["GET /v2/bikes/*"]);
    assert_eq!((yaml.notes, two.notes), (vec![], vec![]));
}

#[test]
fn servers_become_a_base_url() {
    let table = [
        (json!([{ "url": "https://a.example" }]), Some("https://a.example")),
        (json!([{ "url": "https://a.example/v1/" }]), Some("https://a.example/v1")),
        (json!([{ "url": "//a.example/v1" }]), Some("https://a.example/v1")),
        (json!([{ "url": "HTTPS://a.example:8443/" }]), Some("https://a.example:8443")),
        (json!([{ "url": "http://a.example/v1" }]), Some("https://a.example/v1")),
        (json!([{ "url": "http://a.example:80/v1" }]), Some("https://a.example/v1")),
        (json!([{ "url": "https://user:pw@a.example/v1?x=1#y" }]), Some("https://a.example/v1")),
        (json!([{ "url": "http://localhost:3000" }, { "url": "https://a.example" }]), Some("https://a.example")),
        (json!([{ "url": "https://sandbox.a.example" }, { "url": "https://a.example" }]), Some("https://a.example")),
        (
            json!([{ "url": "https://a.example", "description": "Staging" }, { "url": "https://b.example" }]),
            Some("https://b.example"),
        ),
        (json!([{ "url": "ws://a.example" }, { "url": "https://a.example" }]), Some("https://a.example")),
        (json!([{ "url": "http://localhost:3000/x" }]), Some("http://localhost:3000/x")),
        (json!([{ "url": "/v1" }]), None),
        (json!([{ "url": "" }]), None),
        (json!([{ "url": 7 }, "x", null]), None),
        (json!("https://a.example"), None),
        (json!([{ "url": "https://a b.example" }]), None),
        (
            json!([{ "url": "{scheme}://a.example/", "variables": { "scheme": { "enum": ["http", "https"], "default": "http" } } }]),
            Some("https://a.example"),
        ),
        (
            json!([{ "url": "{server}/v1", "variables": { "server": { "default": "https://a.example" } } }]),
            Some("https://a.example/v1"),
        ),
        (
            json!([{ "url": "https://a.example:{port}/{base}", "variables": { "port": { "enum": ["8443", "443"], "default": "8443" }, "base": { "default": "v2" } } }]),
            Some("https://a.example:8443/v2"),
        ),
        (
            json!([{ "url": "https://{accountId}.a.example", "variables": { "accountId": { "default": "demo" } } }]),
            Some("https://{account_id}.a.example"),
        ),
        (
            json!([{ "url": "https://{region}.a.example", "variables": { "region": { "enum": ["eu"], "default": "eu" } } }]),
            Some("https://eu.a.example"),
        ),
        (json!([{ "url": "https://{undeclared}.a.example" }]), Some("https://{undeclared}.a.example")),
        (json!([{ "url": "https://{broken.a.example" }]), None),
    ];
    for (servers, base_url) in table {
        let draft = three(&json!({ "servers": servers }));
        assert_eq!(draft.record.base_url.as_deref(), base_url, "{servers}\n{:#?}", draft.notes);
        if base_url.is_some() {
            compiled(&draft);
        } else {
            assert!(!draft.notes.is_empty(), "{servers}");
        }
    }
}

#[test]
fn a_base_url_that_is_given_takes_the_place_of_the_documents() {
    let document = json!({
        "openapi": "3.0.0", "servers": [{ "url": "/v3" }, { "url": "https://{x}.example" }],
        "paths": { "/me": { "get": {} }, "/other": { "servers": [{ "url": "https://b.example" }], "get": {} } }
    });
    let draft =
        read(document.to_string().as_bytes(), Given { base_url: Some("https://api.bikes.example/v4/"), auth: None })
            .unwrap();
    assert_eq!(draft.record.base_url.as_deref(), Some("https://api.bikes.example/v4/"));
    assert_eq!((&draft.record.hosts, &draft.record.vars), (&None, &None));
    assert_eq!(draft.record.verify.unwrap().path.as_deref(), Some("/v4/me"));
    assert_eq!(draft.rules, ["GET /v4/me"]);
}

#[test]
fn a_place_that_is_given_takes_the_place_of_the_documents() {
    let auth = AuthList::One(Auth { location: Some("header".into()), name: Some("X-Key".into()), ..Auth::default() });
    let document = json!({
        "openapi": "3.0.0", "servers": [{ "url": "https://a.example" }], "security": [{ "x": [] }],
        "paths": { "/me": { "get": { "parameters": [{ "in": "header", "name": "x-key", "required": true }] } } }
    });
    let draft = read(document.to_string().as_bytes(), Given { base_url: None, auth: Some(&auth) }).unwrap();
    assert_eq!((draft.record.auth, draft.notes), (Some(auth), vec![]));
    assert_eq!(draft.record.verify.unwrap().path.as_deref(), Some("/me"));
}

#[test]
fn variables_of_the_host_are_pinned_by_each_key() {
    let draft = three(&json!({ "servers": [{
        "url": "https://{your-domain}.{region}.bikes.example/{version}",
        "variables": {
            "your-domain": { "default": "acme", "description": "Your own domain. Ask your administrator." },
            "region": { "default": "eu", "enum": ["eu", "us", "eu", 3] },
            "version": { "enum": ["v1", "v2"], "default": "v2" }
        }
    }] }));
    let vars = draft.record.vars.as_ref().unwrap();
    assert_eq!(vars.keys().collect::<Vec<_>>(), ["region", "version", "your_domain"]);
    let domain = &vars["your_domain"];
    assert_eq!(domain.title.as_deref(), Some("Your own domain"));
    assert_eq!(
        (domain.default.as_deref(), domain.example.as_deref()),
        (None, Some("acme")),
        "somebody else's domain is no default"
    );
    let region = &vars["region"];
    assert_eq!(
        (region.default.as_deref(), region.choices.as_ref().unwrap().join(" ").as_str()),
        (Some("eu"), "eu us 3")
    );
    assert_eq!(draft.record.base_url.as_deref(), Some("https://{your_domain}.{region}.bikes.example/{version}"));
    compiled(&draft);
}

#[test]
fn hosts_of_the_same_domain_belong_to_the_service_and_others_do_not() {
    let draft = three(&json!({ "servers": [
        { "url": "https://api.bikes.example/v2" },
        { "url": "https://eu.bikes.example:8443/v2" },
        { "url": "https://bikes.other.example/v2" },
        { "url": "http://127.0.0.1:8080/v2" },
        { "url": "https://{tenant}.bikes.example/v2" }
    ] }));
    assert_eq!(draft.record.hosts.as_ref().unwrap(), &["api.bikes.example", "eu.bikes.example:8443"]);
    assert!(found(&draft, "the server `bikes.other.example`") && found(&draft, "the server `127.0.0.1`"));
    assert_eq!(draft.record.upstream, None, "a sibling on this machine lifts no guard");
    compiled(&draft);
}

#[test]
fn servers_of_a_path_count_when_the_document_has_none() {
    let draft = three(&json!({ "servers": [], "paths": {
        "/a": { "servers": [{ "url": "https://a.example" }], "get": {} },
        "/b": { "get": { "servers": [{ "url": "https://b.example" }] } }
    } }));
    assert_eq!(draft.record.base_url.as_deref(), Some("https://a.example"));
    assert_eq!(draft.rules, ["GET /a"]);
    assert!(found(&draft, "an operation with a server of its own"));
}

#[test]
fn every_scheme_becomes_its_place() {
    let table = [
        (json!({ "type": "apiKey", "in": "header", "name": "X-Key" }), "header X-Key: {key}"),
        (json!({ "type": "apiKey", "in": "query", "name": "k" }), "query ?k={key}"),
        (json!({ "type": "apiKey", "in": "cookie", "name": "s" }), "cookie s={key}"),
        (json!({ "type": "http", "scheme": "bearer" }), "header Authorization: Bearer {key}"),
        (json!({ "type": "http", "scheme": "Basic" }), "basic {username}:{password}"),
        (json!({ "type": "basic" }), "basic {username}:{password}"),
        (json!({ "type": "http", "scheme": "Token" }), "header Authorization: Token {key}"),
        (json!({ "type": "oauth2", "flows": {} }), "header Authorization: Bearer {key}"),
        (json!({ "type": "openIdConnect", "openIdConnectUrl": "x" }), "header Authorization: Bearer {key}"),
        (json!({ "type": "apiKey", "in": "header", "name": "Authorization" }), "header Authorization: {key}"),
        (
            json!({ "type": "apiKey", "in": "header", "name": "authorization", "description": "Use `Bearer <token>`" }),
            "header Authorization: Bearer {key}",
        ),
        (
            json!({ "type": "apiKey", "in": "header", "name": "Authorization", "description": "`Token YOUR_KEY`" }),
            "header Authorization: Token {key}",
        ),
    ];
    for (scheme, place) in table {
        let more = json!({ "security": [{ "s": [] }], "components": { "securitySchemes": { "s": scheme } } });
        assert_eq!(places(&three(&more)), [place], "{more}");
    }
}

#[test]
fn schemes_that_cannot_be_served_are_noted_and_leave_no_place() {
    let table = [
        json!({ "type": "http", "scheme": "digest" }),
        json!({ "type": "http" }),
        json!({ "type": "mutualTLS" }),
        json!({ "type": "apiKey", "in": "body", "name": "k" }),
        json!({ "type": "apiKey", "in": "header" }),
        json!({ "type": "apiKey", "in": "header", "name": "Host" }),
        json!({ "type": "apiKey", "in": "header", "name": "no header" }),
        json!({ "type": ["apiKey"] }),
        json!({ "$ref": "#/components/securitySchemes/s" }),
        json!({ "$ref": "other.yaml#/s" }),
        json!({}),
        json!("x"),
    ];
    for scheme in table {
        let draft = three(&json!({ "security": [{ "s": [] }], "components": { "securitySchemes": { "s": scheme } } }));
        assert_eq!(draft.record.auth, None, "{scheme}");
        assert!(!draft.notes.is_empty(), "{scheme}");
        compiled(&draft);
    }
}

#[test]
fn what_is_demanded_together_is_placed_together() {
    let schemes = json!({ "securitySchemes": {
        "appId": { "type": "apiKey", "in": "header", "name": "X-App-Id" },
        "App Key": { "type": "apiKey", "in": "query", "name": "app_key" },
        "login": { "type": "http", "scheme": "basic" },
        "bearer": { "type": "http", "scheme": "bearer" }
    } });
    let demanding = |security: Value| three(&json!({ "components": schemes, "security": security }));
    let both = demanding(json!([{ "appId": [], "App Key": [] }]));
    assert_eq!(places(&both), ["query ?app_key={app_key}", "header X-App-Id: {app_id}"]);
    assert!(both.notes.is_empty());
    let clash = demanding(json!([{ "bearer": [], "login": [] }]));
    assert_eq!(places(&clash).len(), 1);
    assert!(found(&clash, "at the place of another scheme"));
    let three_of = demanding(json!([{ "login": [], "appId": [] }]));
    assert_eq!(places(&three_of), ["header X-App-Id: {app_id}", "basic {login_username}:{login_password}"]);
}

#[test]
fn a_key_that_is_only_a_parameter_is_found() {
    let get = |parameters: Value| json!({ "get": { "parameters": parameters } });
    let key = json!([{ "in": "header", "name": "X-API-Key", "required": true }]);
    let draft = three(&json!({ "paths": { "/a": get(key.clone()), "/b": get(key), "/c": get(json!([])) } }));
    assert_eq!(places(&draft), ["header X-API-Key: {key}"]);
    assert_eq!(draft.record.verify.unwrap().path.as_deref(), Some("/v2/a"), "the key is given with it");
    assert!(draft.notes.iter().any(|note| note.found.contains("a header parameter `X-API-Key`")));
    let seldom = json!([{ "in": "query", "name": "access_token" }]);
    let draft = three(&json!({ "paths": { "/a": get(seldom), "/b": get(json!([])) } }));
    assert_eq!(draft.record.auth, None);
}

#[test]
fn the_simplest_alternative_is_taken() {
    let schemes = json!({ "securitySchemes": {
        "oauth": { "type": "oauth2" },
        "basic": { "type": "http", "scheme": "basic" },
        "key": { "type": "apiKey", "in": "header", "name": "X-Key" },
        "digest": { "type": "http", "scheme": "digest" }
    } });
    let chosen = |more: Value| {
        let mut more = more;
        more["components"] = schemes.clone();
        places(&three(&more)).join(" + ")
    };
    assert_eq!(chosen(json!({ "security": [{ "oauth": [] }, { "basic": [] }, { "key": [] }] })), "header X-Key: {key}");
    assert_eq!(chosen(json!({ "security": [{}, { "oauth": ["a"] }] })), "header Authorization: Bearer {key}");
    assert_eq!(chosen(json!({ "security": [{ "digest": [] }, { "basic": [] }] })), "basic {username}:{password}");
    assert_eq!(chosen(json!({ "security": [{ "digest": [] }] })), "");
    assert_eq!(chosen(json!({ "security": [{ "unknown": [] }] })), "");
    let by_operations = json!({ "paths": { "/a": {
        "get": { "security": [{ "basic": [] }] },
        "put": { "security": [{ "basic": [] }] },
        "post": { "security": [] }
    } } });
    assert_eq!(chosen(by_operations), "basic {username}:{password}");
    assert_eq!(chosen(json!({})), "header X-Key: {key}", "nothing demands one");
}

#[test]
fn the_most_telling_harmless_call_is_suggested() {
    let get = |parameters: Value| json!({ "get": { "parameters": parameters } });
    let table = [
        (json!({ "/bikes": get(json!([])), "/users/me": get(json!([])) }), Some("/v2/users/me")),
        (
            json!({ "/me": get(json!([{ "in": "query", "name": "q", "required": true }])), "/bikes": get(json!([])) }),
            Some("/v2/bikes"),
        ),
        (json!({ "/me": get(json!([{ "in": "query", "name": "q" }])) }), Some("/v2/me")),
        (json!({ "/me": get(json!([{ "in": "header", "name": "x-key", "required": true }])) }), Some("/v2/me")),
        (json!({ "/me": get(json!([{ "$ref": "#/nowhere" }])) }), None),
        (json!({ "/me": { "post": {} } }), None),
        (json!({ "/me/{id}": get(json!([])) }), None),
        (json!({ "/": get(json!([])), "/user/logout": get(json!([])), "/me/events": get(json!([])) }), None),
        (json!({ "/admin/users": get(json!([])), "/bikes": get(json!([])) }), Some("/v2/bikes")),
        (json!({ "/ping": { "get": { "security": [] } }, "/status": get(json!([])) }), Some("/v2/status")),
        (json!({ "/ping": { "get": { "security": [{}] } } }), None),
        (json!({ "/a/long/list": get(json!([])), "/list": get(json!([])) }), Some("/v2/list")),
        (json!({ "/me": { "get": { "deprecated": true } }, "/account": get(json!([])) }), Some("/v2/account")),
        (json!({ "/rides": get(json!([])), "/zebras": { "get": { "tags": ["User account"] } } }), Some("/v2/zebras")),
        (
            json!({ "/me": { "parameters": [{ "in": "query", "name": "q", "required": true }], "get": { "parameters": [{ "in": "query", "name": "q" }] } } }),
            Some("/v2/me"),
        ),
    ];
    for (paths, path) in table {
        let draft = three(&json!({
            "paths": paths,
            "security": [{ "k": [] }],
            "components": { "securitySchemes": { "k": { "type": "apiKey", "in": "header", "name": "X-Key" } } }
        }));
        let suggested = draft.record.verify.as_ref().and_then(|verify| verify.path.as_deref());
        assert_eq!(suggested, path, "{paths}");
    }
    let made = three(&json!({ "paths": { "/me": { "get": { "responses": { "204": {}, "404": {}, "2XX": {} } } } } }));
    assert_eq!(made.record.verify.unwrap().expect, Some(vec![204]));
}

#[test]
fn rules_name_what_is_described() {
    let table = [
        ("/a/{id}/b", "GET /v2/a/*/b"),
        ("/a/{id}.json", "GET /v2/a/*"),
        ("/a/{first}-{last}", "GET /v2/a/*"),
        ("/a/{proxy+}", "GET /v2/a/**"),
        ("/a/b?action=c", "GET /v2/a/b"),
        ("/a#fragment", "GET /v2/a"),
        ("a/b", "GET /v2/a/b"),
        ("/", "GET /v2/"),
        ("/a/", "GET /v2/a/"),
        ("/a b/ü", "GET /v2/a%20b/%C3%BC"),
        ("/a/*", "GET /v2/a/*"),
    ];
    for (path, rule) in table {
        let mut paths = serde_json::Map::new();
        paths.insert(path.to_owned(), json!({ "get": {} }));
        assert_eq!(three(&json!({ "paths": paths })).rules, [rule], "{path}");
    }
    let more = three(&json!({ "paths": { "/a": {
        "query": {}, "trace": {}, "additionalOperations": { "PURGE": {}, "no method": {} }, "x-get": {}, "nonsense": {}
    } } }));
    assert_eq!(more.rules, ["PURGE /v2/a", "QUERY /v2/a", "TRACE /v2/a"]);
    assert!(found(&more, "that no rule can name"));
}

#[test]
fn references_are_followed_within_the_document() {
    let draft = three(&json!({
        "paths": { "/me": { "$ref": "#/components/pathItems/Me" }, "/b": { "$ref": "#/paths/~1me" }, "/c": { "$ref": "#/paths/~1c" } },
        "components": {
            "pathItems": { "Me": { "get": {
                "parameters": [{ "$ref": "#/components/parameters/q%20q" }],
                "responses": { "429": { "$ref": "#/components/responses/Slow" } }
            } } },
            "parameters": { "q q": { "in": "query", "name": "q", "schema": { "$ref": "#/components/schemas/Q" } } },
            "responses": { "Slow": { "headers": { "X-RateLimit-Remaining": {} }, "content": { "big": {} } } },
            "schemas": { "Q": {} }
        }
    }));
    assert_eq!(draft.rules, ["GET /v2/b", "GET /v2/me"]);
    assert_eq!(draft.record.limits.unwrap().family.as_deref(), Some("x-ratelimit"));
    assert!(
        draft.notes.iter().any(|note| note.at == "/paths/~1c" && note.found.contains("circles")),
        "{:?}",
        draft.notes
    );
}

#[test]
fn families_of_limits_are_told_from_documented_headers() {
    let table = [
        (json!({ "Retry-After": {} }), Some("retry-after")),
        (json!({ "X-RateLimit-Remaining": {}, "Retry-After": {} }), Some("x-ratelimit")),
        (json!({ "x-rate-limit-remaining": {} }), Some("x-rate-limit")),
        (json!({ "RateLimit-Remaining": {} }), Some("ietf-06")),
        (json!({ "RateLimit": {}, "RateLimit-Policy": {} }), Some("ietf-08")),
        (json!({ "X-Other": {} }), None),
        (json!([]), None),
    ];
    for (headers, family) in table {
        let draft = three(&json!({ "paths": { "/a": { "get": { "responses": { "429": { "headers": headers } } } } } }));
        assert_eq!(draft.record.limits.and_then(|limits| limits.family).as_deref(), family, "{headers}");
    }
}

#[test]
fn names_are_made_from_titles_and_else_from_hosts() {
    let table = [
        (json!("Stripe API"), "stripe"),
        (json!("GitHub v3 REST API"), "github"),
        (json!("Swagger Petstore - OpenAPI 3.0"), "petstore"),
        (json!("The Blue-Bikes API (v2.1)"), "blue-bikes"),
        (json!("Everything that you can do with your blue bikes"), "bikes"),
        (json!("API"), "bikes"),
        (json!("ЁЁ"), "bikes"),
        (json!(7), "bikes"),
        (json!(null), "bikes"),
    ];
    for (title, name) in table {
        let draft = three(&json!({ "info": { "title": title } }));
        assert_eq!(draft.name.as_ref().map(Name::as_str), Some(name), "{title}");
    }
}

#[test]
fn a_document_without_a_version_is_guessed_and_something_else_is_refused_by_its_name() {
    let guessed = drafted(&json!({ "paths": {}, "host": "a.example" }));
    assert_eq!(guessed.dialect, "Swagger 2.0");
    assert!(found(&guessed, "says what it is"));
    assert_eq!(drafted(&json!({ "paths": {} })).dialect, "OpenAPI 3");
    assert!(found(&drafted(&json!({ "openapi": "4.0.0", "paths": {} })), "4.0.0"));
    let refused = [
        (json!({ "asyncapi": "2.0.0" }), "AsyncAPI"),
        (json!({ "swaggerVersion": "1.2" }), "Swagger 1"),
        (json!({ "item": [], "info": {} }), "Postman"),
        (json!({ "kind": "discovery#restDescription", "discoveryVersion": "v1" }), "Google"),
        (json!({ "a": 1 }), "neither"),
        (json!([1]), "no table"),
        (json!("text"), "no table"),
    ];
    for (document, word) in refused {
        let error = read(document.to_string().as_bytes(), Given::default()).unwrap_err().to_string();
        assert!(error.contains(word), "{document}: {error}");
    }
}

#[test]
fn wrong_kinds_where_nothing_depends_on_them_do_not_matter() {
    let draft = three(&json!({
        "info": 7, "tags": "x", "externalDocs": [], "security": {}, "components": { "schemas": 1, "securitySchemes": [] },
        "x-extension": { "deep": [[[]]] },
        "paths": {
            "/a": null, "/b": 7, "/c": { "get": "x", "parameters": {}, "put": { "parameters": [1, {}], "tags": 3, "responses": [] } },
            "x-paths": 1
        }
    }));
    assert_eq!(draft.rules, ["PUT /v2/c"]);
    assert_eq!(draft.record.base_url.as_deref(), Some("https://api.bikes.example/v2"));
}

#[test]
fn repeated_keys_are_noted_in_json_and_yaml() {
    let json = r#"{ "openapi": "3.0.0", "paths": { "/a": { "get": {} }, "/a": { "post": {} } } }"#;
    let yaml = "openapi: 3.0.0\npaths:\n  /a:\n    get: {}\n  /a:\n    post: {}\n";
    for text in [json, yaml] {
        let draft = read(text.as_bytes(), Given::default()).unwrap();
        assert_eq!(draft.rules, ["POST /a"], "{text}");
        assert!(
            draft.notes.iter().any(|note| note.at == "/paths/~1a" && note.found.contains("twice")),
            "{:?}",
            draft.notes
        );
    }
}

#[test]
fn yaml_is_read_as_people_write_it() {
    let text = "\u{feff}# a comment
openapi: 3.0
info:
  title: >-
    Blue
    Bikes
x-common: &common
  get: &get
    responses:
      '200': {description: ok}
      429: {description: slow, headers: {Retry-After: {schema: {type: integer}}}}
servers:
  - url: https://api.bikes.example
paths:
  /on: *common
  /yes:
    <<: *common
    post:
      <<: *get
  /no: {get: *get, 'x-y': no,}
";
    let draft = read(text.as_bytes(), Given::default()).unwrap();
    assert_eq!(draft.record.title.as_deref(), Some("Blue Bikes"));
    assert_eq!(draft.rules, ["GET /no", "GET /on", "GET /yes", "POST /yes"]);
    assert_eq!(draft.record.limits.unwrap().family.as_deref(), Some("retry-after"));
    assert_eq!(draft.dialect, "OpenAPI 3.0");
}

#[test]
fn json_with_a_comma_too_many_is_read_as_yaml_reads_it() {
    let draft =
        read(br#"{ "openapi": "3.0.0", "servers": [{ "url": "https://a.example" },], }"#, Given::default()).unwrap();
    assert_eq!(draft.record.base_url.as_deref(), Some("https://a.example"));
    let error = read(br#"{ "openapi": "3.0.0", "servers": [ "#, Given::default()).unwrap_err();
    assert!(matches!(error, ReadError::Syntax { format: "JSON", line: 1, .. }), "{error}");
    let error = read(b"openapi: [\n", Given::default()).unwrap_err();
    assert!(matches!(error, ReadError::Syntax { format: "YAML", .. }), "{error}");
}

#[test]
fn size_depth_and_expansion_are_bounded() {
    assert_eq!(read(&vec![b' '; LARGEST + 1], Given::default()).unwrap_err(), ReadError::TooLarge(LARGEST + 1));
    assert_eq!(read(b"openapi: \xff", Given::default()).unwrap_err(), ReadError::NotUtf8(9));
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let nested = |depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
        // JSON is read over without a place on the stack for each level; YAML takes one, and no more than there is.
        for depth in [20, 90, 100_000] {
            let json = format!("{{\"openapi\":\"3.0.0\",\"a\":{}}}", nested(depth));
            assert!(read(json.as_bytes(), Given::default()).is_ok(), "{depth}");
            let yaml = format!("openapi: 3.0.0\na: {}\n", nested(depth).replace("\":", "\": "));
            assert_eq!(read(yaml.as_bytes(), Given::default()).is_ok(), depth < 95, "{depth}");
        }
    }
    let blocks: Vec<String> = (0..10_000).map(|depth| format!("{}-", " ".repeat(depth % 2_000))).collect();
    assert!(read(format!("openapi: 3.0.0\na:\n{}\n", blocks.join("\n")).as_bytes(), Given::default()).is_err());
    // Ten lists of ten of the list before: ten thousand million elements.
    let levels =
        (1..10).map(|level| format!("a{level}: &a{level} [{}]", vec![format!("*a{}", level - 1); 10].join(",")));
    let bomb = format!("openapi: 3.0.0\na0: &a0 [x,x,x,x,x,x,x,x,x,x]\n{}\n", levels.collect::<Vec<_>>().join("\n"));
    assert!(matches!(read(bomb.as_bytes(), Given::default()), Err(ReadError::Syntax { format: "YAML", .. })));
    // One long text, named often.
    let long = format!("openapi: 3.0.0\nlong: &l {}\nall: [{}]\n", "x".repeat(2 << 20), vec!["*l"; 9_000].join(","));
    assert!(matches!(read(long.as_bytes(), Given::default()), Err(ReadError::Syntax { format: "YAML", .. })));
}

#[test]
fn what_a_document_says_cannot_repaint_a_terminal() {
    let draft = drafted(&json!({
        "openapi": "3.0.0", "info": { "title": "a\u{1b}[2Jb\u{202e}c\nd" },
        "servers": [{ "url": "https://\u{1b}x.example" }],
        "components": { "securitySchemes": { "\u{1b}[31mred": { "type": "\u{1b}[0m" } } },
        "paths": { "/\u{1b}]0;x\u{7}": 7 }
    }));
    let all = format!("{:?} {}", draft.record.title, draft.notes.iter().map(ToString::to_string).collect::<String>());
    assert!(!all.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{all:?}");
    assert_eq!(draft.record.title.as_deref(), Some("a[2Jbc d"));
}

#[test]
fn notes_are_counted_and_never_too_many() {
    let paths: serde_json::Map<String, Value> = (0..500).map(|i| (format!("/{i}"), json!(7))).collect();
    let draft = three(&json!({ "paths": paths }));
    assert_eq!(draft.notes.len(), 2, "{:?}", draft.notes);
    assert_eq!(draft.notes.iter().map(|note| note.more).max(), Some(499));
    let schemes: serde_json::Map<String, Value> =
        (0..500).map(|i| (i.to_string(), json!({ "type": format!("{i}") }))).collect();
    let draft = three(&json!({ "components": { "securitySchemes": schemes } }));
    assert_eq!(draft.notes.len(), 50);
}

/// A value of any shape, out of words that mean something here.
fn any_value() -> impl Strategy<Value = Value> {
    let words = prop::sample::select(vec![
        "get",
        "post",
        "servers",
        "url",
        "variables",
        "default",
        "enum",
        "security",
        "securitySchemes",
        "components",
        "type",
        "apiKey",
        "http",
        "scheme",
        "basic",
        "in",
        "header",
        "name",
        "Authorization",
        "X-Key",
        "parameters",
        "required",
        "responses",
        "429",
        "headers",
        "Retry-After",
        "$ref",
        "#/paths",
        "#/components/securitySchemes/name",
        "info",
        "title",
        "https://a.example/{x}",
        "http://{a}.{b}:{c}/",
        "{",
        "}",
        "//",
        "/me",
        "/a/{id}",
        "tags",
        "host",
        "basePath",
        "schemes",
    ]);
    let text = prop_oneof![4 => words.prop_map(str::to_owned), 1 => ".{0,12}"];
    let leaf = prop_oneof![
        text.clone().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        Just(Value::Null)
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        let member = (text.clone(), inner.clone());
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Value::from),
            prop::collection::vec(member, 0..6).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,200}") {
        let _ = read(&bytes, Given::default());
        let _ = read(text.as_bytes(), Given::default());
        let _ = read(format!("openapi: 3.0.0\n{text}").as_bytes(), Given::default());
    }

    #[test]
    fn a_document_of_odd_parts_gives_a_draft_that_compiles(
        servers in any_value(), security in any_value(), components in any_value(), paths in any_value(),
        old in any::<bool>(),
    ) {
        let version = if old { "swagger" } else { "openapi" };
        let document = json!({
            version: if old { "2.0" } else { "3.1.0" }, "info": security, "servers": servers, "security": security,
            "components": components, "securityDefinitions": components, "host": servers, "paths": paths,
        });
        let draft = read(document.to_string().as_bytes(), Given::default()).unwrap();
        if draft.record.base_url.is_some() {
            let compiled = compile(&Name::new("x").unwrap(), &draft.record);
            prop_assert!(compiled.is_ok(), "{:#?}\n{}", draft.record, compiled.unwrap_err());
        }
        for rule in &draft.rules {
            prop_assert!(crate::domain::Rule::parse(rule).is_ok(), "{rule}");
        }
        let again = read(document.to_string().as_bytes(), Given::default()).unwrap();
        prop_assert_eq!(draft, again);
    }
}

#[test]
fn one_place_out_of_several_is_taken_out_alone() {
    let mut notes = Notes::default();
    let place = |name: &str| Auth { location: Some("header".into()), name: Some(name.into()), ..Auth::default() };
    let record = ServiceRecord {
        base_url: Some("https://a.example".into()),
        auth: Some(crate::record::AuthList::Several(vec![place("Host"), place("X-A"), place("Via")])),
        ..ServiceRecord::default()
    };
    let settled = settle::settle(record, &mut notes);
    assert_eq!(settled.auth, Some(crate::record::AuthList::One(place("X-A"))));
    assert_eq!(notes.into_vec().len(), 2);
}
