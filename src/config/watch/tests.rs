//! Real files, changed in the ways in which they are changed out there. Nothing sleeps: a test waits for the notice.

use std::fs;
use std::os::unix::fs::symlink;

use super::*;

/// Long enough that only an event can be what brought a notice.
const NEVER: Duration = Duration::from_secs(3600);
const PATIENCE: Duration = Duration::from_secs(20);

struct Scene {
    folder: tempfile::TempDir,
    watch: Watch,
    receiver: mpsc::Receiver<Changed>,
}

/// Prepares a folder and watches these files in it.
fn scene(prepare: impl FnOnce(&Path), names: &[&str], events: bool) -> Scene {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let files: BTreeSet<PathBuf> = names.iter().map(|name| folder.path().join(name)).collect();
    let poll = if events { NEVER } else { Duration::from_millis(5) };
    let pace = Pace { gathering: Duration::from_millis(5), poll };
    let (watch, receiver) = Watch::start_at(pace, &files, BTreeMap::new(), events).unwrap();
    Scene { folder, watch, receiver }
}

impl Scene {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The names in the next notice.
    fn next(&mut self) -> Vec<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let waiting = async { tokio::time::timeout(PATIENCE, self.receiver.recv()).await };
        let Changed(files) = runtime.block_on(waiting).expect("no notice came").expect("the watch ended");
        files.iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
    }

    /// Takes notices until the file has this content: writing in place may be seen in two steps.
    fn until(&mut self, name: &str, content: &str) {
        loop {
            assert_eq!(self.next(), [name]);
            if fs::read_to_string(self.path(name)).unwrap() == content {
                return;
            }
        }
    }
}

fn write(folder: &Path, name: &str, text: &str) {
    fs::write(folder.join(name), text).unwrap();
}

#[test]
fn a_write_in_place_is_noticed() {
    let mut scene = scene(|folder| write(folder, "proxy.toml", "a"), &["proxy.toml"], true);
    write(scene.folder.path(), "proxy.toml", "b");
    scene.until("proxy.toml", "b");
}

#[test]
fn a_rename_over_the_file_is_noticed_each_time() {
    let mut scene = scene(|folder| write(folder, "proxy.toml", "a"), &["proxy.toml"], true);
    for text in ["b", "c", "d"] {
        write(scene.folder.path(), ".proxy.toml.new", text);
        fs::rename(scene.path(".proxy.toml.new"), scene.path("proxy.toml")).unwrap();
        assert_eq!(scene.next(), ["proxy.toml"], "{text}");
    }
}

#[test]
fn the_swap_of_a_linked_folder_is_noticed_each_time() {
    // As Kubernetes mounts a ConfigMap: proxy.toml -> ..data/proxy.toml, ..data -> ..1, and ..data is renamed over.
    let prepare = |folder: &Path| {
        fs::create_dir(folder.join("..1")).unwrap();
        write(folder, "..1/proxy.toml", "1");
        symlink("..1", folder.join("..data")).unwrap();
        symlink("..data/proxy.toml", folder.join("proxy.toml")).unwrap();
    };
    let mut scene = scene(prepare, &["proxy.toml"], true);
    for (old, new) in [("..1", "..2"), ("..2", "..3")] {
        fs::create_dir(scene.path(new)).unwrap();
        write(scene.folder.path(), &format!("{new}/proxy.toml"), new);
        symlink(new, scene.path("..data_tmp")).unwrap();
        fs::rename(scene.path("..data_tmp"), scene.path("..data")).unwrap();
        fs::remove_dir_all(scene.path(old)).unwrap();
        assert_eq!(scene.next(), ["proxy.toml"]);
        assert_eq!(fs::read_to_string(scene.path("proxy.toml")).unwrap(), new);
    }
}

#[test]
fn a_change_behind_a_link_is_noticed() {
    let elsewhere = tempfile::tempdir().unwrap();
    write(elsewhere.path(), "real.toml", "a");
    let target = elsewhere.path().join("real.toml");
    let mut scene = scene(|folder| symlink(&target, folder.join("proxy.toml")).unwrap(), &["proxy.toml"], true);
    fs::write(&target, "b").unwrap();
    scene.until("proxy.toml", "b");
}

#[test]
fn a_file_that_appears_or_goes_is_noticed() {
    let mut scene = scene(|_| {}, &["key"], true);
    fs::write(scene.path("new"), "k").unwrap();
    fs::rename(scene.path("new"), scene.path("key")).unwrap();
    assert_eq!(scene.next(), ["key"]);
    fs::remove_file(scene.path("key")).unwrap();
    assert_eq!(scene.next(), ["key"]);
}

#[test]
fn what_leaves_the_content_as_it_is_is_no_change() {
    let both = ["key", "proxy.toml"];
    let mut scene = scene(|folder| both.iter().for_each(|name| write(folder, name, "a")), &both, true);
    // The same content by another file, a neighbour, a read: none of them may be told before the real change.
    fs::write(scene.path("same"), "a").unwrap();
    fs::rename(scene.path("same"), scene.path("proxy.toml")).unwrap();
    fs::write(scene.path("neighbour"), "x").unwrap();
    assert_eq!(fs::read_to_string(scene.path("key")).unwrap(), "a");
    fs::write(scene.path("new"), "b").unwrap();
    fs::rename(scene.path("new"), scene.path("key")).unwrap();
    assert_eq!(scene.next(), ["key"]);
}

#[test]
fn the_poll_notices_what_no_event_tells() {
    let mut scene = scene(|folder| write(folder, "proxy.toml", "a"), &["proxy.toml"], false);
    fs::write(scene.path("new"), "b").unwrap();
    fs::rename(scene.path("new"), scene.path("proxy.toml")).unwrap();
    assert_eq!(scene.next(), ["proxy.toml"]);
}

#[test]
fn a_change_between_loading_and_watching_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("proxy.toml");
    fs::write(&path, "new").unwrap();
    let known = BTreeMap::from([(path.clone(), Some(sha256(b"old")))]);
    let pace = Pace { gathering: Duration::from_millis(1), poll: Duration::from_millis(1) };
    let (watch, receiver) = Watch::start_at(pace, &BTreeSet::from([path]), known, false).unwrap();
    let mut scene = Scene { folder, watch, receiver };
    assert_eq!(scene.next(), ["proxy.toml"]);
}

#[test]
fn another_set_of_files_can_be_followed_and_the_end_is_seen() {
    let mut scene = scene(|folder| write(folder, "proxy.toml", "a"), &["proxy.toml"], true);
    write(scene.folder.path(), "key", "k");
    let files = BTreeSet::from([scene.path("proxy.toml"), scene.path("key"), scene.path("absent")]);
    scene.watch.order(|orders| orders.follow = Some(files));
    assert_eq!(scene.next(), ["key"]);
    fs::write(scene.path("new"), "k").unwrap();
    fs::rename(scene.path("new"), scene.path("absent")).unwrap();
    assert_eq!(scene.next(), ["absent"]);
    scene.watch.order(|orders| orders.follow = Some(BTreeSet::new()));
    let Scene { watch, mut receiver, .. } = scene;
    drop(watch);
    assert_eq!(receiver.blocking_recv(), None);
}

#[test]
fn notices_that_nobody_takes_block_nothing_and_are_told_together() {
    let mut scene = scene(|folder| write(folder, "proxy.toml", "a"), &["proxy.toml"], true);
    let looks = WAITING + 8;
    for i in 0..looks {
        fs::write(scene.path("new"), i.to_string()).unwrap();
        fs::rename(scene.path("new"), scene.path("proxy.toml")).unwrap();
        scene.watch.order(|_| {});
    }
    assert_eq!(scene.next(), ["proxy.toml"]);
}

#[test]
fn a_loaded_configuration_is_watched_with_the_files_that_it_names() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[service.a]\nbase_url = \"https://a.example\"\nauth = { location = \"bearer\" }\n\
                [credential.a]\nservice = \"a\"\nfile = \"key\"";
    write(folder.path(), "proxy.toml", text);
    write(folder.path(), "key", "old");
    let environment = crate::config::Environment::of_pairs([]).in_folder(folder.path());
    let loaded = crate::config::Config::load(None, &environment).unwrap();
    let (watch, receiver) = Watch::start(&loaded).unwrap();
    let mut scene = Scene { folder, watch, receiver };
    scene.watch.follow(&loaded, &[]);
    fs::write(scene.path("new"), "new").unwrap();
    fs::rename(scene.path("new"), scene.path("key")).unwrap();
    assert_eq!(scene.next(), ["key"]);
}
