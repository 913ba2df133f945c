//! Floors: `src/lib.rs` is the map, and a module names only modules of lower floors. On the roof, where the parts are
//! put together, a module may also name the roof's modules that are declared above it.

use std::collections::BTreeMap;

use super::{
    assert_none,
    source::{Source, production, root},
};

/// Where a module stands: its floor, and its place among all modules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    floor: usize,
    order: usize,
    roof: bool,
}

impl Place {
    fn may_name(self, other: Self) -> bool {
        other.floor < self.floor || (self.roof && other.roof && other.order < self.order)
    }
}

/// Reads the floors from the headings in lib.rs.
fn map(lib: &str) -> BTreeMap<String, Place> {
    let mut places = BTreeMap::new();
    let (mut floor, mut roof) = (None, false);
    for line in lib.lines() {
        roof |= line.starts_with("// The roof");
        if line.starts_with("// Floor ") || line.starts_with("// The roof") {
            floor = Some(floor.map_or(0, |number: usize| number + 1));
        }
        let declared = line.strip_prefix("pub mod ").or_else(|| line.strip_prefix("mod "));
        let Some((name, _)) = declared.and_then(|rest| rest.split_once(';')) else { continue };
        let floor = floor.unwrap_or_else(|| panic!("src/lib.rs: `{name}` stands under no floor's heading"));
        let order = places.len();
        places.insert(name.to_owned(), Place { floor, order, roof });
    }
    places
}

fn faults_of(file: &Source, places: &BTreeMap<String, Place>) -> Vec<String> {
    let Some(home) = file.module() else { return Vec::new() };
    let own = places.get(home).unwrap_or_else(|| panic!("{}: `{home}` is not on the map in src/lib.rs", file.path));
    let others = file.reaches().into_iter().filter(|(name, _)| name != home);
    let known = others.filter_map(|(name, line)| Some((places.get(&name)?, name, line)));
    let wrong = known.filter(|(place, ..)| !own.may_name(**place));
    wrong.map(|(_, name, line)| format!("{}:{line}: `{home}` names `{name}`", file.path)).collect()
}

#[test]
fn a_module_names_only_modules_of_lower_floors() {
    let places = map(&std::fs::read_to_string(root().join("src/lib.rs")).unwrap());
    assert!(places.len() > 10, "the map in src/lib.rs could not be read: {places:?}");
    let faults: Vec<_> = production().into_iter().flat_map(|file| faults_of(&file, &places)).collect();
    assert_none("these modules name one of their own floor or of a higher one (see src/lib.rs)", &faults);
}

#[test]
fn main_only_hands_over() {
    let lines = std::fs::read_to_string(root().join("src/main.rs")).unwrap().lines().count();
    assert!(lines <= 30, "src/main.rs has {lines} lines; 30 are enough to hand over to `cli`");
}

const LIB: &str = "\
// Floor 0: nouns.
pub mod crypto; // a
pub mod domain;
// Floor 1: pure work.
pub mod seal;
// The roof.
pub mod app;
pub mod cli;
";

fn judged(path: &str, text: &str) -> Vec<String> {
    faults_of(&Source::parse(path, text.to_owned()), &map(LIB))
}

#[test]
fn the_ground_is_free_to_all_and_itself_uses_nothing() {
    assert!(judged("src/seal/mod.rs", "use crate::{crypto::{self, Aead}, domain::Name};").is_empty());
    assert!(judged("src/cli/up.rs", "fn f() { crate::app::run(crate::seal::X) }").is_empty());
    let fault = judged("src/domain/ids.rs", "use std::fmt;\n\nuse crate::{crypto::Random, domain::Name};");
    assert_eq!(fault, ["src/domain/ids.rs:3: `domain` names `crypto`"]);
}

#[test]
fn climbing_by_super_and_hiding_in_code_are_seen_too() {
    assert_eq!(judged("src/domain/ids.rs", "use super::super::seal::Envelope;").len(), 1);
    assert_eq!(judged("src/domain/mod.rs", "mod inner { use super::super::seal; } use super::app;").len(), 2);
    assert_eq!(judged("src/app.rs", "fn f() { println!(\"{}\", crate::cli::NAME) }").len(), 1);
    assert!(
        judged("src/domain/ids.rs", "// crate::seal\nuse super::Name; const T: &str = \"crate::seal\";").is_empty()
    );
}
