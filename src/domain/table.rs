//! The hash table of what requests are looked up in.

use std::collections::HashMap;

/// A hash table whose keys only operators choose. A client can ask for any key but add none, so it needs no hash that
/// withstands chosen collisions, and takes one that costs a third.
pub type Table<K, V> = HashMap<K, V, foldhash::fast::RandomState>;
