//! Whose a connection is, by the system's tables.

use super::*;

const HEAD: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

#[cfg(target_endian = "little")]
#[test]
fn a_connection_belongs_to_the_user_who_has_its_other_end_open() {
    let (peer, here) = ("127.0.0.1:43690".parse().unwrap(), "127.0.0.1:8080".parse().unwrap());
    let line = |ends: &str, state: &str, inode: &str| {
        format!(
            "{HEAD}   3: {ends} {state} 00000000:00000000 00:00000000 00000000  1000        0 {inode} 1 0 20 4 30 10 -1"
        )
    };
    let (ours, theirs) = ("0100007F:AAAA 0100007F:1F90", "0100007F:1F90 0100007F:AAAA");
    let mapped = "0000000000000000FFFF00000100007F:AAAA 0000000000000000FFFF00000100007F:1F90";
    assert_eq!(owner(&line(ours, "01", "77"), peer, here), Some(1000));
    assert_eq!(owner(&line(mapped, "01", "77"), peer, here), Some(1000));
    assert_eq!(owner(&line(theirs, "01", "77"), peer, here), None, "that is our own end");
    assert_eq!(owner(&line(ours, "06", "77"), peer, here), None, "it is closed");
    assert_eq!(owner(&line(ours, "01", "0"), peer, here), None, "its process has let go of it");
    assert_eq!(owner(HEAD, peer, here), None);
}
