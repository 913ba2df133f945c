//! Large writes in pieces.

use std::io::IoSlice;

use crate::upstream::pieces::pieces;

/// The lengths of what is handed over for slices of these lengths, whose bytes must be the first of all.
fn handed(lengths: &[usize]) -> Vec<usize> {
    let all: Vec<u8> = (0..=250).cycle().take(lengths.iter().sum()).collect();
    let mut rest = all.as_slice();
    let mut slices = Vec::new();
    for length in lengths {
        let (slice, after) = rest.split_at(*length);
        slices.push(IoSlice::new(slice));
        rest = after;
    }
    let mut room = [IoSlice::new(&[]); 36];
    let handed = pieces(&slices, &mut room);
    let bytes = handed.iter().flat_map(|piece| piece.iter().copied()).collect::<Vec<u8>>();
    assert_eq!(bytes, all[..bytes.len()], "{lengths:?}");
    handed.iter().map(|piece| piece.len()).collect()
}

#[test]
fn large_writes_are_handed_over_in_pieces_and_small_ones_as_they_are() {
    assert_eq!(handed(&[]), [] as [usize; 0]);
    assert_eq!(handed(&[0, 9, 2048]), [0, 9, 2048]);
    assert_eq!(handed(&[2049]), [2048, 1]);
    assert_eq!(handed(&[9, 5000, 0, 3]), [9, 2048, 2048, 904, 3]);
    assert_eq!(handed(&[1 << 20]), [2048; 36], "as much as there is room for");
}
